//! What the operator decides. Every flag has a variable; both are in `shellport serve --help`.

mod limits;
mod ports;
mod secret;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

pub use self::limits::Limits;
pub use self::ports::PortsUrl;
pub use self::secret::Secret;
use crate::{oci, units};

/// The configuration of `shellport serve`.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen.
    #[arg(
        long,
        env = "SHELLPORT_LISTEN",
        default_value = "127.0.0.1:8022",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,

    /// Listen on an address that is not loopback although nothing here speaks TLS. Only behind a
    /// proxy that does, or inside a container whose port is published on loopback.
    #[arg(long, env = "SHELLPORT_INSECURE_LISTEN")]
    pub insecure_listen: bool,

    /// Further names under which browsers reach the server, such as `shell.example.org`. The
    /// addresses it listens on and `localhost` are always allowed.
    #[arg(
        long,
        env = "SHELLPORT_ALLOWED_HOSTS",
        value_delimiter = ',',
        value_name = "HOST"
    )]
    pub allowed_hosts: Vec<String>,

    /// Below which name ports of sandboxes have host names of their own, such as `https://ports.example.org`, for which
    /// a wildcard has to lead to this server. Below `localhost` when absent, which a browser on this machine reaches.
    #[arg(long, env = "SHELLPORT_PORTS_URL", value_name = "URL")]
    pub ports_url: Option<PortsUrl>,

    /// Where the token, the records and the agents' sockets are.
    #[arg(long, env = "SHELLPORT_DATA_DIR", value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,

    /// What makes sandboxes; chosen by what is there when absent.
    #[arg(long, env = "SHELLPORT_RUNTIME", value_name = "RUNTIME")]
    pub runtime: Option<RuntimeName>,

    /// The address of the engine, such as `unix:///run/podman/podman.sock` or
    /// `tcp://127.0.0.1:2375`. `DOCKER_HOST` and the usual sockets are tried when absent.
    #[arg(long, env = "SHELLPORT_ENGINE", value_name = "ADDRESS")]
    pub engine: Option<String>,

    /// The OCI engine of the runtime `oci`: `embedded`, `crun`, `runc`, `youki`, `runsc`, or a path.
    #[arg(
        long,
        env = "SHELLPORT_OCI_ENGINE",
        default_value = oci::engine::EMBEDDED,
        value_name = "ENGINE"
    )]
    pub oci_engine: String,

    /// The most bytes that a layer of an image may have, where the runtime is `oci`.
    #[arg(long, env = "SHELLPORT_MAX_LAYER", default_value = "32g", value_parser = units::parse_size, value_name = "SIZE")]
    pub max_layer: u64,

    /// The most bytes that a sandbox may write to its own files, where the runtime is `oci` and this is
    /// root; without limit when absent.
    #[arg(long, env = "SHELLPORT_DISK", value_parser = oci::disk::parse_size, value_name = "SIZE")]
    pub disk: Option<u64>,

    /// The program that is run for sandboxes' monitors, which is this one. A test is another.
    #[arg(long, hide = true)]
    pub program: Option<PathBuf>,

    /// How agents are reached: by a socket in a directory that is mounted into the sandbox, by a
    /// command that the engine runs in it, or whichever works.
    #[arg(
        long,
        env = "SHELLPORT_AGENT_TRANSPORT",
        default_value = "auto",
        value_name = "TRANSPORT"
    )]
    pub agent_transport: AgentTransport,

    /// What becomes of the sandboxes when the server ends.
    #[arg(
        long,
        env = "SHELLPORT_ON_SHUTDOWN",
        default_value = "keep",
        value_name = "ACTION"
    )]
    pub on_shutdown: OnShutdown,

    /// How much is logged, as a filter of tracing, such as `info` or `shellport=debug`.
    #[arg(
        long,
        env = "SHELLPORT_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,

    /// How log lines look.
    #[arg(
        long,
        env = "SHELLPORT_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,

    /// The most connections at once, and as many WebSockets.
    #[arg(
        long,
        env = "SHELLPORT_MAX_CONNECTIONS",
        default_value_t = 4096,
        value_name = "COUNT"
    )]
    pub max_connections: usize,

    /// How long processes may take to end when a session stops.
    #[arg(long, env = "SHELLPORT_STOP_GRACE", default_value = "5s", value_parser = units::parse_duration, value_name = "DURATION")]
    pub stop_grace: Duration,

    /// What callers may have.
    #[command(flatten)]
    pub limits: Limits,
}

/// A runtime that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeName {
    /// Docker Engine, or Podman through its compatible socket.
    Docker,
    /// Containers without a daemon.
    Oci,
    /// Processes of this machine, without any isolation; for one trusted user on loopback.
    Process,
}

/// How agents are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AgentTransport {
    /// By socket where the engine sees this machine's files, else by exec.
    Auto,
    /// The agent and its socket's directory are mounted into the sandbox.
    Socket,
    /// The agent is copied into the sandbox and reached over an exec's standard streams.
    Exec,
}

/// What becomes of the sandboxes when the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnShutdown {
    /// They go on, and the next server finds them.
    Keep,
    /// They are stopped, and can be started again.
    Stop,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A configuration that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// See [`Config::insecure_listen`].
    #[error(
        "--listen {0} can be reached from other machines, and what is typed would travel in the \
         clear; listen on loopback, or put a proxy with TLS in front and add --insecure-listen"
    )]
    InsecureListen(SocketAddr),
    /// The process runtime anywhere but on loopback.
    #[error(
        "--runtime process gives everyone who has the token a shell on this machine, so it is only \
         allowed with --listen on loopback, not on {0}"
    )]
    ProcessNotOnLoopback(SocketAddr),
    /// The default profile is looser than the loosest.
    #[error("--default-profile standard is looser than --loosest-profile strict allows")]
    ProfileOrder,
    /// Neither a data directory nor a home.
    #[error("--data-dir is needed, because neither HOME nor XDG_DATA_HOME is set")]
    NoDataDir,
}

impl Config {
    /// Checks what no single flag can.
    ///
    /// # Errors
    /// A combination that is not allowed, with what to do about it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let loopback = self.listen.ip().is_loopback();
        if !loopback && !self.insecure_listen {
            return Err(ConfigError::InsecureListen(self.listen));
        }
        if !loopback && self.runtime == Some(RuntimeName::Process) {
            return Err(ConfigError::ProcessNotOnLoopback(self.listen));
        }
        if self.limits.default_profile < self.limits.loosest_profile {
            return Err(ConfigError::ProfileOrder);
        }
        self.data_dir().map(drop)
    }

    /// The data directory: the one asked for, or the user's own.
    ///
    /// # Errors
    /// When there is no way to know it.
    pub fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        data_dir(self.data_dir.as_deref())
    }
}

/// The directory that was given, or else the user's own.
///
/// # Errors
/// When there is no way to know it.
pub fn data_dir(given: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    given
        .map(Path::to_owned)
        .or_else(|| Some(PathBuf::from(variable("XDG_DATA_HOME")?).join("shellport")))
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/share/shellport")))
        .ok_or(ConfigError::NoDataDir)
}
