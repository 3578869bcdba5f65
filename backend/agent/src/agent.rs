//! The agent itself: the sandbox's terminals and execs, its main process, and its end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::Pid;
use shellport_wire::agent::{
    Attach, Exec as Wish, Happened, MAIN_TERMINAL, MainProcess, Open, Program, Refusal,
    RefusalCode, Status, Terminal as Description,
};
use shellport_wire::viewer::Role;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::argv::{is_shell, shown};
use crate::ended;
use crate::events::Events;
use crate::exec::{Exec, Execs};
use crate::name;
use crate::processes::{self, Scope};
use crate::reaper::Reaper;
use crate::terminal::{Painter, Terminal};

/// The most terminals, ended ones included.
const MAX_TERMINALS: usize = 32;

/// How long viewers may take to hear of the end before the agent goes.
const FAREWELL: Duration = Duration::from_secs(1);

/// The state of one sandbox.
pub struct Agent {
    reaper: Rc<Reaper>,
    painter: Painter,
    terminals: RefCell<BTreeMap<String, Rc<Terminal>>>,
    execs: Rc<Execs>,
    events: Rc<Events>,
    shell: Vec<String>,
    main: RefCell<Option<MainProcess>>,
    /// Shared by every viewer and exec.
    active: Rc<()>,
    ending: Cell<bool>,
    ended: Notify,
}

impl Agent {
    /// An agent whose sandbox has this command of its own: a shell for the terminals, or a main
    /// process, which is started.
    ///
    /// # Errors
    /// When the reaper or the painter cannot be started.
    pub fn new(command: Vec<String>) -> io::Result<Rc<Self>> {
        let is_shell = is_shell(&command);
        let events: Rc<Events> = Rc::default();
        let agent = Rc::new(Self {
            reaper: Reaper::start()?,
            painter: Painter::start()?,
            terminals: RefCell::default(),
            execs: Rc::new(Execs::new(Rc::clone(&events))),
            events,
            shell: if is_shell {
                command.clone()
            } else {
                Vec::new()
            },
            main: RefCell::default(),
            active: Rc::default(),
            ending: Cell::new(false),
            ended: Notify::new(),
        });
        if !is_shell && !command.is_empty() {
            agent.start_main(command);
        }
        Ok(agent)
    }

    /// What happens.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The execs that are there.
    pub fn execs(&self) -> &Execs {
        &self.execs
    }

    /// Runs a command.
    ///
    /// # Errors
    /// A name that is taken or not allowed, or a program that cannot be started.
    pub fn exec(&self, wish: &Wish) -> Result<Rc<Exec>, Refusal> {
        self.refuse_when_ending()?;
        self.execs.start(wish, &self.reaper, self.activity())
    }

    /// The terminal to attach to, and whether its program was started for it.
    ///
    /// # Errors
    /// No such terminal, or its program could not be started.
    pub fn attach(&self, attach: &Attach) -> Result<(Rc<Terminal>, bool), Refusal> {
        self.refuse_when_ending()?;
        let existing = self.terminals.borrow().get(&attach.terminal).cloned();
        match existing {
            Some(terminal) => {
                let writes = attach.role == Role::Writer;
                let restarts = writes && attach.restart && terminal.has_ended();
                if restarts {
                    terminal.restart(attach.size, &self.reaper, &self.painter)?;
                    self.events.tell(terminal.opened());
                }
                Ok((terminal, restarts))
            }
            None if attach.terminal == MAIN_TERMINAL => {
                let terminal = self.open(Open {
                    terminal: attach.terminal.clone(),
                    size: attach.size,
                    program: Program::default(),
                    journal: None,
                })?;
                Ok((terminal, true))
            }
            None => Err(unknown(&attach.terminal)),
        }
    }

