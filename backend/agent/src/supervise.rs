//! `shellport-agent supervise`: the first process of a container that has a program and no agent. It
//! starts the program, passes signals on to it, waits for whatever is orphaned, and ends as it does.
//!
//! As the first process itself, a program would not get the signals that it does not handle, and few
//! wait for the orphans of others.

use std::io;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Signals that are this process's own business.
const OWN: [Signal; 8] = [
    Signal::SIGCHLD,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGABRT,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// Runs the program, and returns its exit code, or 128 and the number of its signal.
///
/// # Errors
/// When it cannot be started at all.
pub fn main(argv: Vec<String>) -> io::Result<u8> {
    let signals = SigSet::all();
    signals.thread_block()?;
    let child = Command::new("/proc/self/exe")
        .args(["launch", "--foreground", "--"])
        .args(argv)
        .spawn()?;
    let program = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => {
                if let Some(code) = reap(program) {
                    return Ok(code);
                }
            }
            signal if OWN.contains(&signal) => {}
            // It may have ended just now.
            signal => {
                let _ = kill(program, signal);
            }
        }
    }
}

/// Waits for everyone who has ended; the code of the program, if it is among them.
fn reap(program: Pid) -> Option<u8> {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
    loop {
        match waitpid(None, Some(flags)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => {
                return u8::try_from(code).ok();
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                return u8::try_from(128 + signal as i32).ok();
            }
            // There is no shell above it that could let it go on.
            Ok(WaitStatus::Stopped(pid, Signal::SIGTSTP)) if pid == program => {
                let _ = kill(Pid::from_raw(-pid.as_raw()), Signal::SIGCONT);
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return None,
            _ => {}
        }
    }
}
