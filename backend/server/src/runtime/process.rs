//! Sandboxes that are none: the agent as a child of the server, on the host itself. For one trusted
//! user, and only when asked for by name.
//!
//! The agent leads a session of its own and outlives the server; a later one finds it by its
//! socket.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shellport_wire::agent::Request;
use tokio::process::Command;

use super::socket;
use super::{
    Isolation, Limitation, ProgressSink, Runtime, RuntimeError, RuntimeInfo, SandboxState, Stream,
};
use crate::agent::{self, AgentError};
use crate::id::SessionId;
use crate::session::{Network, Spec};

/// What the agent gets of the server's environment. Everything else may be a secret.
const VARIABLES: [&str; 8] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "XDG_RUNTIME_DIR",
];

/// How long an agent may take to kill everything.
const KILL: Duration = Duration::from_secs(5);

/// Sandboxes as process trees of this machine.
pub struct ProcessRuntime {
    info: RuntimeInfo,
    agent: PathBuf,
    run: PathBuf,
}

impl ProcessRuntime {
    /// A runtime with the agent's program and the sockets' directories at these places.
    pub fn new(agent: PathBuf, run: PathBuf) -> Self {
        Self {
            info: RuntimeInfo {
                name: "process",
                engine: "processes of this machine".to_owned(),
                endpoint: String::new(),
                isolation: Isolation::None,
                networks: vec![Network::Host, Network::Bridge, Network::None],
                limitations: vec![Limitation::NoLimits],
            },
            agent,
            run,
        }
    }

    fn spawn(&self, id: &SessionId, spec: Option<&Spec>) -> Result<(), RuntimeError> {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/".to_owned());
        let cwd = spec.and_then(|spec| spec.cwd.clone()).unwrap_or(home);
        let own = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
        let mut child = Command::new(&self.agent)
            .args(["launch", "--session", "--"])
            .arg(&self.agent)
            .arg("init")
            .arg(socket::directory(&self.run, id))
            .arg("--")
            .args(
                spec.and_then(|spec| spec.command.clone())
                    .unwrap_or_default(),
            )
            .env_clear()
            .envs(VARIABLES.into_iter().filter_map(own))
            .envs(spec.map(|spec| &spec.env).into_iter().flatten())
            .current_dir(cwd)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|cause| RuntimeError::Host {
                step: "starting the agent",
                cause,
            })?;
        // So that no zombie is left; the end itself shows on the agent's connection.
        tokio::spawn(async move { child.wait().await });
        Ok(())
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn info(&self) -> &RuntimeInfo {
        &self.info
    }

    async fn ping(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn prepare(&self, spec: &Spec, _: &ProgressSink) -> Result<(), RuntimeError> {
        if spec.user.is_some() {
            return Err(RuntimeError::Engine {
                step: "preparing the session",
                cause: "the process runtime runs everything as the server's own user".to_owned(),
            });
        }
        Ok(())
    }

    async fn create(&self, id: &SessionId, spec: &Spec) -> Result<(), RuntimeError> {
        socket::make_directory(&self.run, id).await?;
        let result = self.spawn(id, Some(spec));
        if result.is_err() {
            socket::remove_directory(&self.run, id).await?;
        }
        result
    }

    async fn start(&self, id: &SessionId) -> Result<(), RuntimeError> {
        self.spawn(id, None)
    }

    async fn connect(&self, id: &SessionId) -> Result<Box<dyn Stream>, RuntimeError> {
        let stream = socket::connect(&self.run, id).await;
        Ok(Box::new(stream.map_err(RuntimeError::Agent)?))
    }

    async fn inspect(&self, id: &SessionId) -> Result<SandboxState, RuntimeError> {
        if !socket::directory(&self.run, id).exists() {
            return Ok(SandboxState::Missing);
        }
        Ok(match socket::connect(&self.run, id).await {
            Ok(_) => SandboxState::Running,
            Err(_) => SandboxState::Exited {
                oom: false,
                code: None,
            },
        })
    }

    async fn kill(&self, id: &SessionId) -> Result<(), RuntimeError> {
        let Ok(stream) = socket::connect(&self.run, id).await else {
            // It may be about to listen, where nobody would reach it any more.
            if let Some(agent) = agent_of(&socket::directory(&self.run, id)) {
                kill_tree(agent);
            }
            return Ok(());
        };
        let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let request = Request::Shutdown { grace_ms: 0 };
        // It closes the connection when it is done.
        let asked = agent::ask(Box::new(stream), &request, Some(KILL)).await;
        // 0 is who has no number here.
        if let (Err(AgentError::Silent), Some(agent @ 1..)) = (asked, peer) {
            tracing::warn!(session.id = %id, agent, "the agent hangs; it is killed");
            kill_tree(agent);
        }
        Ok(())
    }

    async fn remove(&self, id: &SessionId) -> Result<(), RuntimeError> {
        self.kill(id).await?;
        socket::remove_directory(&self.run, id).await
    }

    async fn list(&self) -> Result<Vec<SessionId>, RuntimeError> {
        socket::sessions(&self.run).await
    }

    async fn close(&self) -> Result<(), RuntimeError> {
        Ok(())
    }
}

/// The agent whose socket is, or is to be, in this directory.
fn agent_of(directory: &Path) -> Option<i32> {
    let wanted = format!("\0init\0{}\0", directory.display());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found = entries.filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let is_it = String::from_utf8_lossy(&line).contains(&wanted);
        entry.file_name().to_str()?.parse().ok().filter(|_| is_it)
    });
    found.next()
}

/// Kills a process and everything below it.
fn kill_tree(root: i32) {
    let children = children();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let below = children.iter().filter(|(_, of)| of == parent);
        found.extend(below.map(|(pid, _)| *pid).collect::<Vec<_>>());
        next += 1;
    }
    // The root first, so that it starts nothing in their place.
    for pid in found {
        // Whoever has ended meanwhile is no failure.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Every process with its parent.
fn children() -> Vec<(i32, i32)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name stands in parentheses and may hold anything; the state and the parent follow.
            let (_, rest) = stat.rsplit_once(')')?;
            Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}
