//! The execs of a sandbox.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use shellport_wire::agent::{self as wire, Happened, Refusal, RefusalCode};
use tokio::time::{Instant, timeout};

use super::pipe::start;
use super::{Exec, Plan, run};
use crate::argv::shown;
use crate::events::Events;
use crate::launch::Launch;
use crate::name;
use crate::reaper::Reaper;

/// The most execs that run at once.
const MAX_RUNNING: usize = 256;

/// The most that have ended and are kept. The oldest are forgotten first, but those before them
/// whose end nobody has been told and somebody may come back for.
const MAX_ENDED: usize = 64;

/// And the most bytes that those have in their journals.
const MAX_KEPT: usize = 2 * 1024 * 1024;

/// Every exec that runs, and those that ended last.
pub struct Execs {
    events: Rc<Events>,
    all: RefCell<HashMap<String, Rc<Exec>>>,
    /// The names of those that have ended, the oldest first.
    ended: RefCell<VecDeque<String>>,
    /// How many there have been.
    count: Cell<u64>,
}

impl Execs {
    /// None yet. What happens to them goes to `events`.
    pub fn new(events: Rc<Events>) -> Self {
        Self {
            events,
            all: RefCell::default(),
            ended: RefCell::default(),
            count: Cell::default(),
        }
    }

    /// Starts a command, which counts as `activity` while it runs; or finds it, when the same request has
    /// started it before.
    ///
    /// # Errors
    /// A name that is taken or not allowed, too many that run, or a program that cannot be started.
    pub fn start(
        self: &Rc<Self>,
        wish: &wire::Exec,
        reaper: &Rc<Reaper>,
        activity: Rc<()>,
    ) -> Result<Rc<Exec>, Refusal> {
        let refuse = |code, message| Err(Refusal { code, message });
        let name = wish.exec.clone();
        name::check(&name)?;
        if let Some(exec) = self.all.borrow().get(&name) {
            if exec.is_same(wish.fingerprint.as_deref()) {
                return Ok(Rc::clone(exec));
            }
            let message = format!("there is an exec {name:?} already");
            return refuse(RefusalCode::Exists, message);
        }
        if self.all.borrow().len() - self.ended.borrow().len() >= MAX_RUNNING {
            let message = format!("{MAX_RUNNING} execs run already; stop one first");
            return refuse(RefusalCode::TooMany, message);
        }
        if wish.program.argv.is_empty() {
            let message = "argv: an exec needs at least one argument".to_owned();
            return refuse(RefusalCode::Invalid, message);
        }
        let launch = Launch::new(&wish.program, &[])?;
        let started = start(&launch, wish.stdin, reaper).map_err(|error| Refusal {
            code: RefusalCode::StartFailed,
            message: format!("cannot start a process: {error}"),
        })?;
        let number = self.count.get() + 1;
        self.count.set(number);
        let grace = wish.grace_ms.map_or(wire::GRACE, Duration::from_millis);
        let exec = Rc::new(Exec::new(Plan {
            number,
            argv: launch.argv,
            fingerprint: wish.fingerprint.clone(),
            private: wish.private,
            linger: wish.linger_ms.map(Duration::from_millis),
            grace,
            stdin: wish.stdin,
            keeper: started.keeper.process.pid,
        }));
        let limit = wish.timeout_ms.map(Duration::from_millis);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.all.borrow_mut().insert(name.clone(), Rc::clone(&exec));
        if !exec.private {
            self.events.tell(Happened::ExecStarted {
                exec: name.clone(),
                argv: shown(&exec.argv),
            });
        }
        tokio::task::spawn_local({
            let (execs, exec) = (Rc::clone(self), Rc::clone(&exec));
            let reaper = Rc::clone(reaper);
            async move {
                let keeper = run::run(&exec, started, deadline, &reaper).await;
                if exec.private {
                    // Whoever follows it may come back until then.
                    let told = exec.until(|state| state.told || state.abandoned);
                    let _ = timeout(exec.linger.unwrap_or_default(), told).await;
                    execs.all.borrow_mut().remove(&name);
                } else {
                    execs.events.tell(exec.ended(&name));
                    execs.retire(name);
                }
                drop(activity);
                // What the program has left behind goes on, and can still be stopped.
                let _ = keeper.process.ended.await;
                exec.state.borrow_mut().keeper = None;
            }
        });
        Ok(exec)
    }

