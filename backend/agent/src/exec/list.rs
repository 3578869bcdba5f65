//! The execs of a sandbox.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use shellport_wire::agent::{self as wire, Refusal, RefusalCode};
use tokio::time::Instant;

use super::input::Input;
use super::pipe::start;
use super::{Exec, run};
use crate::launch::Launch;
use crate::name;
use crate::processes::{self, Scope};
use crate::reaper::Reaper;

/// The most execs that run at once.
const MAX_RUNNING: usize = 256;

/// The most that have ended and are kept. The oldest are forgotten first, but those before them
/// whose end nobody has been told and somebody may come back for.
const MAX_ENDED: usize = 64;

/// And the most bytes that those have in their journals.
const MAX_KEPT: usize = 2 * 1024 * 1024;

/// Every exec that runs, and those that ended last.
#[derive(Default)]
pub struct Execs {
    all: RefCell<HashMap<String, Rc<Exec>>>,
    /// The names of those that have ended, the oldest first.
    ended: RefCell<VecDeque<String>>,
}

impl Execs {
    /// Starts a command, which counts as `activity` while it runs.
    ///
    /// # Errors
    /// A name that is taken or not allowed, too many that run, or a program that cannot be started.
    pub fn start(
        self: &Rc<Self>,
        wish: &wire::Exec,
        reaper: &Reaper,
        activity: Rc<()>,
    ) -> Result<Rc<Exec>, Refusal> {
        let refuse = |code, message| Err(Refusal { code, message });
        let name = wish.exec.clone();
        name::check(&name)?;
        if self.all.borrow().contains_key(&name) {
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
        let linger = wish.linger_ms.map(Duration::from_millis);
        let input = Input::new(wish.stdin);
        let exec = Rc::new(Exec::new(linger, started.process.pid, input));
        let timeout = wish.timeout_ms.map(Duration::from_millis);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.all.borrow_mut().insert(name.clone(), Rc::clone(&exec));
        tokio::task::spawn_local({
            let (execs, exec) = (Rc::clone(self), Rc::clone(&exec));
            async move {
                run::run(&exec, started, deadline).await;
                execs.retire(name);
                drop(activity);
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

    /// Ends an exec's processes, as our doing, and returns when they have gone.
    ///
    /// # Errors
    /// When there is none.
    pub async fn stop(&self, name: &str, grace: Duration) -> Result<(), Refusal> {
        let leader = self.find(name)?.stopping();
        if let Some(leader) = leader {
            processes::end(Scope::Session(leader), grace).await;
        }
        Ok(())
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
