//! Execs: commands without a PTY.
//!
//! A command runs by itself ([`run`]), and what it writes goes into two journals. Connections
//! follow it ([`follow`]) and may come back to where they were. They have no queues: the command's
//! pipes are not read while a journal has no room ahead of the follower that has acknowledged most.

mod follow;
mod input;
mod list;
mod pipe;
mod run;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use nix::unistd::Pid;
use shellport_wire::agent::{EXEC_JOURNAL, Stream};
use shellport_wire::exit::Exit;
use shellport_wire::frame::Kind;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::follow::serve;
use self::input::Input;
pub use self::list::Execs;
use crate::journal::Journal;

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
    /// How long it goes on with no follower; for ever when there is none.
    linger: Option<Duration>,
    state: RefCell<State>,
    /// For followers: there is more to tell.
    news: Notify,
    /// For the task that runs it: a follower has come, gone or read on, or it shall stop.
    poke: Notify,
    /// For the same: there is input.
    typed: Notify,
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
    /// The process, while it is one.
    leader: Option<Pid>,
    exit: Option<Exit>,
}

impl Exec {
    fn new(linger: Option<Duration>, leader: Pid, input: Input) -> Self {
        Self {
            linger,
            state: RefCell::new(State {
                journals: [Journal::new(0, JOURNAL), Journal::new(0, JOURNAL)],
                followers: BTreeMap::new(),
                next_follower: 0,
                left: None,
                abandoned: false,
                stopping: false,
                told: false,
                input,
                leader: Some(leader),
                exit: None,
            }),
            news: Notify::new(),
            poke: Notify::new(),
            typed: Notify::new(),
        }
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

    /// From now on its end is our doing. Its process, unless that has ended already.
    fn stopping(&self) -> Option<Pid> {
        let mut state = self.state.borrow_mut();
        state.stopping = true;
        self.poke.notify_one();
        state.leader
    }

    /// Nobody is waited for any more.
    fn abandon(&self) {
        self.state.borrow_mut().abandoned = true;
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
