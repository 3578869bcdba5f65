//! The server: made from a configuration, served, and shut down.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBuf;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent;
use crate::auth::{AllowedHosts, Tickets, TokenError, load_or_create};
use crate::config::{Config, ConfigError, Limits, OnShutdown, PortsUrl, RuntimeName, Secret};
use crate::data_dir::{DataDir, DataDirError};
use crate::http::{App, router};
use crate::metrics::Metrics;
use crate::oci::{host, network};
use crate::runtime::docker::{self, DockerRuntime};
use crate::runtime::oci::{OciConfig, OciError, OciRuntime};
use crate::runtime::process::ProcessRuntime;
use crate::runtime::{Runtime, RuntimeError, RuntimeInfo};
use crate::session::{Network, ReconcileError, Registry};
use crate::store::{Store, StoreError};

/// How long a client may take to send the head of a request.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// After how much silence the kernel asks whether a client is there.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// Bytes that the kernel keeps for a client that does not read. What is in there has been
/// acknowledged on behalf of plain clients, and is ahead of whatever comes after a Ctrl-C.
const SEND_BUFFER: usize = 256 * 1024;

/// How long requests and WebSockets may take to end when the server does.
const DRAIN: Duration = Duration::from_secs(5);

/// How long commands whose requests are cut off may take to be ended.
const CUT: Duration = Duration::from_secs(3);

