//! One start of a terminal's program, with all that came of it.
//!
//! Everything is in one [`State`], and every change of it happens between two awaits of the agent's
//! main thread. A viewer that joins is therefore answered at one offset: what came before is in its
//! snapshot, what comes after is in the journal, and nothing is in both. The screen itself is drawn
//! on another thread, in the same order; see [`painter`](super::painter).
//!
//! Viewers have no queues. The journal is their buffer, each has a place in it
//! ([`viewer`](super::viewer)), and the PTY is not read while every viewer is a full window behind.

use std::cell::RefCell;
use std::future::ready;
use std::rc::{Rc, Weak};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use shellport_wire::agent::{self as wire, Refusal, RefusalCode};
use shellport_wire::exit::{Exit, Reason};
use shellport_wire::frame::MAX_PAYLOAD;
use shellport_wire::viewer::{Line, Size};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::asked::Asked;
use super::input::Input;
use super::painter::{Canvas, Painter, Question};
use super::pty::Pty;
use super::snapshot::Snapshot;
use super::viewer::{Setting, Settings};
use super::viewers::Viewers;
use crate::argv::shown;
use crate::ended;
use crate::journal::Journal;
use crate::launch::Launch;
use crate::processes::Scope;
use crate::reaper::{Process, Reaper};

/// The most output that is drawn before others get their turn.
const READ: usize = 16 * 1024;

/// Viewers are told at once of output that is less than this, as a key's echo is.
const LITTLE: usize = 1024;

/// And of more of it this often, while it keeps coming: to put out each piece by itself would cost the
/// server and the client as much as reading it costs here.
const PACE: Duration = Duration::from_millis(1);

/// After the program's end, output is waited for this long after the last of it, when some other
/// process keeps the PTY open and there is no end of file.
const QUIET: Duration = Duration::from_millis(50);

/// And at most this long in all.
const LINGER: Duration = Duration::from_millis(500);

/// And at most so much. A PTY holds less; what comes after it is of other processes.
const LEFT: usize = 64 * 1024;

/// How often a PTY that no program has open is looked at again.
const REOPEN: Duration = Duration::from_millis(50);

/// A start of the program; see the module.
pub struct Run {
    /// Tells it from every other.
    pub id: String,
    argv: Vec<String>,
    /// The program's process, which leads a session of its own.
    leader: Pid,
    pub state: RefCell<State>,
    pub canvas: Canvas,
    /// A viewer has caught up or left.
    pub resumed: Notify,
    /// There is input for the program.
    pub typed: Notify,
    /// The program has taken input.
    pub room: Notify,
}

/// What a run has come to.
pub struct State {
    pub journal: Journal,
    /// The last one, as long as somebody is being sent it.
    pub snapshot: Weak<Snapshot>,
    pub settings: Settings,
    pub input: Input,
    pub viewers: Viewers,
    pub asked: Asked,
    /// As it was last seen.
    pub line: Line,
    pub exit: Option<Exit>,
    /// While the program runs.
    pty: Option<Rc<Pty>>,
    stopping: bool,
}

impl Run {
    /// Starts the program on a PTY of `size`. Its output goes to `journal`, which is empty, clients go on
    /// where `input` has them, and its end to `at_end`.
    ///
    /// # Errors
    /// When the size or the program is not possible.
    pub fn start(
        launch: Launch,
        size: Size,
        journal: Journal,
        input: Input,
        reaper: &Reaper,
        painter: Painter,
        at_end: impl FnOnce(Exit) + 'static,
    ) -> Result<Rc<Self>, Refusal> {
        let size = checked(size)?;
        let (pty, process) = Pty::open(size, &launch, reaper)?;
        let pty = Rc::new(pty);
        let run = Rc::new(Self {
            id: new_id(),
            argv: launch.argv,
            leader: process.pid,
            state: RefCell::new(State {
                settings: Settings::new(journal.start(), Setting { size, writer: None }),
                journal,
                snapshot: Weak::new(),
                input,
                viewers: Viewers::default(),
                asked: Asked::default(),
                line: pty.line(),
                exit: None,
                pty: Some(Rc::clone(&pty)),
                stopping: false,
            }),
            canvas: Canvas::new(size, painter),
            resumed: Notify::new(),
            typed: Notify::new(),
            room: Notify::new(),
        });
        let started = Rc::clone(&run);
        tokio::task::spawn_local(async move {
            tokio::select! {
                ended = run.read(&pty, process) => at_end(run.finish(ended)),
                () = run.write(&pty) => unreachable!("it only ends by being dropped"),
                () = run.hear() => unreachable!("it only ends by being dropped"),
            }
        });
        Ok(started)
    }

