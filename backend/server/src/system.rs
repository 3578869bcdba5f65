//! The only unsafe code of the server.
#![expect(unsafe_code, reason = "a call that has no safe form")]

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
use std::ffi::{CStr, c_char, c_int};
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

/// Makes a static program look names up in files and by DNS only, which it can by itself. The C library
/// would load what else the machine's `nsswitch.conf` names, made for another C library than this one.
/// There must be no other thread.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
pub fn look_names_up_alone() {
    unsafe extern "C" {
        /// <https://sourceware.org/git/?p=glibc.git;a=blob;f=nss/nss_database.c>
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    let all: [(&CStr, &CStr); 3] = [
        (c"hosts", c"files dns"),
        (c"passwd", c"files"),
        (c"group", c"files"),
    ];
    for (database, services) in all {
        // SAFETY: both are strings that end with a zero and outlive the call, which reads them only.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}

/// Does nothing: a program that is not static has the machine's own C library.
#[cfg(not(all(target_env = "gnu", target_feature = "crt-static")))]
pub fn look_names_up_alone() {}