    /// Opens a terminal.
    ///
    /// # Errors
    /// A name that is taken or not allowed, or a program that cannot be started.
    pub fn open(&self, open: Open) -> Result<Rc<Terminal>, Refusal> {
        self.refuse_when_ending()?;
        let name = open.terminal.clone();
        let refuse = |code, message| Err(Refusal { code, message });
        name::check(&name)?;
        if self.terminals.borrow().contains_key(&name) {
            let message = format!("name: there is a terminal {name:?} already");
            return refuse(RefusalCode::Exists, message);
        }
        if self.terminals.borrow().len() >= MAX_TERMINALS {
            let message = format!("there are {MAX_TERMINALS} terminals already; close one first");
            return refuse(RefusalCode::TooMany, message);
        }
        let events = Rc::clone(&self.events);
        let terminal = Terminal::open(open, &self.shell, &self.reaper, &self.painter, events)?;
        self.terminals
            .borrow_mut()
            .insert(name, Rc::clone(&terminal));
        self.events.tell(terminal.opened());
        Ok(terminal)
    }

    /// The terminal called `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, name: &str) -> Result<Rc<Terminal>, Refusal> {
        let terminal = self.terminals.borrow().get(name).cloned();
        terminal.ok_or_else(|| unknown(name))
    }

    /// Ends everything in a terminal and forgets it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn close(&self, name: &str) -> Result<(), Refusal> {
        // First out of the list, so that nobody starts its program again meanwhile.
        let terminal = self.terminals.borrow_mut().remove(name);
        terminal.ok_or_else(|| unknown(name))?.close().await;
        let terminal = name.to_owned();
        self.events.tell(Happened::TerminalClosed { terminal });
        Ok(())
    }

    /// Every terminal.
    pub fn terminals(&self) -> Vec<Description> {
        let terminals = self.terminals.borrow();
        terminals.values().map(|it| it.describe()).collect()
    }

    /// What the agent is and how it does.
    pub fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            main: self.main.borrow().clone().map(|main| MainProcess {
                argv: shown(&main.argv),
                exit: main.exit,
            }),
            active: self.active(),
        }
    }

    /// Counts a viewer or exec for as long as the result lives.
    pub fn activity(&self) -> Rc<()> {
        Rc::clone(&self.active)
    }

    fn active(&self) -> u32 {
        u32::try_from(Rc::strong_count(&self.active) - 1).unwrap_or(u32::MAX)
    }

    /// Ends every process, tells the viewers, and lets [`Self::ended`] return. While that goes on,
    /// another call does nothing.
    pub async fn shut_down(&self, grace: Duration) {
        if self.ending.replace(true) {
            return;
        }
        for terminal in self.terminals.borrow().values() {
            terminal.mark_stopping();
        }
        self.execs.mark_stopping();
        processes::end(Scope::All, grace).await;
        let deadline = Instant::now() + FAREWELL;
        while self.active() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(5)).await;
        }
        self.ended.notify_one();
    }

    /// Returns when [`Self::shut_down`] is done.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    fn refuse_when_ending(&self) -> Result<(), Refusal> {
        if self.ending.get() {
            return Err(Refusal {
                code: RefusalCode::ShuttingDown,
                message: "the session is stopping".to_owned(),
            });
        }
        Ok(())
    }

    /// Starts the sandbox's own command beside the terminals. Its output goes where the agent's
    /// does, which is the container's log.
    fn start_main(self: &Rc<Self>, argv: Vec<String>) {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["launch", "--session", "--"])
            .args(&argv)
            .stdin(Stdio::null());
        let process = self.reaper.spawn(|| {
            let child = command.spawn()?;
            let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
            Ok::<_, io::Error>(Pid::from_raw(pid))
        });
        *self.main.borrow_mut() = Some(MainProcess { argv, exit: None });
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let seen = match process {
                Ok(process) => ended::seen(process.ended.await),
                Err(_) => None,
            };
            let stopped = agent
                .ending
                .get()
                .then_some(shellport_wire::exit::Reason::Stopped);
            let exit = ended::exit(seen, stopped);
            if let Some(main) = agent.main.borrow_mut().as_mut() {
                main.exit = Some(exit.clone());
            }
            agent.events.tell(Happened::MainEnded { exit });
        });
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal {
        code: RefusalCode::NotFound,
        message: format!("there is no terminal {name:?}"),
    }
}
