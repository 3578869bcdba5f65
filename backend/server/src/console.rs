//! The console socket of OCI runtimes.
//!
//! An OCI runtime that makes a container with a terminal (`create --console-socket PATH`) opens the
//! pseudo-terminal inside the container and sends its master over a Unix socket that the caller
//! listens on. This is the caller's side of it:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use shellport::console::ConsoleSocket;
//! use tokio::process::Command;
//!
//! let socket = ConsoleSocket::new(std::env::temp_dir())?;
//! let mut create = Command::new("runc");
//! create.args(["create", "--bundle", "/path/to/bundle", "--console-socket"]);
//! create.arg(socket.path()).arg("name");
//! let mut create = create.spawn()?;
//! let master = socket.receive(ConsoleSocket::PATIENCE).await?;
//! // `master` is the terminal: set its size, `runc start name`, read and write it.
//! # create.wait().await?; drop(master);
//! # Ok(())
//! # }
//! ```
//!
//! A runtime that fails never connects, so whoever waits for the socket should wait for the
//! runtime's own end as well (`tokio::select!`), and report that first.
//!
//! What is sent beside the descriptor differs from runtime to runtime and means nothing: crun sends
//! a space, runc the name of the terminal, youki `/dev/ptmx`.

use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use rustix::pty::ptsname;
use tempfile::TempDir;
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// The longest path of a Unix socket: `sun_path` in unix(7) holds 108 bytes with the NUL at the
/// end.
const MAX_PATH: usize = 107;

/// More bytes beside the descriptor than any runtime sends.
const MAX_PAYLOAD: usize = 4096;

/// Descriptors that are taken in, to be closed again when there are more than one.
const MAX_DESCRIPTORS: usize = 16;

/// Why no terminal came.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The socket could not be made.
    #[error("no console socket can be made in {directory}: {cause}")]
    Make {
        /// Where.
        directory: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The address would not fit.
    #[error("the console socket {path} has a path of {length} bytes; the most is {MAX_PATH}")]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its bytes.
        length: usize,
    },
    /// The runtime did not send in time.
    #[error(
        "no terminal came over the console socket {path} within {}",
        humantime::format_duration(*.limit)
    )]
    Timeout {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the console socket {path}: {cause}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// What came is not one descriptor.
    #[error("the runtime sent {count} descriptors over the console socket {path} instead of one")]
    Count {
        /// The socket.
        path: PathBuf,
        /// How many came, or at least came.
        count: usize,
    },
    /// What came is no terminal.
    #[error(
        "what the runtime sent over the console socket {path} is not the master of a pseudo-terminal: {cause}"
    )]
    NotATerminal {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A socket for one terminal, in a directory of its own that only this user can enter. Both are
/// removed when it is dropped, however it ends.
#[derive(Debug)]
pub struct ConsoleSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Removes itself.
    _directory: TempDir,
}

impl ConsoleSocket {
    /// How long to wait for the terminal, unless there is a reason for another time.
    pub const PATIENCE: Duration = Duration::from_secs(5);

    /// Makes a socket in a new directory (mode 0700) below `parent`. Any number of them can be
    /// made at once.
    ///
    /// # Errors
    /// When `parent` cannot be written to, or the socket's path would be longer than 107 bytes.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn new(parent: impl AsRef<Path>) -> Result<Self, ConsoleError> {
        let parent = parent.as_ref();
        let failed = |cause| ConsoleError::Make {
            directory: parent.to_owned(),
            cause,
        };
        let directory = tempfile::Builder::new()
            .prefix("console-")
            .tempdir_in(parent)
            .map_err(failed)?;
        let path = directory.path().join("tty.sock");
        let length = path.as_os_str().as_bytes().len();
        if length > MAX_PATH {
            return Err(ConsoleError::TooLong { path, length });
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        Ok(Self {
            listener,
            path,
            _directory: directory,
        })
    }