    /// What the agent tells about the terminal called `name`.
    pub fn describe(&self, name: &str) -> wire::Terminal {
        let state = self.state.borrow();
        wire::Terminal {
            terminal: name.to_owned(),
            argv: shown(&self.argv),
            size: state.settings.current().size,
            title: self.canvas.title(),
            offset: state.journal.end(),
            viewers: u32::try_from(state.viewers.len()).unwrap_or(u32::MAX),
            exit: state.exit.clone(),
        }
    }

    /// Sets the size. Output from here on is made for it.
    ///
    /// # Errors
    /// When the size is not allowed.
    pub fn resize(&self, size: Size) -> Result<(), Refusal> {
        let size = checked(size)?;
        let mut state = self.state.borrow_mut();
        let writer = state.settings.current().writer;
        state.change(Setting { size, writer });
        Ok(())
    }

    /// From now on, an end of the program is our doing. The processes to end.
    pub fn stopping(&self) -> Scope {
        let mut state = self.state.borrow_mut();
        state.stopping = true;
        match state.exit {
            None => Scope::Session(self.leader),
            Some(_) => Scope::Left(self.leader),
        }
    }

    /// Signals the foreground process group.
    pub fn signal(&self, signal: Signal) {
        if let Some(pty) = &self.state.borrow().pty {
            pty.signal(signal);
        }
    }

