//! The agent: PID 1 of a Shellport sandbox. It owns the terminals and execs and answers servers on
//! a Unix socket.

mod account;
mod agent;
mod argv;
mod bridge;
mod clock;
mod connection;
mod dial;
mod ended;
mod events;
mod exec;
mod file;
mod init;
mod journal;
mod launch;
mod link;
mod name;
mod oom;
mod process;
mod processes;
mod reaper;
mod supervise;
mod system;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, getpid, set_parent_process_death_signal};

const USAGE: &str = "usage: shellport-agent init DIRECTORY [-- COMMAND [ARGUMENT ...]]
       shellport-agent bridge DIRECTORY
       shellport-agent keep SOCKET
       shellport-agent file REQUEST
       shellport-agent process REQUEST
       shellport-agent supervise -- COMMAND [ARGUMENT ...]
       shellport-agent launch [--session] [--tell=SOCKET] [--foreground] [--uid=N --gid=N --groups=N,...] [--cwd=PATH] -- COMMAND [ARGUMENT ...]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match arguments.next().as_deref() {
        Some("launch") => {
            follow_parent();
            let code = launch::main(arguments);
            return ExitCode::from(u8::try_from(code).unwrap_or(1));
        }
        Some("process") => {
            return ExitCode::from(process::main(&arguments.next().unwrap_or_default()));
        }
        Some("file") => return ExitCode::from(file::main(&arguments.next().unwrap_or_default())),
        Some("supervise") => {
            follow_parent();
            let argv = arguments.skip_while(|it| it == "--").collect();
            return match supervise::main(argv) {
                Ok(code) => ExitCode::from(code),
                Err(error) => complain(&format!("shellport-agent: {error}"), 126),
            };
        }
        Some("keep") => arguments
            .next()
            .and_then(|socket| socket.parse().ok())
            .map(exec::keep),
        Some("init") => arguments.next().map(|directory| {
            follow_parent();
            system::set_default_variable("SHELL", "/bin/sh");
            let command = arguments.skip_while(|it| it == "--").collect();
            init::main(&PathBuf::from(directory), command)
        }),
        Some("bridge") => arguments
            .next()
            .map(|directory| bridge::main(&PathBuf::from(directory))),
        _ => None,
    };
    match result {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => complain(&format!("shellport-agent: {error}"), 1),
        None => complain(USAGE, 2),
    }
}

/// Ends a sandbox with whoever watches it: nobody would see its end, nor to what it leaves.
fn follow_parent() {
    if getpid() == Pid::INIT {
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
}

#[expect(clippy::print_stderr, reason = "the sandbox's log is all there is")]
fn complain(message: &str, code: u8) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(code)
}
