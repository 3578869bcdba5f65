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

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::oom::OomCounter;

/// How the kernel says a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(Signal),
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
        let (sender, ended) = oneshot::channel();
        self.waiting.borrow_mut().insert(pid, sender);
        Ok(Process { pid, ended })
    }

    fn reap(&self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => self.tell(pid, Ended::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    let killed = signal == Signal::SIGKILL && self.oom.borrow_mut().claim();
                    self.tell(
                        pid,
                        if killed {
                            Ended::Oom
                        } else {
                            Ended::Signal(signal)
                        },
                    );
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn tell(&self, pid: Pid, ended: Ended) {
        if let Some(sender) = self.waiting.borrow_mut().remove(&pid) {
            // Whoever started it may have lost interest.
            let _ = sender.send(ended);
        }
    }
}
