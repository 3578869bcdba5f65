//! Docker Engine, and Podman through its compatible socket.
//!
//! - [`engine`]: finding and connecting to one.
//! - [`image`] and [`credentials`]: getting an image.
//! - [`container`]: what a container is made from.
//! - [`network`]: what it is connected to.
//! - [`transport`]: reaching the agent in it.

mod container;
mod engine;
mod image;
mod libpod;
mod network;
mod transport;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptions,
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use tokio::sync::Semaphore;
use tokio::time::sleep;

pub use self::engine::{EngineKind, find};
use self::transport::Placement;
use super::{ProgressSink, Runtime, RuntimeError, RuntimeInfo, SandboxState, Stream, socket};
use crate::agent;
use crate::config::AgentTransport;
use crate::id::SessionId;
use crate::session::{Network, Spec};

/// The label with the instance of the server that made something.
const LABEL_INSTANCE: &str = "shellport.instance";
/// The label with the session that something was made for.
const LABEL_SESSION: &str = "shellport.session";
/// The label with the version of how sandboxes are made.
const LABEL_SCHEMA: &str = "shellport.schema";
/// The version itself.
const SCHEMA: &str = "1";

/// How engines say that there is no such container; Podman has words of its own while it removes one,
/// and not always the status for it.
const MISSING: [&str; 2] = ["no such container", "does not exist in database"];

/// Sandboxes as containers of an engine.
pub struct DockerRuntime {
    docker: Docker,
    kind: EngineKind,
    info: RuntimeInfo,
    instance: String,
    /// Where the agent's program is on this machine.
    agent: PathBuf,
    /// The directories of the agents' sockets, one a session.
    run: PathBuf,
    transport: AgentTransport,
    /// The engine does not see this machine's files.
    remote: AtomicBool,
    /// One create at a time looks for the shared network, because engines before API 1.44 make
    /// several networks of one name. It guards no data.
    network_turn: tokio::sync::Mutex<()>,
    /// So many containers are started or removed at once. Docker 20.10 sometimes loses count of a
    /// network's endpoints when there are many, and never removes the network then.
    turns: Semaphore,
}

/// See [`DockerRuntime::turns`].
const TURNS: usize = 4;

impl DockerRuntime {
    /// A runtime on `engine` for this instance of the server, with the agent's program and the
    /// sockets' directories at these places.
    pub fn new(
        engine: engine::Engine,
        instance: String,
        agent: PathBuf,
        run: PathBuf,
        transport: AgentTransport,
    ) -> Self {
        let remote = match transport {
            AgentTransport::Auto => !engine.is_local(),
            AgentTransport::Socket => false,
            AgentTransport::Exec => true,
        };
        Self {
            info: engine.info(),
            docker: engine.docker,
            kind: engine.kind,
            instance,
            agent,
            run,
            transport,
            remote: AtomicBool::new(remote),
            network_turn: tokio::sync::Mutex::default(),
            turns: Semaphore::new(TURNS),
        }
    }

    fn name(&self, id: &SessionId) -> String {
        format!("shellport-{}-{id}", self.instance)
    }

    fn placement(&self) -> Placement {
        if self.remote.load(Ordering::Relaxed) {
            Placement::Copied
        } else {
            Placement::Mounted
        }
    }

    async fn make(&self, id: &SessionId, spec: &Spec) -> Result<(), RuntimeError> {
        let image = image::inspect(&self.docker, &spec.image).await?;
        let network = match spec.network {
            Network::Bridge => Some(network::ensure(self, id).await?),
            Network::Host | Network::None => None,
        };
        let placement = self.placement();
        if placement == Placement::Mounted {
            socket::make_directory(&self.run, id).await?;
        }
        let body = container::body(&container::Parts {
            spec,
            image: &image,
            kind: self.kind,
            network: network.as_deref(),
            labels: self.labels(Some(id)),
            placement,
            agent: &self.agent,
            directory: &socket::directory(&self.run, id),
        });
        let options = CreateContainerOptionsBuilder::default()
            .name(&self.name(id))
            .build();
        self.docker
            .create_container(Some(options), body)
            .await
            .map_err(|error| self.error("creating the container", error))?;
        if placement == Placement::Copied {
            transport::copy_agent(self, id).await?;
        }
        self.start_in_turn(id).await
    }

    async fn start_in_turn(&self, id: &SessionId) -> Result<(), RuntimeError> {
        let _turn = self.turns.acquire().await;
        self.docker
            .start_container(&self.name(id), None::<StartContainerOptions>)
            .await
            .map_err(|error| self.error("starting the container", error))
    }

    fn labels(&self, id: Option<&SessionId>) -> Vec<(String, String)> {
        let mut labels = vec![
            (LABEL_INSTANCE.to_owned(), self.instance.clone()),
            (LABEL_SCHEMA.to_owned(), SCHEMA.to_owned()),
        ];
        labels.extend(id.map(|id| (LABEL_SESSION.to_owned(), id.to_string())));
        labels
    }

