//! What happens to sessions and in them, for those who want to know: a bounded log, read from any place. When it is
//! full, the session that has most in it loses its oldest event, so that one that is loud hides no other.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use shellport_wire::agent::{Happened, MAX_NAME, Places};
use shellport_wire::exit::Exit;
use tokio::sync::watch;

use crate::id::{SessionId, random_tag};
use crate::session::State;

/// The most events that are kept; the oldest go first.
const MOST: usize = 8192;

/// The most bytes of an argument vector that is kept.
const MAX_ARGV: usize = 1024;

/// What an argument costs beside its text.
const ARGUMENT: usize = 32;

/// How many events of one sandbox are heard at once, and how many a second from then on.
const BURST: u32 = 2000;
const PER_SECOND: u32 = 1000;

/// Something that has happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place in the log, from 1 on.
    pub number: u64,
    /// When it happened.
    pub at: Timestamp,
    /// To which session.
    pub session: SessionId,
    /// What it was.
    pub what: What,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The session was asked for.
    Created,
    /// It has come to this state.
    State {
        /// Which.
        state: State,
        /// A stable word for why.
        reason: String,
        /// A sentence for people.
        message: Option<String>,
    },
    /// Its making goes on.
    Progress {
        /// A stable word.
        step: &'static str,
        /// Bytes done.
        current: u64,
        /// Bytes to do, as far as known.
        total: Option<u64>,
    },
    /// It is gone.
    Deleted,
    /// Its agent says this.
    Inside(Happened),
    /// More happened in it than was told.
    Dropped(u64),
}

/// The log.
#[derive(Debug)]
pub struct Log {
    /// Tells this server's numbers from those of others.
    run: String,
    kept: Mutex<Kept>,
    /// The number of the last event.
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By number.
    events: VecDeque<Arc<Event>>,
    /// How many of them are of each session.
    counts: HashMap<SessionId, usize>,
}

impl Kept {
    /// Lets go of the oldest event of the session that has most.
    fn let_go(&mut self) {
        let most = self.counts.iter().max_by_key(|(_, count)| **count);
        let Some((session, count)) = most.map(|(session, count)| (session.clone(), *count)) else {
            return;
        };
        let oldest = self
            .events
            .iter()
            .position(|event| event.session == session);
        if let Some(oldest) = oldest {
            self.events.remove(oldest);
        }
        if count > 1 {
            self.counts.insert(session, count - 1);
        } else {
            self.counts.remove(&session);
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            run: random_tag(),
            kept: Mutex::default(),
            last: watch::Sender::new(0),
        }
    }
}

impl Log {
    /// Tells of something.
    pub fn tell(&self, session: &SessionId, at: Timestamp, what: What) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.events.len() == MOST {
            kept.let_go();
        }
        let number = *self.last.borrow() + 1;
        *kept.counts.entry(session.clone()).or_default() += 1;
        kept.events.push_back(Arc::new(Event {
            number,
            at,
            session: session.clone(),
            what,
        }));
        self.last.send_replace(number);
    }

    /// The number of the last event.
    pub fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Tells when there are more.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// At most so many of those behind the one with this number, and how many are missing up to the last of them.
    pub fn after(&self, number: u64, most: usize) -> (Vec<Arc<Event>>, u64) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = kept.events.partition_point(|event| event.number <= number);
        let events: Vec<_> = kept
            .events
            .iter()
            .skip(skipped)
            .take(most)
            .cloned()
            .collect();
        let last = events
            .last()
            .map_or(*self.last.borrow(), |event| event.number);
        let missed = last
            .saturating_sub(number)
            .saturating_sub(events.len() as u64);
        (events, missed)
    }

    /// The number before that of the oldest event that is kept.
    pub fn first(&self) -> u64 {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.events.front().map(|event| event.number - 1);
        first.unwrap_or(*self.last.borrow())
    }

    /// The name of an event, by which a client that comes back goes on behind it.
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// The number of the event with this name; none of an event of another server.
    ///
    /// # Errors
    /// When it is no name of an event.
    pub fn number(&self, id: &str) -> Result<Option<u64>, NoEventId> {
        let (run, number) = id.rsplit_once('-').ok_or(NoEventId)?;
        let number: u64 = number.parse().map_err(|_| NoEventId)?;
        let is_ours = run == self.run && number <= self.last();
        Ok(is_ours.then_some(number))
    }
}

/// A text that names no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of an event")]
pub struct NoEventId;

/// How much is heard of one sandbox. While it is closed, nothing is read of what the sandbox says.
#[derive(Debug)]
pub struct Valve {
    tokens: u32,
    filled: Instant,
}

impl Default for Valve {
    fn default() -> Self {
        Self {
            tokens: BURST,
            filled: Instant::now(),
        }
    }
}

