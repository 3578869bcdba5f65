//! What people type: `docker exec -it`, on a PTY of ours as on that of a terminal emulator.

use std::sync::Mutex;

use async_trait::async_trait;
use portable_pty::CommandBuilder;
use tokio::process::Command;

use super::super::super::connection::Terminal;
use super::super::super::processes::Processes;
use super::super::super::wait::Result;
use super::super::raw::Pty;
use super::super::shellport::DIRECTORY;
use super::super::{Place, Way, absent};
use super::engine::Engine;

/// A container, and a client in it for each terminal.
pub struct Cli {
    engine: Engine,
    container: String,
    /// The clients that were started.
    clients: Mutex<Vec<u32>>,
}

impl Cli {
    /// Starts the container on the engine of the tests, when there is a client.
    pub async fn new() -> Result<Self> {
        let version = Command::new("docker").arg("--version").output().await;
        version.map_err(absent)?;
        let engine = Engine::new().await?;
        let container = engine.create(&["sleep", "infinity"]).await?;
        engine.start(&container).await?;
        Ok(Self {
            engine,
            container,
            clients: Mutex::default(),
        })
    }
}

#[async_trait]
impl Way for Cli {
    fn name(&self) -> &'static str {
        "`docker exec -it`"
    }

    fn key(&self) -> &'static str {
        "docker-cli"
    }

    fn directory(&self) -> &str {
        DIRECTORY
    }

    fn blocks(&self) -> bool {
        true
    }

    fn is_heavy(&self) -> bool {
        true
    }

    async fn connect(&self, _: &Place) -> Result<Terminal> {
        let mut command = CommandBuilder::new("docker");
        command.args(["--host", &self.engine.address]);
        command.args(["exec", "-it", &self.container, "sh"]);
        let pty = Pty::start(command)?;
        if let Ok(mut clients) = self.clients.lock() {
            clients.push(pty.pid()?);
        }
        Ok(Box::new(pty))
    }

    async fn serving(&self) -> Result<Processes> {
        let mut processes = self.engine.serving().await?;
        let clients = self.clients.lock().map(|it| it.clone()).unwrap_or_default();
        for pid in clients {
            // Others have ended.
            let _ = processes.add("docker", pid);
        }
        Ok(processes)
    }

    async fn clear(&self) {
        self.engine.clear().await;
    }
}
