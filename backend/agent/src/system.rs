//! The only unsafe code of the agent.
#![expect(
    unsafe_code,
    reason = "three calls into the system that have no safe form"
)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use tokio::io::unix::AsyncFd;

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
