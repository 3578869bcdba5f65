//! Execs: commands without a PTY.
//!
//! A command runs by itself ([`run`]), and what it writes goes into two journals. Connections
//! follow it ([`follow`]) and may come back to where they were. They have no queues: the command's
//! pipes are not read while a journal has no room ahead of the follower that has acknowledged most.
//! Others give it input ([`feed`]), and are no followers.

mod feed;
mod follow;
mod input;
mod keeper;
mod list;
mod pipe;
mod run;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use nix::unistd::Pid;
use shellport_wire::agent::{self as wire, EXEC_JOURNAL, ExecStatus, Happened, Response, Stream};
use shellport_wire::exit::Exit;
use shellport_wire::frame::Kind;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::feed::serve as feed;
pub use self::follow::serve;
use self::input::Input;
pub use self::keeper::{main as keep, tell_started};
pub use self::list::Execs;
use crate::argv::shown;
use crate::clock::{milliseconds, since_1970};
use crate::journal::Journal;
use crate::processes::{self, Scope};

/// Bytes that are kept of each stream.
#[expect(clippy::cast_possible_truncation, reason = "it is small")]
const JOURNAL: usize = EXEC_JOURNAL as usize;

/// The streams of an exec, in the order of everything that is kept for each.
const STREAMS: [(Stream, Kind); 2] = [
    (Stream::Stdout, Kind::Output),
    (Stream::Stderr, Kind::Stderr),
];

/// A place in each stream.
type Places = [u64; 2];

/// One command, running or ended.
pub struct Exec {
    /// The how many-th it is, from 1 on.
    number: u64,
    argv: Vec<String>,
    /// Of the request that started it.
    fingerprint: Option<String>,
    /// The server's own.
    private: bool,
    /// How long it goes on with no follower; for ever when there is none.
    linger: Option<Duration>,
    /// Between asking its processes to end, when its time is over, and killing them.
    grace: Duration,
    begun: (SystemTime, Instant),
    state: RefCell<State>,
    /// For followers: there is more to tell.
    news: Notify,
    /// For the task that runs it: a follower has come, gone or read on, or it shall stop.
    poke: Notify,
    /// For the same: there is input.
    typed: Notify,
}

/// What an exec is made of.
struct Plan {
    number: u64,
    argv: Vec<String>,
    fingerprint: Option<String>,
    private: bool,
    linger: Option<Duration>,
    grace: Duration,
    stdin: bool,
    keeper: Pid,
}

/// What an exec has come to.
struct State {
    journals: [Journal; 2],
    /// What each follower has acknowledged.
    followers: BTreeMap<u64, Places>,
    next_follower: u64,
    /// What the last follower had acknowledged when it left, and when that was, while there is
    /// none.
    left: Option<(Places, Instant)>,
    /// Nobody came back in time.
    abandoned: bool,
    /// Its end is our doing.
    stopping: bool,
    /// Its end has been told to a follower.
    told: bool,
    input: Input,
    program: Program,
    /// What everything that belongs to it is below, until nothing is.
    keeper: Option<Pid>,
    exit: Option<Exit>,
    /// From its start to its end.
    duration: Duration,
}

/// The life of an exec's program.
#[derive(Clone, Copy)]
enum Program {
    /// Its keeper has not told of it.
    Starting,
    /// It leads a session of its own.
    Runs(Pid),
    /// It has ended, or was never started.
    Ended,
}

impl Program {
    /// Its process, while it is one.
    fn leader(self) -> Option<Pid> {
        match self {
            Self::Runs(leader) => Some(leader),
            Self::Starting | Self::Ended => None,
        }
    }
}

impl Exec {
    fn new(plan: Plan) -> Self {
        let Plan {
            number,
            argv,
            fingerprint,
            private,
            linger,
            grace,
            stdin,
            keeper,
        } = plan;
        Self {
            number,
            argv,
            fingerprint,
            private,
            linger,
            grace,
            begun: (SystemTime::now(), Instant::now()),
            state: RefCell::new(State {
                journals: [Journal::new(0, JOURNAL), Journal::new(0, JOURNAL)],
                followers: BTreeMap::new(),
                next_follower: 0,
                left: None,
                abandoned: false,
                stopping: false,
                told: false,
                input: Input::new(stdin),
                program: Program::Starting,
                keeper: Some(keeper),
                exit: None,
                duration: Duration::ZERO,
            }),
            news: Notify::new(),
            poke: Notify::new(),
            typed: Notify::new(),
        }
    }

    /// Whether it was asked for with this fingerprint.
    pub fn is_same(&self, fingerprint: Option<&str>) -> bool {
        fingerprint.is_some() && self.fingerprint.as_deref() == fingerprint
    }

    /// Returns when its program has been started, or cannot be any more.
    async fn started(&self) {
        self.until(|state| !matches!(state.program, Program::Starting))
            .await;
    }

