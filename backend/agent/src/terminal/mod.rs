//! A terminal: one PTY with its program, its journal, its screen and its viewers.
//!
//! Everything about a terminal is in one [`State`], and every change of it happens between two
//! awaits of the agent's only thread. A viewer that joins is therefore answered at one offset: what
//! came before is in its snapshot, what comes after is in the journal, and nothing is in both.
//!
//! Output has no queues. The journal is the buffer, each viewer has a place in it ([`viewer`]), and
//! the PTY is not read while every viewer is a full window behind.

mod attach;
mod cut;
mod input;
mod pty;
mod screen;
mod snapshot;
mod viewer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use shellport_wire::agent::{self as wire, Refusal, RefusalCode};
use shellport_wire::exit::{Exit, Reason};
use shellport_wire::viewer::{Role, Size};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use self::input::Input;
use self::pty::Pty;
use self::screen::Screen;
use self::viewer::{Cursor, Sizes};
use crate::agent::shown;
use crate::ended;
use crate::journal::Journal;
use crate::launch::Launch;
use crate::processes::{self, Scope};
use crate::reaper::{Process, Reaper};

pub use self::attach::serve;

/// Bytes of output that are kept for viewers that come back.
const JOURNAL: usize = 1024 * 1024;

/// The most viewers of one terminal.
const MAX_VIEWERS: usize = 256;

/// The most output that is drawn before others get their turn.
const READ: usize = 32 * 1024;

/// After the program's end, output is waited for this long after the last of it, when some other
/// process keeps the PTY open and there is no end of file.
const QUIET: Duration = Duration::from_millis(50);

/// And at most this long in all.
const LINGER: Duration = Duration::from_millis(500);

/// How often a PTY that no program has open is looked at again.
const REOPEN: Duration = Duration::from_millis(50);

/// Between asking a closed terminal's processes to end and killing them.
const GRACE: Duration = Duration::from_secs(2);

/// A terminal; see the module.
pub struct Terminal {
    name: String,
    open: wire::Open,
    shell: Vec<String>,
    state: RefCell<State>,
    /// A viewer has caught up or left.
    resumed: Notify,
    /// There is input for the program.
    typed: Notify,
    /// The program has taken input.
    room: Notify,
}

struct State {
    /// Names this run of the program.
    run: String,
    argv: Vec<String>,
    journal: Journal,
    screen: Screen,
    sizes: Sizes,
    input: Input,
    viewers: BTreeMap<u64, Viewer>,
    next_viewer: u64,
    running: Option<Running>,
    exit: Option<Exit>,
    stopping: bool,
}

struct Running {
    pty: Rc<Pty>,
    leader: Pid,
}

struct Viewer {
    role: Role,
    cursor: Cursor,
    wake: Rc<Notify>,
}

impl Terminal {
    /// Opens a terminal and starts its program; `shell` is the sandbox's own.
    ///
    /// # Errors
    /// When the size, the user or the program is not possible.
    pub fn open(
        open: wire::Open,
        shell: &[String],
        reaper: &Rc<Reaper>,
    ) -> Result<Rc<Self>, Refusal> {
        let size = checked(open.size)?;
        let terminal = Rc::new(Self {
            name: open.terminal.clone(),
            shell: shell.to_vec(),
            state: RefCell::new(State {
                run: String::new(),
                argv: Vec::new(),
                journal: Journal::new(0, JOURNAL),
                screen: Screen::new(size),
                sizes: Sizes::new(0, size),
                input: Input::default(),
                viewers: BTreeMap::new(),
                next_viewer: 0,
                running: None,
                exit: None,
                stopping: false,
            }),
            open,
            resumed: Notify::new(),
            typed: Notify::new(),
            room: Notify::new(),
        });
        terminal.start(size, reaper)?;
        Ok(terminal)
    }