    /// What to tell the runtime.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Variables that tell a program in the container of the socket, for callers who want them there.
    /// Nothing sets them otherwise.
    pub fn variables(&self) -> [(&'static str, OsString); 2] {
        [
            ("CONSOLE_SOCKET", self.path.clone().into()),
            ("CONTAINER_WRAPPED", "1".into()),
        ]
    }

    /// Waits for the terminal at most as long as `limit`, and returns its master: close-on-exec and
    /// checked to be one. Safe to cancel.
    ///
    /// # Errors
    /// Anything else than one message with one pseudo-terminal in it. Whatever descriptors came are
    /// closed.
    pub async fn receive(self, limit: Duration) -> Result<OwnedFd, ConsoleError> {
        let path = self.path.clone();
        let master = match timeout(limit, self.receive_one()).await {
            Ok(received) => received?,
            Err(_) => return Err(ConsoleError::Timeout { path, limit }),
        };
        // Only a master has a number of its own among the pseudo-terminals (`TIOCGPTN`).
        match ptsname(&master, Vec::new()) {
            Ok(_) => Ok(master),
            Err(cause) => Err(ConsoleError::NotATerminal {
                path,
                cause: cause.into(),
            }),
        }
    }

    async fn receive_one(&self) -> Result<OwnedFd, ConsoleError> {
        let path = || self.path.clone();
        let broken = |cause| ConsoleError::Broken {
            path: path(),
            cause,
        };
        let (stream, _) = self.listener.accept().await.map_err(broken)?;
        let (mut descriptors, truncated) = stream
            .async_io(Interest::READABLE, || take(&stream))
            .await
            .map_err(broken)?;
        match (descriptors.len(), truncated) {
            (1, false) => Ok(descriptors.remove(0)),
            (count, _) => Err(ConsoleError::Count {
                path: path(),
                count,
            }),
        }
    }
}

/// The descriptors of the next message, and whether there were more of them.
fn take(stream: &UnixStream) -> io::Result<(Vec<OwnedFd>, bool)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut payload = [0; MAX_PAYLOAD];
    let message = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut payload)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let descriptors = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((descriptors, message.flags.contains(ReturnFlags::CTRUNC)))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream;

    use rustix::io::{FdFlags, fcntl_getfd};
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use rustix::pty::{OpenptFlags, openpt, unlockpt};

    use super::*;

    fn master() -> OwnedFd {
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap()
    }

    /// What a runtime does.
    fn send(path: &Path, payload: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let stream = UnixStream::connect(path).unwrap();
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(64))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        sendmsg(
            &stream,
            &[IoSlice::new(payload)],
            &mut control,
            SendFlags::empty(),
        )
        .unwrap();
    }

    fn socket(parent: &TempDir) -> ConsoleSocket {
        ConsoleSocket::new(parent.path()).unwrap()
    }

    fn is_empty(parent: &TempDir) -> bool {
        parent.path().read_dir().unwrap().next().is_none()
    }

    #[tokio::test]
    async fn a_terminal_comes_whatever_is_said_beside_it() {
        let parent = tempfile::tempdir().unwrap();
        for payload in [&b" "[..], b"/dev/pts/0", b"/dev/ptmx"] {
            let (socket, sent) = (socket(&parent), master());
            assert_eq!(socket.variables()[0].1, socket.path());
            send(socket.path(), payload, &[sent.as_fd()]);
            let received = socket.receive(ConsoleSocket::PATIENCE).await.unwrap();
            let name = |fd: &OwnedFd| ptsname(fd, Vec::new()).unwrap();
            assert_eq!(name(&received), name(&sent));
            assert!(fcntl_getfd(&received).unwrap().contains(FdFlags::CLOEXEC));
        }
        assert!(is_empty(&parent));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let (one, two, file) = (master(), master(), File::open("/dev/null").unwrap());
        unlockpt(&one).unwrap();
        let slave = ptsname(&one, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::open(slave).unwrap();
        let many = [one.as_fd(); MAX_DESCRIPTORS + 8];
        for (descriptors, expected) in [
            (&[][..], "sent 0 descriptors"),
            (&[one.as_fd(), two.as_fd()], "sent 2 descriptors"),
            (&many, "instead of one"),
            (&[file.as_fd()], "not the master of a pseudo-terminal"),
            (&[slave.as_fd()], "not the master of a pseudo-terminal"),
        ] {
            let socket = socket(&parent);
            let path = socket.path().to_owned();
            send(&path, b"x", descriptors);
            let error = socket.receive(ConsoleSocket::PATIENCE).await.unwrap_err();
            let message = error.to_string();
            assert!(message.contains(expected), "{message}");
            assert!(message.contains(&*path.to_string_lossy()), "{message}");
        }
        assert!(is_empty(&parent));
    }

    #[tokio::test]
    async fn a_runtime_that_does_not_send_is_not_waited_for() {
        let parent = tempfile::tempdir().unwrap();
        let limit = Duration::from_millis(50);
        let silent = socket(&parent);
        let message = silent.receive(limit).await.unwrap_err().to_string();
        assert!(message.contains("within 50ms"), "{message}");
        let connected = socket(&parent);
        let _stream = UnixStream::connect(connected.path()).unwrap();
        assert!(matches!(
            connected.receive(limit).await,
            Err(ConsoleError::Timeout { .. })
        ));
        let gone = socket(&parent);
        drop(UnixStream::connect(gone.path()).unwrap());
        assert!(matches!(
            gone.receive(limit).await,
            Err(ConsoleError::Count { count: 0, .. })
        ));
        assert!(is_empty(&parent));
    }

    #[tokio::test]
    async fn a_path_that_does_not_fit_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let deep = parent.path().join("d".repeat(100));
        std::fs::create_dir(&deep).unwrap();
        let message = ConsoleSocket::new(&deep).unwrap_err().to_string();
        assert!(message.contains("the most is 107"), "{message}");
        assert!(deep.read_dir().unwrap().next().is_none());
        let missing = ConsoleSocket::new(parent.path().join("missing"));
        assert!(matches!(missing, Err(ConsoleError::Make { .. })));
    }

    #[tokio::test]
    async fn hundreds_at_once_get_each_its_own() {
        let parent = tempfile::tempdir().unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..300 {
            let (socket, sent) = (socket(&parent), master());
            tasks.spawn(async move {
                let path = socket.path().to_owned();
                let name = ptsname(&sent, Vec::new()).unwrap();
                let sender =
                    tokio::task::spawn_blocking(move || send(&path, b" ", &[sent.as_fd()]));
                let received = socket.receive(Duration::from_secs(30)).await.unwrap();
                sender.await.unwrap();
                assert_eq!(ptsname(&received, Vec::new()).unwrap(), name);
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert!(is_empty(&parent));
    }
}
