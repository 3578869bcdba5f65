//! The only place that waits for processes.
//!
//! As PID 1 (or as a subreaper) the agent inherits every orphan of the sandbox, so it has to wait
//! for any child at all. Were anything else in this program to wait too, the two would take each
//! other's exit codes. All processes are therefore started through [`Reaper::spawn`], which notes
//! the process before control goes back to the loop that reaps it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::oom::OomCounter;

/// How the kernel says a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By the signal with this number.
    Signal(i32),
    /// By the kernel, for lack of memory.
    Oom,
}

/// A process that was started through the [`Reaper`].
#[derive(Debug)]
pub struct Process {
    /// Its id, valid until [`Self::ended`] has answered.
    pub pid: Pid,
    /// Answers once, when the process has ended.
    pub ended: oneshot::Receiver<Ended>,
}

/// Waits for every child; see the module.
#[derive(Debug)]
pub struct Reaper {
    waiting: RefCell<HashMap<Pid, oneshot::Sender<Ended>>>,
    oom: RefCell<OomCounter>,
}

impl Reaper {
    /// Starts reaping in a task of the current [`tokio::task::LocalSet`].
    ///
    /// # Errors
    /// When the handler of SIGCHLD cannot be installed.
    pub fn start() -> io::Result<Rc<Self>> {
        let mut children = signal(SignalKind::child())?;
        let reaper = Rc::new(Self {
            waiting: RefCell::default(),
            oom: RefCell::new(OomCounter::new()),
        });
        let reaping = Rc::clone(&reaper);
        tokio::task::spawn_local(async move {
            while children.recv().await.is_some() {
                reaping.reap();
            }
        });
        Ok(reaper)
    }

    /// Starts a process with `start`, which returns its id, and says when it has ended.
    ///
    /// # Errors
    /// Those of `start`.
    pub fn spawn<E>(&self, start: impl FnOnce() -> Result<Pid, E>) -> Result<Process, E> {
        let pid = start()?;
        let ended = self.watch(pid);
        Ok(Process { pid, ended })
    }

    /// Says when a process has ended that may come to be a child of this one, until it is forgotten.
    pub fn watch(&self, pid: Pid) -> oneshot::Receiver<Ended> {
        let (sender, ended) = oneshot::channel();
        self.waiting.borrow_mut().insert(pid, sender);
        ended
    }

    /// The process was somebody else's child, and has ended.
    pub fn forget(&self, pid: Pid) {
        self.waiting.borrow_mut().remove(&pid);
    }

    /// What it means that a process was ended by `signal` just now.
    pub fn by_signal(&self, signal: i32) -> Ended {
        if signal == Signal::SIGKILL as i32 && self.oom.borrow_mut().claim() {
            Ended::Oom
        } else {
            Ended::Signal(signal)
        }
    }

    fn reap(&self) {
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG) {
                Ok(Some(ended)) => ended,
                Err(Errno::INTR) => continue,
                // None has ended, or there is none.
                Ok(None) | Err(_) => return,
            };
            let ended = match status.terminating_signal() {
                Some(signal) => self.by_signal(signal),
                None => Ended::Code(status.exit_status().unwrap_or_default()),
            };
            self.tell(Pid::from_raw(pid.as_raw_nonzero().get()), ended);
        }
    }

    fn tell(&self, pid: Pid, ended: Ended) {
        if let Some(sender) = self.waiting.borrow_mut().remove(&pid) {
            // Whoever started it may have lost interest.
            let _ = sender.send(ended);
        }
    }
}
