//! The only unsafe code of the server.
#![expect(unsafe_code, reason = "a call that has no safe form")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// `file`, with the runtime told when it can be read or written.
///
/// # Errors
/// When the file is of a kind that cannot be waited for.
pub fn register(file: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives, and the result
    // deregisters before it drops it.
    unsafe { AsyncFd::register(file) }.map_err(Into::into)
}
