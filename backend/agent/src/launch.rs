//! The last step before a program runs: `shellport-agent launch`, which becomes the program.
//!
//! A process of its own can change its user, directory and session with safe calls and report what
//! went wrong where the program's output goes, as a shell would: 127 when there is no such program,
//! 126 when it cannot run.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Uid, getpid, setgid, setgroups, setpgid, setsid, setuid, tcsetpgrp};
use rustix::termios::{Winsize, tcsetwinsize};
use shellport_wire::agent::{Program, Refusal, RefusalCode};

use crate::account::Account;
use crate::exec;
use crate::system;

/// What every terminal and exec starts with, when the sandbox's environment has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that is ready to be launched.
#[derive(Debug)]
pub struct Launch {
    /// The program's own argument vector.
    pub argv: Vec<String>,
    /// The arguments with which the agent launches it.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
}

impl Launch {
    /// Resolves `program`: its user, its shell when it names no command, its environment.
    ///
    /// `shell` is what runs when it names none; the user's own shell when that is empty too.
    ///
    /// # Errors
    /// A user that is not there, or that this sandbox cannot become.
    pub fn new(program: &Program, shell: &[String]) -> Result<Self, Refusal> {
        let invalid = |message: String| Refusal {
            code: RefusalCode::Invalid,
            message,
        };
        let current = Account::current();
        let account = match program.user.as_deref() {
            Some(spec) => Account::find(spec).map_err(|error| invalid(error.to_string()))?,
            None => current.clone(),
        };
        let switches = (account.uid, account.gid) != (current.uid, current.gid);
        if switches && current.uid != 0 {
            return Err(invalid(format!(
                "user: the sandbox runs as uid {} and cannot become uid {}; only a sandbox that \
                 runs as root can",
                current.uid, account.uid
            )));
        }
        let own_shell = account.login_shell();
        let argv = match (&program.argv[..], shell) {
            ([], []) => vec![own_shell.clone()],
            // The sandbox's shell may be one that only its own user has.
            ([], shell) if !switches => shell.to_vec(),
            ([], _) => vec![own_shell.clone()],
            (argv, _) => argv.to_vec(),
        };
        let mut arguments = Vec::new();
        if switches {
            arguments.push(format!("--uid={}", account.uid));
            arguments.push(format!("--gid={}", account.gid));
            let groups: Vec<String> = account.groups.iter().map(u32::to_string).collect();
            arguments.push(format!("--groups={}", groups.join(",")));
        }
        if let Some(cwd) = &program.cwd {
            arguments.push(format!("--cwd={cwd}"));
        }
        arguments.push("--".to_owned());
        arguments.extend(argv.iter().cloned());
        let mut env = environment(&account, &own_shell, switches);
        env.extend(program.env.clone());
        Ok(Self {
            argv,
            arguments,
            env,
        })
    }
}

/// The sandbox's environment with what a terminal's programs look for.
fn environment(account: &Account, shell: &str, switches: bool) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let home = account.home.as_deref().unwrap_or("/");
    let name = account.name.as_deref().unwrap_or_default();
    let own = [
        ("HOME", home),
        ("USER", name),
        ("LOGNAME", name),
        ("SHELL", shell),
    ];
    for (variable, value) in own {
        if switches || variable == "SHELL" || !env.contains_key(variable) {
            env.insert(variable.to_owned(), value.to_owned());
        }
    }
    let defaults = [
        ("PATH", DEFAULT_PATH),
        ("TERM", "xterm-256color"),
        ("COLORTERM", "truecolor"),
        ("LANG", "C.UTF-8"),
    ];
    for (variable, value) in defaults {
        env.entry(variable.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    env
}

/// Runs `launch` with its arguments: becomes the program, or says why not and returns the exit
/// code.
pub fn main(arguments: impl Iterator<Item = String>) -> i32 {
    system::reset_signals();
    let mut arguments = arguments;
    let mut user = Identity::default();
    let mut cwd = None;
    for argument in arguments.by_ref() {
        match argument.split_once('=') {
            _ if argument == "--" => break,
            _ if argument == "--session" => {
                // It fails when the process leads a session already, which is as good.
                let _ = setsid();
            }
            _ if argument == "--foreground" => come_to_foreground(),
            Some(("--tell", value)) => {
                let socket = value.parse().map_err(io::Error::other);
                if let Err(error) = socket.and_then(exec::tell_started) {
                    return fail(126, &format!("cannot tell of the process: {error}"));
                }
            }
            Some(("--size", value)) => resize(value),
            Some(("--uid", value)) => user.uid = value.parse().ok(),
            Some(("--gid", value)) => user.gid = value.parse().ok(),
            Some(("--groups", value)) => {
                user.groups = value
                    .split(',')
                    .filter_map(|gid| gid.parse().ok().map(Gid::from_raw))
                    .collect();
            }
            Some(("--cwd", value)) => cwd = Some(value.to_owned()),
            _ => return fail(126, &format!("{argument}: not an argument of launch")),
        }
    }
    let Some(program) = arguments.next() else {
        return fail(126, "nothing to run");
    };
    if let Err(error) = user.assume() {
        return fail(126, &format!("cannot become the user: {error}"));
    }
    if let Some(cwd) = cwd
        && let Err(error) = std::env::set_current_dir(&cwd)
    {
        return fail(126, &format!("{cwd}: {error}"));
    }
    let error = Command::new(&program).args(arguments).exec();
    let code = if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    fail(code, &format!("{program}: {error}"))
}

/// Sets the terminal's size (`COLUMNSxROWS`) before the program looks at it: not every engine does.
fn resize(size: &str) {
    let size = size.split_once('x');
    let number = |text: &str| text.parse().ok();
    if let Some((Some(ws_col), Some(ws_row))) = size.map(|(a, b)| (number(a), number(b))) {
        let size = Winsize {
            ws_col,
            ws_row,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // Without a terminal there is none to set.
        let _ = tcsetwinsize(io::stdin(), size);
    }
}

/// Makes this process, and what it becomes, the job that the terminal's keys are for, if there is a
/// terminal. Every signal is heard then: whoever supervises hears none by itself, and what it starts
/// takes after it.
fn come_to_foreground() {
    let own = getpid();
    if setpgid(own, own).is_ok() && io::stdin().is_terminal() {
        // From the background it would be told to stop for trying, if that signal were not blocked.
        let mut background = SigSet::empty();
        background.add(Signal::SIGTTOU);
        let _ = background.thread_block();
        let _ = tcsetpgrp(io::stdin(), own);
    }
    let _ = SigSet::empty().thread_set_mask();
}

#[derive(Debug, Default)]
struct Identity {
    uid: Option<u32>,
    gid: Option<u32>,
    groups: Vec<Gid>,
}

impl Identity {
    /// Groups first: they cannot be changed any more as another user.
    fn assume(self) -> nix::Result<()> {
        if let Some(gid) = self.gid {
            setgroups(&self.groups)?;
            setgid(Gid::from_raw(gid))?;
        }
        if let Some(uid) = self.uid {
            setuid(Uid::from_raw(uid))?;
        }
        Ok(())
    }
}

#[expect(clippy::print_stderr, reason = "the program's own standard error")]
fn fail(code: i32, message: &str) -> i32 {
    eprintln!("shellport: {message}");
    code
}