/// A server that is ready to serve.
pub struct Server {
    listener: TcpListener,
    app: App,
    max_connections: usize,
    on_shutdown: OnShutdown,
    /// Released when the server is gone.
    _data_dir: DataDir,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The token file.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The agent's program.
    #[error("cannot put the agent's program into the data directory: {0}")]
    Agent(#[source] std::io::Error),
    /// The engine that was asked for.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The OCI engine that was asked for.
    #[error("--runtime oci: {0}")]
    Oci(#[from] OciError),
    /// Nothing was asked for, and nothing is there.
    #[error(
        "no container engine: {0}; and none of our own: {1}. Install and start Docker or Podman, or \
         name one with --engine. For shells on this machine itself, without any isolation, use \
         --runtime process"
    )]
    NoEngine(#[source] RuntimeError, OciError),
    /// Only our own containers' files can be limited.
    #[error("--disk: the runtime {0} cannot limit what sandboxes write; it takes --runtime oci")]
    Disk(&'static str),
    /// A network that the runtime cannot give.
    #[error("--network {}: this runtime cannot give it{}", .0.as_str(), .1)]
    Network(Network, String),
    /// What an earlier server left.
    #[error("cannot take over the sessions that are there: {0}")]
    Reconcile(#[from] ReconcileError),
    /// The address.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
}

impl Server {
    /// Finds the runtime, takes over what an earlier server left, and listens.
    ///
    /// # Errors
    /// Anything that is missing, with what to do about it.
    pub async fn new(config: Config) -> Result<Self, StartError> {
        config.validate()?;
        let data_dir = DataDir::take(&config.data_dir()?).await?;
        let token = load_or_create(data_dir.path())?;
        let store = Store::open(&data_dir.path().join("shellport.db"))?;
        // Before the sessions, so that a second server does not touch them.
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| StartError::Listen(config.listen, error))?;
        let address = listener
            .local_addr()
            .map_err(|error| StartError::Listen(config.listen, error))?;
        data_dir.note_address(address)?;
        let runtime = runtime(&config, &data_dir).await?;
        let limits = limits(config.limits, runtime.info())?;
        let registry = Registry::new(runtime, store, limits.max_sessions, config.stop_grace);
        registry.reconcile().await?;
        let ports_url = config
            .ports_url
            .unwrap_or_else(|| PortsUrl::localhost(address.port()));
        let app = App {
            registry,
            token,
            tickets: Arc::new(Tickets::default()),
            port_tickets: Arc::new(Tickets::default()),
            ports: Arc::new(ports_url),
            hosts: Arc::new(AllowedHosts::new(address, &config.allowed_hosts)),
            limits: Arc::new(limits),
            metrics: Metrics::new(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
            places: Arc::new(Semaphore::new(config.max_connections)),
            connections: TaskTracker::new(),
        };
        Ok(Self {
            listener,
            app,
            max_connections: config.max_connections,
            on_shutdown: config.on_shutdown,
            _data_dir: data_dir,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The operator's token.
    pub fn token(&self) -> &Secret {
        &self.app.token
    }

    /// What makes its sandboxes.
    pub fn runtime(&self) -> &RuntimeInfo {
        self.app.registry.runtime().info()
    }

    /// Serves until `shutdown`, then tells the viewers, lets requests finish, and ends. Sandboxes go
    /// on unless the configuration says otherwise.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let service = router(self.app.clone());
        let places = Arc::new(Semaphore::new(self.max_connections));
        let requests = TaskTracker::new();
        let accepting = async {
            loop {
                let place = Arc::clone(&places).acquire_owned().await;
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        let connection =
                            connection(stream, service.clone(), self.app.draining.clone());
                        requests.spawn(async move {
                            connection.await;
                            drop(place);
                        });
                    }
                    // Out of descriptors, most likely: some will be closed.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            () = shutdown => {}
        }
        tracing::info!("shutting down");
        self.app.draining.cancel();
        requests.close();
        self.app.connections.close();
        let drained = async {
            requests.wait().await;
            self.app.connections.wait().await;
        };
        if timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        self.app.cut.cancel();
        let _ = timeout(CUT, self.app.connections.wait()).await;
        let registry = self.app.registry;
        registry.close(self.on_shutdown == OnShutdown::Stop).await;
        if let Err(error) = registry.runtime().close().await {
            tracing::warn!(%error, "not everything could be removed");
        }
    }
}

/// Whether a server with this configuration makes containers itself.
pub async fn is_daemonless(config: &Config) -> bool {
    match (config.runtime, &config.engine) {
        (Some(runtime), _) => runtime == RuntimeName::Oci,
        (None, Some(_)) => false,
        (None, None) => docker::find(None).await.is_err(),
    }
}

/// What the operator has asked for, else an engine that answers, else our own.
async fn runtime(config: &Config, data_dir: &DataDir) -> Result<Arc<dyn Runtime>, StartError> {
    let runtime = choose(config, data_dir).await?;
    if config.disk.is_some() && runtime.info().name != "oci" {
        return Err(StartError::Disk(runtime.info().name));
    }
    Ok(runtime)
}

async fn choose(config: &Config, data_dir: &DataDir) -> Result<Arc<dyn Runtime>, StartError> {
    let agent = agent::install(&data_dir.path().join("agent")).map_err(StartError::Agent)?;
    match (config.runtime, &config.engine) {
        (Some(RuntimeName::Process), _) => {
            return Ok(Arc::new(ProcessRuntime::new(agent, data_dir.run())));
        }
        (Some(RuntimeName::Oci), _) => {
            return Ok(Arc::new(oci(config, data_dir, agent).await?));
        }
        _ => {}
    }
    let asked_for = config.runtime.is_some() || config.engine.is_some();
    let engine = match docker::find(config.engine.as_deref()).await {
        Ok(engine) => engine,
        Err(error) if asked_for => return Err(StartError::Runtime(error)),
        Err(error) => {
            tracing::info!("no Docker or Podman answers, so Shellport makes containers itself");
            return match oci(config, data_dir, agent).await {
                Ok(runtime) => Ok(Arc::new(runtime)),
                Err(other) => Err(StartError::NoEngine(error, other)),
            };
        }
    };
    if !asked_for {
        tracing::info!("an engine answers; --runtime oci would make containers without it");
    }
    Ok(Arc::new(DockerRuntime::new(
        engine,
        data_dir.instance().to_owned(),
        agent,
        data_dir.run(),
        config.agent_transport,
    )))
}

async fn oci(config: &Config, data_dir: &DataDir, agent: PathBuf) -> Result<OciRuntime, OciError> {
    let program = match &config.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()
            .map_err(|error| OciError::Host("finding this program", error))?,
    };
    OciRuntime::new(OciConfig {
        engine: config.oci_engine.clone(),
        program,
        instance: data_dir.instance().to_owned(),
        data_dir: data_dir.path().to_owned(),
        agent,
        run: data_dir.run(),
        max_layer: config.max_layer,
        disk: config.disk,
    })
    .await
}

/// The operator's limits, and what this runtime makes of those that are not said.
fn limits(mut limits: Limits, runtime: &RuntimeInfo) -> Result<Limits, StartError> {
    let hint = if runtime.networks.contains(&Network::Bridge) {
        String::new()
    } else {
        let tool = network::missing();
        format!("; a bridge needs {tool}, which is not installed")
    };
    match limits.network {
        Some(network) if !runtime.networks.contains(&network) => {
            return Err(StartError::Network(network, hint));
        }
        None if !hint.is_empty() => {
            tracing::warn!("sessions have no network{hint}");
            limits.network = Some(Network::None);
        }
        _ => {}
    }
    if runtime.name == "oci" && limits.default_image.is_none() {
        limits.default_image = Some(host::NAME.to_owned());
    }
    Ok(limits)
}

/// Serves one connection. Upgraded ones live on in tasks of their own.
async fn connection(stream: TcpStream, service: Router, draining: CancellationToken) {
    // A keystroke is a small packet that must not wait for the next one. A client that vanishes is noticed.
    let set = stream
        .set_nodelay(true)
        .and_then(|()| Ok(setsockopt(&stream, SndBuf, &SEND_BUFFER)?))
        .and_then(|()| Ok(set_socket_keepalive(&stream, true)?))
        .and_then(|()| Ok(set_tcp_keepidle(&stream, KEEP_ALIVE)?));
    if set.is_err() {
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off is its own business.
        _ = &mut connection => return,
        () = draining.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
