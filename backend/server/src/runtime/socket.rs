//! The agents' sockets on this machine: a directory a session, with one socket in it.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use tokio::net::UnixStream;

use super::RuntimeError;
use crate::id::SessionId;
use crate::tree::remove_tree;

/// The socket's name in its directory.
const SOCKET: &str = "agent.sock";

/// The directory of a session's socket on this machine.
pub(super) fn directory(run: &Path, id: &SessionId) -> PathBuf {
    run.join(id.as_str())
}

/// Makes the directory of a session's socket. Whoever the agent runs as may write to it; on this
/// machine only the server gets through the directory above.
pub(super) async fn make_directory(run: &Path, id: &SessionId) -> Result<(), RuntimeError> {
    let path = directory(run, id);
    let make = async {
        tokio::fs::create_dir_all(&path).await?;
        tokio::fs::set_permissions(&path, Permissions::from_mode(0o777)).await
    };
    make.await.map_err(|cause| RuntimeError::Host {
        step: "making the directory of the agent's socket",
        cause,
    })
}

/// Removes it, with whatever the tenant has left in it.
pub(super) async fn remove_directory(run: &Path, id: &SessionId) -> Result<(), RuntimeError> {
    let path = directory(run, id);
    let removed = tokio::task::spawn_blocking(move || remove_tree(&path)).await;
    match removed.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(RuntimeError::Host {
            step: "removing the directory of the agent's socket",
            cause,
        }),
        _ => Ok(()),
    }
}

/// The sessions that have such a directory.
pub(super) async fn sessions(run: &Path) -> Result<Vec<SessionId>, RuntimeError> {
    let list = async {
        let mut found = Vec::new();
        let mut entries = tokio::fs::read_dir(run).await?;
        while let Some(entry) = entries.next_entry().await? {
            found.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok()),
            );
        }
        Ok(found)
    };
    list.await.map_err(|cause| RuntimeError::Host {
        step: "listing the directories of the agents' sockets",
        cause,
    })
}

/// Connects to the agent's socket.
///
/// The tenant can put anything into the directory, a link to a socket of this machine as well, so
/// the name is opened without following it, and what was opened is connected to, not the name. That
/// also keeps the path short enough for a socket's address.
pub(super) async fn connect(run: &Path, id: &SessionId) -> io::Result<UnixStream> {
    let socket = find(&directory(run, id))?;
    let stream = UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).await;
    drop(socket);
    stream
}

fn find(directory: &Path) -> io::Result<OwnedFd> {
    let path = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let directory = open(directory, path | OFlag::O_DIRECTORY, Mode::empty())?;
    let socket = openat(&directory, SOCKET, path, Mode::empty())?;
    let kind = SFlag::from_bits_truncate(fstat(&socket)?.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFSOCK {
        Ok(socket)
    } else {
        Err(io::Error::other("the agent's socket is not a socket"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn a_link_in_the_place_of_the_socket_is_not_followed() {
        let run = tempfile::tempdir().unwrap();
        let id = SessionId::random();
        make_directory(run.path(), &id).await.unwrap();
        let host = run.path().join("host.sock");
        let _listener = UnixListener::bind(&host).unwrap();
        let place = directory(run.path(), &id).join(SOCKET);
        symlink(&host, &place).unwrap();
        assert!(connect(run.path(), &id).await.is_err());
        std::fs::remove_file(&place).unwrap();
        std::fs::write(&place, "").unwrap();
        assert!(connect(run.path(), &id).await.is_err());
        std::fs::remove_file(&place).unwrap();
        let _agent = UnixListener::bind(&place).unwrap();
        connect(run.path(), &id).await.unwrap();
        assert_eq!(
            sessions(run.path()).await.unwrap(),
            std::slice::from_ref(&id)
        );
        remove_directory(run.path(), &id).await.unwrap();
        remove_directory(run.path(), &id).await.unwrap();
    }
}