    /// Starts the program again after it has ended. Offsets go on; the screen starts empty.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn restart(self: &Rc<Self>, size: Size, reaper: &Rc<Reaper>) -> Result<(), Refusal> {
        let size = checked(size)?;
        if self.state.borrow().exit.is_none() {
            return Ok(());
        }
        self.start(size, reaper)
    }

    fn start(self: &Rc<Self>, size: Size, reaper: &Rc<Reaper>) -> Result<(), Refusal> {
        let launch = Launch::new(&self.open.program, &self.shell)?;
        let (pty, process) = Pty::open(size, &launch, reaper)?;
        let pty = Rc::new(pty);
        {
            let mut state = self.state.borrow_mut();
            let offset = state.journal.end();
            state.run = new_run();
            state.argv = launch.argv;
            state.journal = Journal::new(offset, JOURNAL);
            state.screen = Screen::new(size);
            state.sizes = Sizes::new(offset, size);
            state.input.clear();
            state.exit = None;
            state.stopping = false;
            state.running = Some(Running {
                pty: Rc::clone(&pty),
                leader: process.pid,
            });
        }
        let terminal = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::select! {
                ended = terminal.read(&pty, process) => terminal.finish(ended),
                () = terminal.write(&pty) => unreachable!("it only ends by being dropped"),
            }
        });
        Ok(())
    }

    /// What the agent tells about it.
    pub fn describe(&self) -> wire::Terminal {
        let state = self.state.borrow();
        wire::Terminal {
            terminal: self.name.clone(),
            argv: shown(&state.argv),
            size: state.sizes.current(),
            title: state.screen.title(),
            offset: state.journal.end(),
            viewers: u32::try_from(state.viewers.len()).unwrap_or(u32::MAX),
            exit: state.exit.clone(),
        }
    }

    /// Whether its program has ended.
    pub fn has_ended(&self) -> bool {
        self.state.borrow().exit.is_some()
    }

    /// Sets the size. Output from here on is made for it.
    ///
    /// # Errors
    /// When the size is not allowed.
    pub fn resize(&self, size: Size) -> Result<(), Refusal> {
        let size = checked(size)?;
        let mut state = self.state.borrow_mut();
        if state.sizes.current() == size || state.exit.is_some() {
            return Ok(());
        }
        let offset = state.journal.end();
        state.sizes.change(offset, size);
        state.screen.resize(size);
        if let Some(running) = &state.running {
            running.pty.resize(size);
        }
        state.wake_viewers();
        Ok(())
    }

    /// Ends every process of the terminal, and says so to its viewers.
    pub async fn close(&self) {
        let leader = {
            let mut state = self.state.borrow_mut();
            state.stopping = true;
            state.running.as_ref().map(|running| running.leader)
        };
        if let Some(leader) = leader {
            processes::end(Scope::Session(leader), GRACE).await;
        }
    }

    /// From now on, an end of the program is our doing.
    pub fn mark_stopping(&self) {
        self.state.borrow_mut().stopping = true;
    }

    fn signal(&self, signal: Signal) {
        if let Some(running) = &self.state.borrow().running {
            running.pty.signal(signal);
        }
    }

    /// Reads the PTY until the program has ended and everything it wrote has been read.
    async fn read(&self, pty: &Pty, mut process: Process) -> ended::Seen {
        let mut buffer = vec![0; READ];
        let seen = loop {
            let paused = self.is_paused();
            tokio::select! {
                seen = &mut process.ended => break ended::seen(seen),
                () = self.resumed.notified(), if paused => {}
                read = pty.read(&mut buffer), if !paused => match read {
                    Ok(count) if count > 0 => self.output(&buffer[..count]),
                    // Nobody has the other side open. The program may open it again.
                    Ok(_) | Err(_) => tokio::select! {
                        seen = &mut process.ended => break ended::seen(seen),
                        () = sleep(REOPEN) => {}
                    },
                },
            }
            // A flood must not keep the others' keystrokes waiting.
            tokio::task::yield_now().await;
        };
        // What the program wrote before its end is in the PTY by now, but not all of it may have
        // been handed over to this side. It fits the journal, so nobody is waited for.
        let last = Instant::now() + LINGER;
        let mut quiet = Instant::now() + QUIET;
        while quiet.min(last) > Instant::now() {
            tokio::select! {
                read = pty.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(count) => self.output(&buffer[..count]),
                },
                () = sleep_until(quiet.min(last)) => break,
            }
            quiet = Instant::now() + QUIET;
        }
        seen
    }

    fn output(&self, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.journal.push(bytes);
        state.screen.advance(bytes);
        let answers = state.screen.take_answers();
        let watched = state
            .viewers
            .values()
            .any(|viewer| viewer.role == Role::Writer);
        if !answers.is_empty() && !watched {
            state.input.answer(&answers);
            self.typed.notify_one();
        }
        state.wake_viewers();
    }

    /// Only viewers can pause the program, and only all of them together.
    fn is_paused(&self) -> bool {
        let state = self.state.borrow();
        let end = state.journal.end();
        let mut viewers = state.viewers.values().peekable();
        viewers.peek().is_some() && viewers.all(|viewer| !viewer.cursor.keeps_up(end))
    }

    /// Gives the program what was typed, for ever.
    async fn write(&self, pty: &Pty) {
        loop {
            let bytes = self.state.borrow().input.front().to_vec();
            if bytes.is_empty() {
                self.typed.notified().await;
                continue;
            }
            match pty.write(&bytes).await {
                Ok(count) => {
                    self.state.borrow_mut().input.consume(count);
                    self.room.notify_waiters();
                }
                // Nobody has the other side open; see the reading loop.
                Err(_) => sleep(REOPEN).await,
            }
        }
    }

    fn finish(&self, seen: ended::Seen) {
        let mut state = self.state.borrow_mut();
        let reason = state.stopping.then_some(Reason::Stopped);
        state.exit = Some(ended::exit(seen, reason));
        state.running = None;
        state.input.clear();
        state.wake_viewers();
        self.room.notify_waiters();
    }
}

/// The time tells runs apart: also those of agents that came before this one in the sandbox.
fn new_run() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{:x}", now.map_or(0, |now| now.as_nanos()))
}

impl State {
    fn wake_viewers(&self) {
        for viewer in self.viewers.values() {
            viewer.wake.notify_one();
        }
    }
}

fn checked(size: Size) -> Result<Size, Refusal> {
    size.checked().map_err(|error| Refusal {
        code: RefusalCode::Invalid,
        message: error.to_string(),
    })
}