    /// The exec called `name`.
    ///
    /// # Errors
    /// When there is none, or it ended too long ago.
    pub fn find(&self, name: &str) -> Result<Rc<Exec>, Refusal> {
        let exec = self.all.borrow().get(name).cloned();
        exec.ok_or_else(|| Refusal {
            code: RefusalCode::NotFound,
            message: format!("there is no exec {name:?}"),
        })
    }

    /// Those after the one with this number, the oldest first, and whether there are more than are told.
    pub fn list(&self, number: u64) -> (Vec<wire::ExecStatus>, bool) {
        let all = self.all.borrow();
        let mut after: Vec<_> = all.iter().collect();
        after.retain(|(_, exec)| exec.number > number && !exec.private);
        after.sort_unstable_by_key(|(_, exec)| exec.number);
        let more = after.len() > wire::MAX_LISTED;
        after.truncate(wire::MAX_LISTED);
        let told = after.iter().map(|(name, exec)| exec.describe(name));
        (told.collect(), more)
    }

    /// One exec.
    ///
    /// # Errors
    /// When there is none.
    pub fn look_at(&self, name: &str) -> Result<wire::ExecStatus, Refusal> {
        Ok(self.find(name)?.describe(name))
    }

    /// Signals the process group of an exec's program.
    ///
    /// # Errors
    /// When there is no such exec or signal, or its program has ended.
    pub async fn signal(&self, name: &str, signal: &str) -> Result<(), Refusal> {
        let exec = self.find(name)?;
        let signal: Signal = signal.parse().map_err(|_| Refusal {
            code: RefusalCode::Invalid,
            message: format!("signal: there is no {signal:?}; one is SIGINT"),
        })?;
        exec.started().await;
        let leader = exec.state.borrow().program.leader();
        // Between its last look at the program and the kernel's, it may have ended.
        let sent = leader.map(|leader| killpg(leader, signal));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(Refusal {
                code: RefusalCode::Ended,
                message: format!("the program of exec {name:?} has ended"),
            }),
        }
    }

    /// Ends an exec's processes, as our doing, and returns when they have gone.
    ///
    /// # Errors
    /// When there is none.
    pub async fn stop(&self, name: &str, grace: Duration) -> Result<(), Refusal> {
        let exec = self.find(name)?;
        exec.stopping();
        exec.end(grace).await;
        exec.until(|state| state.exit.is_some()).await;
        Ok(())
    }

    /// Forgets an exec and what it wrote. It has been stopped.
    pub fn forget(&self, name: &str) {
        self.all.borrow_mut().remove(name);
        self.ended.borrow_mut().retain(|it| it != name);
    }

    /// From now on, every end is our doing.
    pub fn mark_stopping(&self) {
        for exec in self.all.borrow().values() {
            exec.stopping();
        }
    }

    fn retire(&self, name: String) {
        let mut ended = self.ended.borrow_mut();
        let mut all = self.all.borrow_mut();
        ended.push_back(name);
        let kept = |name: &String| all.get(name).map_or(0, |exec| exec.kept());
        let mut sum: usize = ended.iter().map(kept).sum();
        while ended.len() > MAX_ENDED || sum > MAX_KEPT {
            let settled = |name: &String| all.get(name).is_none_or(|exec| exec.is_settled());
            let first = ended.iter().position(settled).unwrap_or(0);
            let Some(exec) = ended.remove(first).and_then(|name| all.remove(&name)) else {
                return;
            };
            sum -= exec.kept();
        }
    }
}
