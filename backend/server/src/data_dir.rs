//! The data directory: everything of one instance of the server on this machine.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::id::random_tag;

/// How long the lock may stay taken after a server was killed: a process that it had forked and
/// that has not yet become another program still has it.
const PATIENCE: Duration = Duration::from_secs(3);

/// The file that says where the server of a data directory listens, or has listened last.
pub const ADDRESS: &str = "address";

/// A data directory that nobody else uses.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    instance: String,
    /// Holds the lock.
    _lock: File,
}

/// A data directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system's own error.
    #[error("cannot use the data directory {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// Another server uses it.
    #[error("another server uses the data directory {0}; give this one its own with --data-dir")]
    InUse(PathBuf),
}

impl DataDir {
    /// Takes the directory at `path`; it is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be used, or another server uses it.
    pub async fn take(path: &Path) -> Result<Self, DataDirError> {
        let io = |error| DataDirError::Io(path.to_owned(), error);
        let run = path.join("run");
        if !path.exists() {
            fs::create_dir_all(path).map_err(io)?;
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io)?;
        }
        fs::create_dir_all(&run).map_err(io)?;
        // The sockets in there must not be reached past the server.
        fs::set_permissions(&run, Permissions::from_mode(0o700)).map_err(io)?;
        let path = fs::canonicalize(path).map_err(io)?;
        let lock = File::create(path.join("lock")).map_err(io)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse(path)),
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
        let instance = instance(&path.join("instance")).map_err(io)?;
        Ok(Self {
            path,
            instance,
            _lock: lock,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name that marks what belongs to this instance.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Notes where the server listens, for clients of this machine.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn note_address(&self, address: SocketAddr) -> Result<(), DataDirError> {
        let path = self.path.join(ADDRESS);
        fs::write(&path, format!("{address}\n")).map_err(|error| DataDirError::Io(path, error))
    }

    /// Where the agents' sockets are.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }
}

/// The instance's name, made at first.
fn instance(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            let name = random_tag();
            fs::write(path, format!("{name}\n"))?;
            Ok(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_used_by_one_server_and_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let first = DataDir::take(&path).await.unwrap();
        let error = DataDir::take(&path).await.unwrap_err();
        assert!(matches!(error, DataDirError::InUse(_)), "{error}");
        let name = first.instance().to_owned();
        drop(first);
        assert_eq!(DataDir::take(&path).await.unwrap().instance(), name);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[tokio::test]
    async fn is_taken_over_from_a_server_that_is_just_going() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDir::take(directory.path()).await.unwrap();
        let second = DataDir::take(directory.path());
        let going = async {
            sleep(PATIENCE / 10).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, going);
        second.unwrap();
    }
}