impl Valve {
    /// Whether something may be heard.
    pub fn is_open(&mut self) -> bool {
        let elapsed = self.filled.elapsed().min(Duration::from_mins(1));
        let fresh = u32::try_from(elapsed.as_millis()).unwrap_or(0) * PER_SECOND / 1000;
        if fresh > 0 {
            self.filled = Instant::now();
            self.tokens = self.tokens.saturating_add(fresh).min(BURST);
        }
        self.tokens > 0
    }

    /// Something has been heard.
    pub fn take(&mut self) {
        self.tokens = self.tokens.saturating_sub(1);
    }
}

impl What {
    /// What an agent says, with no more text than one of ours would send.
    pub fn inside(happened: Happened) -> Self {
        Self::Inside(bounded(happened))
    }
}

/// Copies, so that nothing keeps the room of what was longer.
fn bounded(happened: Happened) -> Happened {
    let name = |name: String| name[..name.floor_char_boundary(MAX_NAME)].to_owned();
    let line = |argv: Vec<String>| {
        let mut room = MAX_ARGV;
        let mut kept = Vec::new();
        for argument in argv {
            let Some(left) = room.checked_sub(ARGUMENT) else {
                break;
            };
            let argument = argument[..argument.floor_char_boundary(left)].to_owned();
            room = left - argument.len();
            kept.push(argument);
        }
        kept
    };
    let end = |exit: Exit| Exit {
        signal: exit.signal.map(name),
        ..exit
    };
    match happened {
        Happened::ExecStarted { exec, argv } => Happened::ExecStarted {
            exec: name(exec),
            argv: line(argv),
        },
        Happened::ExecEnded { exec, exit, ends } => Happened::ExecEnded {
            exec: name(exec),
            exit: end(exit),
            ends: Places { ..ends },
        },
        Happened::TerminalOpened { terminal, argv } => Happened::TerminalOpened {
            terminal: name(terminal),
            argv: line(argv),
        },
        Happened::TerminalEnded { terminal, exit } => Happened::TerminalEnded {
            terminal: name(terminal),
            exit: end(exit),
        },
        Happened::TerminalClosed { terminal } => Happened::TerminalClosed {
            terminal: name(terminal),
        },
        Happened::MainEnded { exit } => Happened::MainEnded { exit: end(exit) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_log_is_found_again() {
        let log = Log::default();
        let session = SessionId::random();
        assert_eq!((log.first(), log.after(0, 3).1), (0, 0));
        for _ in 0..MOST + 2 {
            log.tell(&session, Timestamp::now(), What::Created);
        }
        let last = log.last();
        assert_eq!((last, log.first()), (MOST as u64 + 2, 2));
        let (events, missed) = log.after(last - 2, 10);
        assert_eq!((events.len(), events[0].number, missed), (2, last - 1, 0));
        let (events, missed) = log.after(1, 3);
        assert_eq!((events.len(), events[0].number, missed), (3, 3, 1));
        assert_eq!(log.after(last, 3).0.len(), 0);
        assert_eq!(log.number(&log.id(7)), Ok(Some(7)));
        assert_eq!(log.number("another-7"), Ok(None));
        assert_eq!(
            log.number(&log.id(last + 1)),
            Ok(None),
            "it has not happened"
        );
        assert_eq!(log.number("nonsense"), Err(NoEventId));
    }

    #[test]
    fn a_loud_session_hides_no_other() {
        let log = Log::default();
        let [quiet, loud] = [SessionId::random(), SessionId::random()];
        for _ in 0..3 {
            log.tell(&quiet, Timestamp::now(), What::Created);
        }
        for _ in 0..2 * MOST {
            log.tell(&loud, Timestamp::now(), What::Created);
        }
        let (events, missed) = log.after(0, 4);
        let of: Vec<_> = events.iter().map(|event| &event.session).collect();
        assert_eq!(of, [&quiet, &quiet, &quiet, &loud]);
        assert_eq!(missed, events[3].number - 4);
        let kept = log.kept.lock().unwrap();
        assert_eq!((kept.events.len(), kept.counts[&quiet]), (MOST, 3));
    }

    #[test]
    fn what_a_sandbox_says_is_bounded() {
        let mut valve = Valve::default();
        let mut heard = 0;
        while valve.is_open() && heard < 3 * BURST {
            valve.take();
            heard += 1;
        }
        assert!((BURST..3 * BURST).contains(&heard), "{heard}");
        for argv in [vec!["x".repeat(5000); 100], vec![String::new(); 10_000]] {
            let terminal = "\u{e9}".repeat(1000);
            let what = What::inside(Happened::TerminalOpened { terminal, argv });
            let What::Inside(Happened::TerminalOpened { terminal, argv }) = what else {
                panic!("something else");
            };
            assert!(terminal.capacity() <= MAX_NAME);
            let bytes: usize = argv.iter().map(|it| it.capacity() + ARGUMENT).sum();
            assert!(bytes <= MAX_ARGV && !argv.is_empty(), "{bytes}");
        }
    }
}
