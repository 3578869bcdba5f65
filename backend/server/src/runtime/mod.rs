//! Runtimes: what makes, finds, stops and removes sandboxes, and says how to reach the agent in one.

pub mod docker;
pub mod oci;
pub mod process;
mod socket;

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::id::SessionId;
use crate::session::{Network, Progress, Spec};

/// A byte stream to an agent.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where a runtime tells how far it is.
pub type ProgressSink = watch::Sender<Option<Progress>>;

/// Makes sandboxes. Every sandbox belongs to one instance of the server and one session, and is
/// found again by both.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &RuntimeInfo;

    /// Whether it answers.
    async fn ping(&self) -> Result<(), RuntimeError>;

    /// Its images, where they are not an engine's business.
    fn images(&self) -> Option<&oci::Images> {
        None
    }

    /// Gets what a sandbox needs, its image above all. Safe to cancel.
    async fn prepare(&self, spec: &Spec, progress: &ProgressSink) -> Result<(), RuntimeError>;

    /// Makes a sandbox and starts it. When it fails, nothing of the sandbox is left. Not to be
    /// cancelled: call [`Self::remove`] when it has returned.
    async fn create(&self, id: &SessionId, spec: &Spec) -> Result<(), RuntimeError>;

    /// Starts a sandbox that has ended.
    async fn start(&self, id: &SessionId) -> Result<(), RuntimeError>;

    /// Connects to the agent, which may not be there yet.
    async fn connect(&self, id: &SessionId) -> Result<Box<dyn Stream>, RuntimeError>;

    /// Whether the sandbox is there, and runs.
    async fn inspect(&self, id: &SessionId) -> Result<SandboxState, RuntimeError>;

    /// Ends everything in the sandbox at once.
    async fn kill(&self, id: &SessionId) -> Result<(), RuntimeError>;

    /// Removes the sandbox and everything that was made for it, whatever state they are in. It is
    /// no error when nothing is there.
    async fn remove(&self, id: &SessionId) -> Result<(), RuntimeError>;

    /// The sandboxes of this instance.
    async fn list(&self) -> Result<Vec<SessionId>, RuntimeError>;

    /// Removes what is shared by sandboxes, when there are none.
    async fn close(&self) -> Result<(), RuntimeError>;
}

/// What a runtime is, for people.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuntimeInfo {
    /// `docker`, `oci` or `process`.
    pub name: &'static str,
    /// The engine and its version, such as `Docker Engine 29.1`.
    pub engine: String,
    /// Where the engine is.
    pub endpoint: String,
    /// What stands between a session and the machine.
    pub isolation: Isolation,
    /// The networks that it can give a session.
    pub networks: Vec<Network>,
    /// What it cannot do for sessions on this machine.
    pub limitations: Vec<Limitation>,
}

/// What a runtime cannot do for sessions on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limitation {
    /// Memory, CPU time and processes are not limited, whatever the session says.
    NoLimits,
    /// CPU time is not limited; memory and processes are.
    NoCpuLimit,
    /// Every file and process has the same user, root: nothing can be given to another one.
    OneUser,
}

impl Limitation {
    /// It in words for the operator, and what to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NoLimits => {
                "memory, CPU time and processes of sessions are not limited, because this user can \
                 make no cgroups; root can, and so can whoever starts it in a group of their own: \
                 systemd-run --user --scope shellport serve"
            }
            Self::NoCpuLimit => {
                "CPU time of sessions is not limited, because this user may share out memory and \
                 processes only; with Delegate=cpu memory pids for user@.service in systemd it is"
            }
            Self::OneUser => {
                "sandboxes have no user but root, so that some programs, such as apt, need to be told; \
                 with newuidmap installed and ids in /etc/subuid and /etc/subgid they have"
            }
        }
    }
}

/// What stands between a session and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A container.
    Container,
    /// Nothing.
    None,
}

/// What is known of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxState {
    /// It runs.
    Running,
    /// It has ended.
    Exited {
        /// Whether the kernel killed it for lack of memory.
        oom: bool,
        /// The exit code of its first process.
        code: Option<i64>,
    },
    /// It is not there.
    Missing,
}

/// What goes wrong with a runtime. Everything else about an engine stays in the log.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine does not answer.
    #[error("the engine at {endpoint} does not answer: {cause}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// What happened.
        cause: String,
    },
    /// There is no such image, or the operator's credentials do not open it.
    #[error("the image {image} cannot be had: {cause}")]
    Image {
        /// The image.
        image: String,
        /// What the engine said.
        cause: String,
    },
    /// The engine refused.
    #[error("{step}: {cause}")]
    Engine {
        /// What was being done.
        step: &'static str,
        /// What the engine said.
        cause: String,
    },
    /// There is no such sandbox.
    #[error("the sandbox is not there")]
    Missing,
    /// The agent cannot be reached.
    #[error("the agent cannot be reached: {0}")]
    Agent(#[source] io::Error),
    /// Something took too long.
    #[error("{step} took longer than {}", humantime::format_duration(*.limit))]
    Timeout {
        /// What was being done.
        step: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// Files on this machine.
    #[error("{step}: {cause}")]
    Host {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

impl RuntimeError {
    /// The stable word for it in the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "engine_unreachable",
            Self::Image { .. } => "image_not_available",
            Self::Engine { .. } => "engine_error",
            Self::Missing => "sandbox_missing",
            Self::Agent(_) => "agent_unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Host { .. } => "host_error",
        }
    }
}
