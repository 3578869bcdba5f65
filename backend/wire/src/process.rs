//! What the server asks of `shellport-agent process`, the program that looks at a sandbox's processes.
//!
//! It is run as [`crate::file`]'s is. It answers with lines of JSON: an [`Answer`] each, and of a list as many as
//! there are processes.

use serde::{Deserialize, Serialize};

use crate::file::Failure;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Tell of every process, parents before their children; each an [`Answer::Process`], and then
    /// [`Answer::Done`].
    List,
    /// Tell of the ports on which processes listen, with an [`Answer::Ports`]; with `follow`, again
    /// whenever they change.
    Ports {
        /// Whether to go on.
        #[serde(default)]
        follow: bool,
    },
    /// Tell what the sandbox uses, with an [`Answer::Stats`].
    Stats {
        /// Again after so many milliseconds, for ever; once when absent.
        #[serde(default)]
        every_ms: Option<u64>,
    },
    /// Signal a process; answered with [`Answer::Done`].
    Signal {
        /// Which.
        pid: i32,
        /// The signal's name, such as `SIGTERM`.
        signal: String,
        /// And everything below it.
        #[serde(default)]
        tree: bool,
    },
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// One process.
    Process(Process),
    /// All ports on which processes listen, by number.
    Ports {
        /// Them, each once.
        ports: Vec<Listener>,
    },
    /// What the sandbox uses.
    Stats(Stats),
    /// It was not done.
    Failed(Failure),
}

/// A process of a sandbox. Those of ours are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id in the sandbox.
    pub pid: i32,
    /// The nearest process above it that is told of.
    pub parent: Option<i32>,
    /// The number of its user.
    pub uid: u32,
    /// A letter, as in `/proc/[pid]/stat`.
    pub state: char,
    /// Its name, as the kernel has it.
    pub name: String,
    /// Its argument vector, the beginning of it.
    pub argv: Vec<String>,
    /// Milliseconds of CPU time that it has used.
    pub cpu_ms: u64,
    /// Bytes of memory that it has in use.
    pub memory: u64,
    /// How many threads it has.
    pub threads: u32,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
    /// The ports on which it listens, as far as they can be told.
    pub ports: Vec<Port>,
}

/// What a sandbox uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Milliseconds of CPU time.
    pub cpu_ms: u64,
    /// Bytes of memory in use.
    pub memory: u64,
    /// The most bytes of it, if there is a limit.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
    /// The most of them, if there is a limit.
    pub pids_limit: Option<u64>,
    /// Bytes used on the file system of its root.
    pub disk_used: u64,
    /// Bytes of that file system.
    pub disk_total: u64,
    /// Bytes read from disks, if they are counted.
    pub read: Option<u64>,
    /// Bytes written to disks.
    pub written: Option<u64>,
    /// Bytes received over a network of its own, if it has one.
    pub received: Option<u64>,
    /// Bytes sent over it.
    pub sent: Option<u64>,
}

/// A port, and who listens on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its number.
    pub port: u16,
    /// The addresses.
    pub addresses: Vec<String>,
    /// The first of the processes.
    pub pid: i32,
    /// Its name, as the kernel has it.
    pub name: String,
}

/// A port on which somebody listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub port: u16,
    /// The address, such as `0.0.0.0` or `::1`.
    pub address: String,
}