    fn error(&self, step: &'static str, error: EngineError) -> RuntimeError {
        match error {
            EngineError::DockerResponseServerError { message, .. }
                if MISSING
                    .iter()
                    .any(|it| message.to_ascii_lowercase().contains(it)) =>
            {
                RuntimeError::Missing
            }
            EngineError::DockerResponseServerError { message, .. } => RuntimeError::Engine {
                step,
                cause: message,
            },
            error => RuntimeError::Unreachable {
                endpoint: self.info.endpoint.clone(),
                cause: error.to_string(),
            },
        }
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    fn info(&self) -> &RuntimeInfo {
        &self.info
    }

    async fn ping(&self) -> Result<(), RuntimeError> {
        self.docker
            .ping()
            .await
            .map(drop)
            .map_err(|error| self.error("asking the engine", error))
    }

    async fn prepare(&self, spec: &Spec, progress: &ProgressSink) -> Result<(), RuntimeError> {
        image::ensure(&self.docker, &spec.image, progress)
            .await
            .map_err(|error| match error {
                image::ImageError::Engine(error) => self.error("looking for the image", error),
                image::ImageError::Pull(cause) => RuntimeError::Image {
                    image: spec.image.clone(),
                    cause,
                },
            })
    }

    async fn create(&self, id: &SessionId, spec: &Spec) -> Result<(), RuntimeError> {
        let mut result = self.make(id, spec).await;
        let may_be_remote = self.transport == AgentTransport::Auto
            && self.placement() == Placement::Mounted
            && matches!(&result, Err(RuntimeError::Engine { cause, .. })
                if transport::is_about_mount(cause, &self.agent, &self.run));
        if may_be_remote {
            tracing::info!("the engine does not see this machine's files: the agent is copied");
            self.remove(id).await?;
            self.remote.store(true, Ordering::Relaxed);
            result = self.make(id, spec).await;
        }
        if result.is_err()
            && let Err(error) = self.remove(id).await
        {
            tracing::error!(session.id = %id, %error, "what a failed create left cannot be removed");
        }
        result
    }

    async fn start(&self, id: &SessionId) -> Result<(), RuntimeError> {
        self.start_in_turn(id).await
    }

    async fn connect(&self, id: &SessionId) -> Result<Box<dyn Stream>, RuntimeError> {
        if self.placement() == Placement::Copied {
            return transport::bridge(self, id).await;
        }
        match socket::connect(&self.run, id).await {
            Ok(stream) => Ok(Box::new(stream)),
            // Mounted, but the socket does not work from here, as when the engine runs in a virtual
            // machine that shares files only.
            Err(_) if self.transport == AgentTransport::Auto && self.has_run_a_while(id).await => {
                transport::bridge(self, id).await
            }
            Err(error) => Err(RuntimeError::Agent(error)),
        }
    }

    async fn inspect(&self, id: &SessionId) -> Result<SandboxState, RuntimeError> {
        let name = self.name(id);
        let result = self
            .docker
            .inspect_container(&name, None::<InspectContainerOptions>)
            .await
            .map_err(|error| self.error("inspecting the container", error));
        let state = match result {
            Ok(container) => container.state.unwrap_or_default(),
            Err(RuntimeError::Missing) => return Ok(SandboxState::Missing),
            Err(error) => return Err(error),
        };
        if state.running == Some(true) {
            return Ok(SandboxState::Running);
        }
        Ok(SandboxState::Exited {
            oom: state.oom_killed == Some(true) && state.exit_code == Some(137),
            code: state.exit_code,
        })
    }

    async fn kill(&self, id: &SessionId) -> Result<(), RuntimeError> {
        let result = self
            .docker
            .kill_container(&self.name(id), None::<KillContainerOptions>)
            .await;
        match result {
            // It has ended in the meantime.
            Ok(())
            | Err(EngineError::DockerResponseServerError {
                status_code: 404 | 409,
                ..
            }) => Ok(()),
            Err(error) => match self.inspect(id).await? {
                SandboxState::Running => Err(self.error("killing the container", error)),
                _ => Ok(()),
            },
        }
    }

    async fn remove(&self, id: &SessionId) -> Result<(), RuntimeError> {
        let name = self.name(id);
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let _turn = self.turns.acquire().await;
        // An engine that is removing it already says so; it is gone a moment later.
        for _ in 0..100 {
            match self
                .docker
                .remove_container(&name, Some(options.clone()))
                .await
            {
                Ok(())
                | Err(EngineError::DockerResponseServerError {
                    status_code: 404, ..
                }) => break,
                Err(EngineError::DockerResponseServerError {
                    status_code: 409, ..
                }) => sleep(Duration::from_millis(100)).await,
                Err(error) => return Err(self.error("removing the container", error)),
            }
        }
        network::release(self, id).await?;
        socket::remove_directory(&self.run, id).await
    }

    async fn list(&self) -> Result<Vec<SessionId>, RuntimeError> {
        let label = format!("{LABEL_INSTANCE}={}", self.instance);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&[("label", vec![label])].into())
            .build();
        let containers = self
            .docker
            .list_containers(Some(options))
            .await
            .map_err(|error| self.error("listing containers", error))?;
        let mut found: Vec<SessionId> = containers
            .into_iter()
            .filter_map(|container| container.labels?.get(LABEL_SESSION)?.parse().ok())
            .collect();
        found.extend(network::sessions(self).await?);
        found.extend(socket::sessions(&self.run).await?);
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn close(&self) -> Result<(), RuntimeError> {
        // A stopped container cannot be started again without the network it was made for.
        if self.list().await?.is_empty() {
            network::close(self).await?;
        }
        Ok(())
    }
}

impl DockerRuntime {
    /// Whether the container has run long enough for its agent to be ready.
    async fn has_run_a_while(&self, id: &SessionId) -> bool {
        let options = None::<InspectContainerOptions>;
        let Ok(container) = self.docker.inspect_container(&self.name(id), options).await else {
            return false;
        };
        let state = container.state.unwrap_or_default();
        let started = state
            .started_at
            .and_then(|at| at.parse::<jiff::Timestamp>().ok());
        state.running == Some(true)
            && started.is_some_and(|at| {
                jiff::Timestamp::now().duration_since(at) > jiff::SignedDuration::from_secs(3)
            })
    }

    /// The agent's program, for copying it.
    fn agent_binary() -> &'static [u8] {
        agent::binary()
    }
}
