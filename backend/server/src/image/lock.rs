//! Locks on files, which hold between processes and end with them.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

/// How often a lock that somebody else has is tried again. The kernel's own waiting cannot be
/// cancelled.
const RETRY: Duration = Duration::from_millis(50);

/// A lock, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock on the file at `path`, which is made when it is not there, for this process
    /// alone. Safe to cancel.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn exclusive(path: &Path) -> io::Result<Self> {
        Self::take(path, File::try_lock).await
    }

    /// Takes the lock on the file at `path` together with any other that shares it. Safe to cancel.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn shared(path: &Path) -> io::Result<Self> {
        Self::take(path, File::try_lock_shared).await
    }

    /// Takes the lock, if nobody else has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    async fn take(
        path: &Path,
        attempt: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> io::Result<Self> {
        let file = open(path)?;
        loop {
            match attempt(&file) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => sleep(RETRY).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}
