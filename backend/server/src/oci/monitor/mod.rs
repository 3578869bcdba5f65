//! The monitor of a container: a process of its own, the parent of the container's first one.
//!
//! It has a mount namespace of its own, so that whatever becomes of it no mount is left. It outlives
//! whoever started it, from the moment it is told to ([`Message::Keep`]); before that, the end of the
//! connection ends the container.

mod exec;
mod frame;
mod hub;
mod life;
mod log;
mod service;
mod stream;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::setsid;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

pub use self::frame::{CHUNK, Frame, Message, Reader, Wish, Writer, split};
pub use self::log::{Record, older, read as read_log};
use super::cgroup::{self, Version};
use super::directory::Directory;

/// The name of the socket in the container's directory.
const SOCKET: &str = "monitor.sock";

/// How long a monitor may take to pass a signal on.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a monitor that is just ending may hold its place.
const PATIENCE: Duration = Duration::from_secs(3);

/// Starts the monitor of the container in `directory`, with the help of `program`, which is this one.
/// It makes the container and says [`Message::Created`] or [`Message::Failed`].
///
/// # Errors
/// Those of starting a process, and when there is a monitor already.
pub async fn start(program: &Path, directory: &Directory) -> io::Result<(Child, Reader, Writer)> {
    // Taken before there is a monitor, which gets it: whoever looks meanwhile, or after a launcher
    // that was killed, sees a container that somebody makes, and none that can be removed.
    let place = take_place(directory).await?;
    directory.begin()?;
    spawn(program, directory, "monitor.log", &[], place.into())
}

/// Starts a monitor for a further process of the container. It says [`Message::Started`] or
/// [`Message::Failed`]; output is attached from the beginning.
///
/// # Errors
/// Those of starting a process.
pub async fn exec(
    program: &Path,
    directory: &Directory,
    wish: Wish,
) -> io::Result<(Child, Reader, Writer)> {
    let log = format!("exec-{}.log", std::process::id());
    let stdout = Stdio::null();
    let (child, reader, mut writer) = spawn(program, directory, &log, &["--exec"], stdout)?;
    // It has it open.
    std::fs::remove_file(directory.path().join(&log))?;
    writer.say(Message::Exec(Box::new(wish))).await?;
    Ok((child, reader, writer))
}

/// Removes what is left of a container's network, where its monitor would have.
///
/// # Errors
/// What the one that does it complains of.
pub async fn clear(program: &Path, directory: &Directory) -> io::Result<()> {
    let output = Command::new(program)
        .args(["monitor", "--clear"])
        .arg(directory.path())
        .stdin(Stdio::null())
        .output()
        .await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(said.trim().to_owned()))
}

fn spawn(
    program: &Path,
    directory: &Directory,
    log: &str,
    flags: &[&str],
    stdout: Stdio,
) -> io::Result<(Child, Reader, Writer)> {
    let (own, its) = UnixStream::pair()?;
    let its = its.into_std()?;
    its.set_nonblocking(false)?;
    let child = Command::new(program)
        .arg("monitor")
        .args(flags)
        .arg(directory.path())
        .env_clear()
        // Engines look for their helpers.
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(its)))
        .stdout(stdout)
        .stderr(File::create(directory.path().join(log))?)
        .spawn()?;
    let (reader, writer) = split(own);
    Ok((child, reader, writer))
}

/// Connects to the monitor of a container.
///
/// # Errors
/// When there is none.
pub async fn connect(directory: &Directory) -> io::Result<(Reader, Writer)> {
    let (_held, path) = directory.short(SOCKET)?;
    Ok(split(UnixStream::connect(path).await?))
}

/// The process that watches a container.
///
/// # Errors
/// When there is none.
pub fn pid(directory: &Directory) -> io::Result<i32> {
    let (_held, path) = directory.short(SOCKET)?;
    let peer = getsockopt(&StdUnixStream::connect(path)?, PeerCredentials)?;
    Ok(peer.pid())
}

/// Sends a signal to the container's first process.
///
/// # Errors
/// When there is no monitor, or its engine refuses.
pub async fn signal(directory: &Directory, signal: i32) -> io::Result<()> {
    let exchange = async {
        let (mut reader, mut writer) = connect(directory).await?;
        writer.say(Message::Signal { signal }).await?;
        match reader.message().await? {
            Message::Failed { cause } => Err(io::Error::other(cause)),
            _ => Ok(()),
        }
    };
    let exchanged = timeout(ANSWER, exchange).await;
    exchanged.map_err(|_| io::Error::other("the container's monitor does not answer"))?
}

/// The monitor itself, of the container or of a further process. There must be no other thread.
///
/// # Errors
/// When it cannot get what it needs; it has made nothing then.
pub fn main(path: &Path, exec: bool) -> io::Result<()> {
    let directory = Directory::open(path).ok_or(io::ErrorKind::NotFound)?;
    // It is none of its starter's terminal.
    let _ = setsid();
    // In a namespace of its own it has another path, where the root is not the machine's.
    let program = std::env::current_exe()?;
    isolate()?;
    set_child_subreaper(true)?;
    let launcher = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // The place of the container's monitor, which ends with this process and none of its children.
    let place = io::stdout().as_fd().try_clone_to_owned()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    launcher.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let watching = async {
        let launcher = UnixStream::from_std(launcher)?;
        if exec {
            exec::watch(&directory, &program, launcher).await
        } else {
            life::watch(&directory, &program, launcher).await
        }
    };
    let result = runtime.block_on(LocalSet::new().run_until(watching));
    drop(place);
    result
}

async fn take_place(directory: &Directory) -> io::Result<File> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match directory.lock()? {
            Some(lock) => return Ok(lock),
            None if Instant::now() < deadline => sleep(Duration::from_millis(10)).await,
            None => return Err(io::Error::other("the container has a monitor already")),
        }
    }
}

/// Gives this process mounts of its own.
///
/// # Errors
/// When it may not.
pub fn isolate() -> io::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    // crun refuses machines that have both versions, although nobody needs the empty one. In its place
    // is something to write to, because engines do.
    if cgroup::version() == Version::Hybrid {
        // Not without root, and then it need not be.
        let _ = umount2(cgroup::UNIFIED, MntFlags::MNT_DETACH);
        let flags = MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
        mount(Some("tmpfs"), cgroup::UNIFIED, Some("tmpfs"), flags, NONE)?;
    }
    Ok(())
}