    /// Reads the PTY until the program has ended and everything it wrote has been read.
    async fn read(&self, pty: &Pty, mut process: Process) -> ended::Seen {
        let mut buffer = vec![0; READ];
        // Bytes that viewers have not been told of, and when they last were.
        let mut untold = 0;
        let mut told = Instant::now();
        let seen = loop {
            let paused = self.is_paused();
            let is_due = untold < LITTLE || told.elapsed() >= PACE;
            tokio::select! {
                biased;
                seen = &mut process.ended => break ended::seen(seen),
                () = self.resumed.notified(), if paused => {}
                read = pty.read(&mut buffer), if !paused => match read {
                    Ok(count) if count > 0 => {
                        self.output(&buffer[..count]).await;
                        untold += count;
                        if untold >= MAX_PAYLOAD {
                            (untold, told) = (0, Instant::now());
                            self.tell(pty);
                        }
                    }
                    // Nobody has the other side open. The program may open it again.
                    Ok(_) | Err(_) => {
                        untold = 0;
                        self.tell(pty);
                        tokio::select! {
                            seen = &mut process.ended => break ended::seen(seen),
                            () = sleep(REOPEN) => {}
                        }
                    }
                },
                () = ready(()), if untold > 0 && is_due => {
                    (untold, told) = (0, Instant::now());
                    self.tell(pty);
                }
                () = sleep_until(told + PACE), if untold > 0 && !is_due => {}
            }
            // A flood must not keep the others' keystrokes waiting.
            tokio::task::yield_now().await;
        };
        // What the program wrote before its end is in the PTY by now, but not all of it may have
        // been handed over to this side. It fits the journal, so nobody is waited for.
        let (mut patience, mut left) = (LINGER, LEFT);
        while !patience.is_zero() && left > 0 {
            let since = Instant::now();
            tokio::select! {
                biased;
                read = pty.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        patience = patience.saturating_sub(since.elapsed());
                        left = left.saturating_sub(count);
                        self.output(&buffer[..count]).await;
                        self.state.borrow().wake_viewers();
                    }
                },
                () = sleep(QUIET.min(patience)) => break,
            }
        }
        seen
    }

    async fn output(&self, bytes: &[u8]) {
        let place = self.canvas.place().await;
        let mut state = self.state.borrow_mut();
        let (from, size) = (state.journal.end(), state.settings.current().size);
        state.journal.push(bytes);
        self.canvas.draw(bytes.to_vec(), from, size, place);
    }

    /// Hears what the program asks, for ever.
    async fn hear(&self) {
        loop {
            self.canvas.asked.notified().await;
            self.take_questions(&mut self.state.borrow_mut());
        }
    }

    /// Sees to it that what was asked is answered: by the writer's own terminal, unless there is none or it
    /// is never sent the question.
    fn take_questions(&self, state: &mut State) {
        for Question { from, to, answer } in self.canvas.questions() {
            let writer = state.settings.writer_at(from);
            match writer.and_then(|it| Some((it, state.viewers.get_mut(it)?.cursor.position()))) {
                Some((_, position)) if to <= position => {}
                Some((writer, position)) => state.asked.ask(writer, position, to, answer),
                None => self.answer(state, &answer),
            }
        }
    }

    /// Answers what was asked of this viewer in output that it is not sent: what comes before `next`.
    pub fn answer_unsent(&self, state: &mut State, viewer: u64, next: u64) {
        self.take_questions(state);
        if let Some(it) = state.viewers.get_mut(viewer) {
            let position = it.cursor.position();
            let answers = state.asked.take_unsent(viewer, position, next);
            self.answer(state, &answers);
        }
    }

    fn answer(&self, state: &mut State, answer: &[u8]) {
        state.input.answer(answer);
        self.typed.notify_one();
    }

    /// Tells the viewers that there is output, and how the terminal treats what is typed now: the kernel
    /// does not say when that changes.
    fn tell(&self, pty: &Pty) {
        let mut state = self.state.borrow_mut();
        state.line = pty.line();
        // Whoever has a full window before them can be sent nothing, and acknowledging wakes them.
        for viewer in state.viewers.iter().filter(|it| it.cursor.has_room()) {
            viewer.wake.notify_one();
        }
    }

    /// Only viewers can pause the program, and only all of them together.
    fn is_paused(&self) -> bool {
        let state = self.state.borrow();
        let end = state.journal.end();
        let waited_for = state.viewers.iter().filter(|viewer| !viewer.lags);
        let mut viewers = waited_for.peekable();
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
                    if self.state.borrow().line != pty.line() {
                        self.tell(pty);
                    }
                }
                // Nobody has the other side open; see the reading loop.
                Err(_) => sleep(REOPEN).await,
            }
        }
    }

    fn finish(&self, seen: ended::Seen) -> Exit {
        let mut state = self.state.borrow_mut();
        self.canvas.commands().finish(state.journal.end());
        let reason = state.stopping.then_some(Reason::Stopped);
        let exit = ended::exit(seen, reason);
        state.exit = Some(exit.clone());
        state.pty = None;
        state.input.clear();
        state.wake_viewers();
        self.room.notify_waiters();
        exit
    }
}

/// The time tells runs apart: also those of agents that came before this one in the sandbox.
fn new_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{:x}", now.map_or(0, |now| now.as_nanos()))
}

impl State {
    /// Makes the terminal the writer's: of its size. Tells everyone who that is.
    pub fn settle(&mut self) {
        let writer = self.viewers.writer();
        let now = self.settings.current();
        self.change(Setting {
            size: writer.map_or(now.size, |(_, viewer)| viewer.size),
            writer: writer.map(|(number, _)| number),
        });
        self.wake_viewers();
    }

    fn change(&mut self, setting: Setting) {
        let now = self.settings.current();
        if setting == now || self.exit.is_some() {
            return;
        }
        let offset = self.journal.end();
        self.settings.change(offset, setting);
        if let Some(pty) = &self.pty
            && setting.size != now.size
        {
            pty.resize(setting.size);
        }
        self.wake_viewers();
    }

    fn wake_viewers(&self) {
        for viewer in self.viewers.iter() {
            viewer.wake.notify_one();
        }
    }
}

pub fn checked(size: Size) -> Result<Size, Refusal> {
    size.checked().map_err(|error| Refusal {
        code: RefusalCode::Invalid,
        message: error.to_string(),
    })
}
