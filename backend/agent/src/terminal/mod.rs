//! A terminal: a program on a PTY, which may be started again when it has ended.
//!
//! A start and all that came of it is a [`Run`]. Its viewers stay with it: one that has not read
//! everything yet when the program is started again reads on, to the exit.

mod asked;
mod attach;
mod commands;
mod input;
mod listener;
mod painter;
mod paste;
mod pty;
mod run;
mod screen;
mod snapshot;
mod viewer;
mod viewers;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use shellport_wire::agent::{self as wire, Happened, Refusal, RefusalCode};
use shellport_wire::exit::Exit;
use shellport_wire::viewer::Size;

use self::input::Input;
use self::run::Run;
use crate::events::Events;
use crate::journal::Journal;
use crate::launch::Launch;
use crate::processes;
use crate::reaper::Reaper;

pub use self::attach::serve;
pub use self::painter::Painter;

/// Between asking a closed terminal's processes to end and killing them.
const GRACE: Duration = Duration::from_secs(2);

/// A terminal; see the module.
pub struct Terminal {
    name: String,
    open: wire::Open,
    shell: Vec<String>,
    events: Rc<Events>,
    run: RefCell<Rc<Run>>,
    /// Shared by every viewer.
    viewers: Rc<()>,
}

impl Terminal {
    /// Opens a terminal and starts its program; `shell` is the sandbox's own. Its ends go to `events`.
    ///
    /// # Errors
    /// When the size, the user or the program is not possible.
    pub fn open(
        open: wire::Open,
        shell: &[String],
        reaper: &Reaper,
        painter: &Painter,
        events: Rc<Events>,
    ) -> Result<Rc<Self>, Refusal> {
        let launch = Launch::new(&open.program, shell)?;
        let run = Run::start(
            launch,
            open.size,
            Journal::new(0, capacity(&open)?),
            Input::default(),
            reaper,
            painter.clone(),
            Self::at_end(&open.terminal, &events),
        )?;
        Ok(Rc::new(Self {
            events,
            name: open.terminal.clone(),
            open,
            shell: shell.to_vec(),
            run: RefCell::new(run),
            viewers: Rc::new(()),
        }))
    }

    /// Starts the program again after it has ended. Offsets go on; the screen starts empty.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn restart(&self, size: Size, reaper: &Reaper, painter: &Painter) -> Result<(), Refusal> {
        let ended = self.run();
        if !self.has_ended() {
            return Ok(());
        }
        let launch = Launch::new(&self.open.program, &self.shell)?;
        let (journal, input) = {
            let state = ended.state.borrow();
            let journal = Journal::new(state.journal.end(), capacity(&self.open)?);
            (journal, state.input.restarted())
        };
        let at_end = Self::at_end(&self.name, &self.events);
        let painter = painter.clone();
        *self.run.borrow_mut() = Run::start(launch, size, journal, input, reaper, painter, at_end)?;
        Ok(())
    }

    /// Tells of the end of its program.
    fn at_end(name: &str, events: &Rc<Events>) -> impl FnOnce(Exit) + 'static {
        let (terminal, events) = (name.to_owned(), Rc::clone(events));
        move |exit| events.tell(Happened::TerminalEnded { terminal, exit })
    }

    /// What is told of its start.
    pub fn opened(&self) -> Happened {
        let wire::Terminal { terminal, argv, .. } = self.describe();
        Happened::TerminalOpened { terminal, argv }
    }

    /// What the agent tells about it.
    pub fn describe(&self) -> wire::Terminal {
        self.run().describe(&self.name)
    }

    /// The commands that its shell has run after the one with this number, and whether there are more than are told.
    pub fn commands(&self, number: u64) -> (Vec<wire::Command>, bool) {
        self.run().canvas.commands().after(number)
    }

    /// Whether its program has ended.
    pub fn has_ended(&self) -> bool {
        self.run().state.borrow().exit.is_some()
    }

    /// Sets the size. Output from here on is made for it.
    ///
    /// # Errors
    /// When the size is not allowed.
    pub fn resize(&self, size: Size) -> Result<(), Refusal> {
        self.run().resize(size)
    }

    /// Ends every process of the terminal, those that its program has left behind as well, and says so
    /// to its viewers.
    pub async fn close(&self) {
        processes::end(self.run().stopping(), GRACE).await;
    }

    /// From now on, an end of the program is our doing.
    pub fn mark_stopping(&self) {
        self.run().stopping();
    }

    /// The latest start of its program.
    fn run(&self) -> Rc<Run> {
        Rc::clone(&self.run.borrow())
    }
}

/// How many bytes of output it keeps.
fn capacity(open: &wire::Open) -> Result<usize, Refusal> {
    let bytes = open.journal.unwrap_or(wire::TERMINAL_JOURNAL);
    let allowed = wire::MIN_TERMINAL_JOURNAL..=wire::MAX_TERMINAL_JOURNAL;
    let bytes = usize::try_from(bytes)
        .ok()
        .filter(|_| allowed.contains(&bytes));
    bytes.ok_or_else(|| Refusal {
        code: RefusalCode::Invalid,
        message: format!("a journal has {allowed:?} bytes"),
    })
}
