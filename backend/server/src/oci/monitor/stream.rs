//! Descriptors that are read and written without blocking: pipes, and the masters of terminals.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::system::register;

/// A pipe or terminal.
#[derive(Clone, Debug)]
pub struct Stream(Rc<AsyncFd<OwnedFd>>);

impl Stream {
    /// Takes over a descriptor.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(fd: impl Into<OwnedFd>) -> io::Result<Self> {
        let fd = fd.into();
        fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
        Ok(Self(Rc::new(register(fd)?)))
    }

    /// The descriptor.
    pub fn fd(&self) -> &OwnedFd {
        self.0.get_ref()
    }

    /// Reads what is there, and waits for it; 0 at the end. Safe to cancel.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = |fd: &OwnedFd| rustix::io::read(fd, &mut *buffer).map_err(Into::into);
        match self.0.async_io(Interest::READABLE, |fd| read(fd)).await {
            // What a terminal says that nobody has open any more.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(0),
            result => result,
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let write = |fd: &OwnedFd| rustix::io::write(fd, bytes).map_err(Into::into);
            let count = self.0.async_io(Interest::WRITABLE, write).await?;
            bytes = &bytes[count..];
        }
        Ok(())
    }
}
