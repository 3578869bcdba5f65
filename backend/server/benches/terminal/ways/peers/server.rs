//! A peer's server as a child.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::super::super::connection::Terminal;
use super::super::super::processes::Processes;
use super::super::super::report::results;
use super::super::super::wait::{Result, STEP, within};
use super::super::{Place, Way};
use super::socket::{Dialect, Socket};

/// How long it may take to end when it is asked to.
const END: Duration = Duration::from_secs(5);

/// How often it is asked whether it listens.
const LOOK: Duration = Duration::from_millis(50);

/// A server, each connection to which is a shell of its own.
pub struct Peer {
    name: &'static str,
    key: &'static str,
    directory: String,
    address: SocketAddr,
    dialect: fn() -> Box<dyn Dialect>,
    child: Mutex<Child>,
}

/// Where the peers are installed.
pub fn installed() -> PathBuf {
    results().join("peers")
}

/// Where the servers are that were written for this benchmark.
pub fn written() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

impl Peer {
    /// Starts the command that is made for a port, and waits until it listens there.
    pub async fn start(
        (name, key): (&'static str, &'static str),
        directory: &Path,
        dialect: fn() -> Box<dyn Dialect>,
        command: impl FnOnce(u16) -> Command,
    ) -> Result<Self> {
        // A free port, which nobody else is likely to get in the meantime.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await?
            .local_addr()?;
        let log = directory.join(format!("{key}.log"));
        let mut child = command(address.port())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        within("its start", STEP, async {
            while TcpStream::connect(address).await.is_err() {
                if child.try_wait()?.is_some() {
                    return Err(std::fs::read_to_string(&log)?.into());
                }
                sleep(LOOK).await;
            }
            Result::Ok(())
        })
        .await??;
        Ok(Self {
            name,
            key,
            directory: directory.display().to_string(),
            address,
            dialect,
            child: Mutex::new(child),
        })
    }
}

#[async_trait]
impl Way for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key(&self) -> &'static str {
        self.key
    }

    fn directory(&self) -> &str {
        &self.directory
    }

    fn is_peer(&self) -> bool {
        true
    }

    async fn connect(&self, _: &Place) -> Result<Terminal> {
        let open = Socket::open(self.address, (self.dialect)());
        Ok(Box::new(within("connecting", STEP, open).await??))
    }

    async fn serving(&self) -> Result<Processes> {
        let mut processes = Processes::default();
        let pid = self.child.lock().await.id();
        processes.add("server", pid.ok_or("it has ended")?)?;
        Ok(processes)
    }

    async fn clear(&self) {
        let mut child = self.child.lock().await;
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if timeout(END, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}
