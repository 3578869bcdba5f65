//! The only unsafe code of the agent.
#![expect(
    unsafe_code,
    reason = "six calls into the system that have no safe form"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::io::unix::AsyncFd;

use crate::reaper::Ended;

/// A descriptor of our own for the open file behind `fd`, closed on exec.
///
/// # Errors
/// When the process has no descriptor left, or `fd` is not open.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the borrow ends with this call, during which the caller holds the owner of `fd`,
    // and no other thread of the agent closes descriptors.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned()
}

/// The descriptor that this process was started with as `fd`, from now on closed on exec.
///
/// # Errors
/// When there is none, or it is one of the standard streams.
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= 2 {
        return Err(io::Error::other("not a descriptor of our own"));
    }
    // SAFETY: called once, at the start of `main`, when nothing in this process has opened anything; so
    // whatever has this number came from the parent, which gave it to us alone. That it is open is found
    // out by the next call, before anything else is done with it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Waits until a child has ended, and says which and how. It is still to be waited for: whoever would have it in
/// this one's place sees the same.
///
/// # Errors
/// When there is no child, and interruptions.
pub fn ended_child() -> io::Result<(Pid, Ended)> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `info` is a place for what the call writes, and the flags ask for no reaping.
    let failed = unsafe {
        libc::waitid(
            libc::P_ALL,
            0,
            info.as_mut_ptr(),
            libc::WEXITED | libc::WNOWAIT,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroes are a valid value of it, and after a successful call it has the fields of a child.
    let (pid, code, status) = unsafe {
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    let ended = match code {
        libc::CLD_EXITED => Ended::Code(status),
        _ => Ended::Signal(status),
    };
    Ok((Pid::from_raw(pid), ended))
}

/// Gives every signal its default meaning. Whoever started this process may have had it ignore some, as `nohup`
/// does, and a shell in the background.
pub fn reset_signals() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        // SAFETY: no handler is installed, so no code of ours runs at a signal. SIGKILL and SIGSTOP are
        // refused, and are what they are.
        let _ = unsafe { sigaction(signal, &default) };
    }
}

/// `file`, with the runtime told when it can be read or written.
///
/// # Errors
/// When the file is of a kind that cannot be waited for.
pub fn register(file: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives, and the result
    // deregisters before it drops it.
    unsafe { AsyncFd::register(file) }.map_err(Into::into)
}

/// Sets a variable of this process, when it has none of that name.
///
/// portable-pty asks the C library for the user's shell when `SHELL` is missing, and a static
/// binary that does so may load a name service of the image's own C library, which crashes.
pub fn set_default_variable(name: &str, value: &str) {
    if std::env::var_os(name).is_none() {
        // SAFETY: called at the start of `main`, before any thread or runtime exists.
        unsafe { std::env::set_var(name, value) };
    }
}
