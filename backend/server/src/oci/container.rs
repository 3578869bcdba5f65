//! What a container is made from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A container. It is written down before it is made, so that it can be started again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    /// What its engine calls it: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// What its image is called.
    pub image: String,
    /// When it was wanted.
    pub created: jiff::Timestamp,
    /// The engine that makes it, as [`super::engine::Engine::find`] takes it.
    pub engine: String,
    /// The directories of its image, the lowest first.
    pub layers: Vec<PathBuf>,
    /// The file that keeps its layers, which goes with the directory.
    pub pin: Option<PathBuf>,
    /// What runs.
    pub program: Program,
    /// Where its standard streams lead.
    pub stdio: Stdio,
    /// Bytes of its output that are kept.
    pub keep_output: u64,
    /// Its directory goes when it has ended.
    pub remove: bool,
    /// Capabilities, without `CAP_`. It has no others, and gets none.
    pub capabilities: Vec<String>,
    /// Nothing can be written but what is mounted.
    pub read_only: bool,
    /// Its name for itself.
    pub hostname: String,
    /// Its cgroup, from the root of the hierarchies; none where nobody here can make any, so that it
    /// has no limits.
    pub cgroup: Option<String>,
    /// What it may use.
    pub limits: Limits,
    /// What it can reach.
    pub network: Network,
    /// Files and directories of this machine.
    pub binds: Vec<Bind>,
    /// Places in memory.
    pub tmpfs: Vec<Tmpfs>,
}

/// A program of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The argument vector.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// An absolute path.
    pub cwd: String,
    /// `name`, `uid`, `name:group`, `uid:gid` and so on; root when empty.
    pub user: String,
}

/// Where the standard streams of a container lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdio {
    /// To pipes.
    Pipes {
        /// Whether there is an input.
        input: bool,
    },
    /// To a pseudo-terminal.
    Terminal,
}

/// What a container may use; without limit where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// CPUs' worth of time.
    pub cpus: Option<f64>,
    /// Bytes of memory; there is no swap beyond it.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Bytes of what it writes to its own files.
    pub disk: Option<u64>,
}

/// What a container can reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Nothing but itself.
    #[default]
    None,
    /// The machine's own network.
    Host,
    /// A network of its own behind the machine's addresses.
    Bridge {
        /// Ports of the machine that lead into it.
        ports: Vec<Port>,
    },
}

/// A port of the machine that leads into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The machine's address; every one when absent.
    pub address: Option<std::net::IpAddr>,
    /// The machine's port.
    pub host: u16,
    /// The container's port.
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A file or directory of this machine in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// An absolute path on this machine.
    pub source: PathBuf,
    /// An absolute path in the container.
    pub target: PathBuf,
    /// Whether the container cannot write to it.
    pub read_only: bool,
}

/// A place in memory, which counts against the memory limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// An absolute path in the container.
    pub target: PathBuf,
    /// The most bytes.
    pub size: u64,
    /// Whose it is, user and group.
    pub owner: u32,
}
