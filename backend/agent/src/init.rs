//! `shellport-agent init`: what runs as PID 1 of a sandbox.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use crate::agent::Agent;
use crate::connection;

/// The socket's name in the agent's directory.
pub const SOCKET: &str = "agent.sock";

/// Between asking processes to end and killing them, when the engine stops the sandbox itself. It
/// is less than the 10 s after which engines kill.
const GRACE: Duration = Duration::from_secs(8);

/// Serves on a socket in `directory` until the sandbox is to end.
///
/// # Errors
/// When the agent cannot get its socket, its signals or a runtime.
pub fn main(directory: &Path, command: Vec<String>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(LocalSet::new().run_until(run(directory.to_owned(), command)))
}

async fn run(directory: PathBuf, command: Vec<String>) -> io::Result<()> {
    if process::id() != 1 {
        // Orphans come to us, and not to whoever is PID 1 here.
        set_child_subreaper(true)?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let agent = Agent::new(command)?;
    let listener = listen(&directory)?;
    let accepting = Rc::clone(&agent);
    spawn_local(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let agent = Rc::clone(&accepting);
                    // A connection that breaks concerns only its server.
                    spawn_local(async move { connection::serve(agent, stream).await.ok() });
                }
                // Out of descriptors: others will be closed.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    });
    loop {
        tokio::select! {
            () = agent.ended() => return Ok(()),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let agent = Rc::clone(&agent);
        spawn_local(async move { agent.shut_down(GRACE).await });
    }
}

/// The socket appears under its name when it is ready. Its mode lets a server connect that is not
/// root; who may reach it at all is decided by the directory's place on the host.
fn listen(directory: &Path) -> io::Result<UnixListener> {
    let path = directory.join(SOCKET);
    let unready = directory.join(format!("{SOCKET}.{}", process::id()));
    match fs::remove_file(&unready) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&unready)?;
    fs::set_permissions(&unready, Permissions::from_mode(0o777))?;
    fs::rename(&unready, &path)?;
    Ok(listener)
}