    /// Returns when this holds, which has to be news.
    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let news = self.news.notified();
            if holds(&self.state.borrow()) {
                return;
            }
            news.await;
        }
    }

    /// What there is to say of it.
    fn describe(&self, name: &str) -> ExecStatus {
        let state = self.state.borrow();
        let duration = match state.exit {
            Some(_) => state.duration,
            None => self.begun.1.elapsed(),
        };
        ExecStatus {
            exec: name.to_owned(),
            number: self.number,
            argv: shown(&self.argv),
            pid: state.program.leader().map(Pid::as_raw),
            started_ms: self.started_ms(),
            duration_ms: milliseconds(duration),
            starts: state.places(Journal::start),
            ends: state.places(Journal::end),
            stdin: state.input.arrived(),
            open: state.input.is_open(),
            exit: state.exit.clone(),
        }
    }

    /// What is told of its end, when it has ended.
    fn ended(&self, name: &str) -> Happened {
        let state = self.state.borrow();
        Happened::ExecEnded {
            exec: name.to_owned(),
            exit: state.exit.clone().unwrap_or(Exit::LOST),
            ends: state.places(Journal::end),
        }
    }

    /// What one who begins to follow or feed it is told first.
    fn following(&self) -> Response {
        let state = self.state.borrow();
        Response::Following {
            stdin: state.input.arrived(),
            until: state.input.until(),
            open: state.input.is_open(),
            pid: state.program.leader().map(Pid::as_raw),
            started_ms: self.started_ms(),
            ends: state.places(Journal::end),
            ended: state.exit.is_some(),
        }
    }

    fn started_ms(&self) -> u64 {
        since_1970(self.begun.0)
    }

    /// How many bytes of a stream may be read from its pipe now.
    fn room(&self, stream: usize) -> usize {
        let state = self.state.borrow();
        let journal = &state.journals[stream];
        if state.abandoned {
            return JOURNAL;
        }
        let farthest = state.followers.values().map(|places| places[stream]).max();
        let left = state.left.filter(|_| self.linger.is_some());
        match farthest.or(left.map(|(places, _)| places[stream])) {
            Some(place) => {
                let ahead = usize::try_from(journal.end() - place).unwrap_or(usize::MAX);
                JOURNAL.saturating_sub(ahead)
            }
            None => JOURNAL,
        }
    }

    fn push(&self, stream: usize, bytes: &[u8]) {
        self.state.borrow_mut().journals[stream].push(bytes);
        self.news.notify_waiters();
    }

    /// When it will have been without a follower for too long.
    fn lonely_at(&self) -> Option<Instant> {
        let state = self.state.borrow();
        let (_, since) = state.left.filter(|_| !state.abandoned)?;
        since.checked_add(self.linger?)
    }

    /// From now on its end is our doing.
    fn stopping(&self) {
        self.state.borrow_mut().stopping = true;
        self.poke.notify_one();
    }

    /// Ends the program, if it runs, as our doing. Nobody is waited for.
    fn give_up(self: &Rc<Self>, grace: Duration) {
        self.abandon();
        if self.state.borrow().exit.is_none() {
            self.stopping();
            let exec = Rc::clone(self);
            tokio::task::spawn_local(async move { exec.end(grace).await });
        }
    }

    /// Ends its processes, and returns when they have gone.
    async fn end(&self, grace: Duration) {
        // Earlier there is nobody to end, and then there would be.
        self.started().await;
        if let Some(scope) = self.scope() {
            processes::end(scope, grace).await;
        }
    }

    /// The processes that belong to it; none when all have gone.
    fn scope(&self) -> Option<Scope> {
        let state = self.state.borrow();
        // Only what is in the sandbox as root could have ended the keeper first.
        let keeper = state.keeper.map(Scope::Below);
        keeper.or(state.program.leader().map(Scope::Session))
    }

    /// Nobody is waited for any more.
    fn abandon(&self) {
        self.state.borrow_mut().abandoned = true;
        self.poke.notify_one();
    }

    /// Whether nobody needs to know of its end any more.
    fn is_settled(&self) -> bool {
        let is_over = self.lonely_at().is_some_and(|at| at <= Instant::now());
        let state = self.state.borrow();
        self.linger.is_none() || state.told || state.abandoned || is_over
    }

    fn finish(&self, exit: Exit) {
        let mut state = self.state.borrow_mut();
        state.exit = Some(exit);
        state.duration = self.begun.1.elapsed();
        for journal in &mut state.journals {
            journal.shrink();
        }
        drop(state);
        self.news.notify_waiters();
    }

    /// The bytes in its journals.
    fn kept(&self) -> usize {
        let journals = &self.state.borrow().journals;
        journals.iter().map(Journal::len).sum()
    }
}

impl State {
    /// The starts or ends of the journals.
    fn places(&self, side: impl Fn(&Journal) -> u64) -> wire::Places {
        let [stdout, stderr] = &self.journals;
        [side(stdout), side(stderr)].into()
    }
}
