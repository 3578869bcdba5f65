//! The kernel's groups of processes, in both of its versions: what a container uses, and why it ended.
//!
//! Engines make and remove the groups; here they are only read, and emptied when an engine cannot.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

pub use parent::Parent;

mod parent;

/// Where the hierarchies are.
const ROOT: &str = "/sys/fs/cgroup";

/// Where an empty one of version 2 is beside those of version 1.
pub const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// How long the kernel may take to let go of a group.
const REMOVAL: Duration = Duration::from_secs(20);

/// Which hierarchies a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One for every controller.
    One,
    /// As [`Self::One`], with an empty one of version 2 beside them.
    Hybrid,
    /// A single one.
    Two,
}

/// Which hierarchies this machine has.
pub fn version() -> Version {
    let is_two = |path: &str| is(Path::new(path), CGROUP2_SUPER_MAGIC);
    if is_two(ROOT) {
        Version::Two
    } else if is_two(UNIFIED) {
        Version::Hybrid
    } else {
        Version::One
    }
}

/// Whether the kernel can limit memory and swap together.
pub fn counts_swap() -> bool {
    match version() {
        Version::Two => true,
        _ => Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists(),
    }
}

/// Where the hierarchies of this machine are.
pub fn hierarchies() -> Vec<PathBuf> {
    match version() {
        Version::Two => vec![ROOT.into()],
        Version::One | Version::Hybrid => {
            let mut all = below(Path::new(ROOT));
            all.retain(|it| is(it, CGROUP_SUPER_MAGIC) || is(it, CGROUP2_SUPER_MAGIC));
            all
        }
    }
}

/// Hides the single hierarchy of version 2 from this process, in its own mount namespace: libcontainer
/// wants to make a group wherever it sees how.
///
/// # Errors
/// Those of the kernel.
pub fn hide() -> io::Result<()> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
    let kind = Some("tmpfs");
    Ok(mount(kind, ROOT, kind, flags, None::<&str>)?)
}

fn is(path: &Path, kind: FsType) -> bool {
    statfs(path).is_ok_and(|it| it.filesystem_type() == kind)
}

/// The groups of one container, in each hierarchy.
#[derive(Clone, Debug)]
pub struct Cgroup {
    version: Version,
    /// From the root of the hierarchies.
    path: PathBuf,
}

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Nanoseconds of CPU time.
    pub cpu: u64,
    /// Bytes of memory, without what the kernel could drop at once.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Processes that were killed for lack of memory.
    pub oom_kills: u64,
}

impl Cgroup {
    /// The group at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            version: version(),
            path: path.into(),
        }
    }

    /// What it uses now. What the kernel does not tell is 0.
    pub fn usage(&self) -> Usage {
        match self.version {
            Version::Two => {
                let directory = self.directory("");
                let cpu = keyed(&directory, "cpu.stat", "usage_usec").unwrap_or(0);
                let memory = number(&directory, "memory.current").unwrap_or(0);
                let cache = keyed(&directory, "memory.stat", "inactive_file").unwrap_or(0);
                Usage {
                    cpu: cpu.saturating_mul(1000),
                    memory: memory.saturating_sub(cache),
                    pids: number(&directory, "pids.current").unwrap_or(0),
                    oom_kills: keyed(&directory, "memory.events", "oom_kill").unwrap_or(0),
                }
            }
            Version::One | Version::Hybrid => {
                let memory = self.directory("memory");
                let used = number(&memory, "memory.usage_in_bytes").unwrap_or(0);
                let cache = keyed(&memory, "memory.stat", "total_inactive_file").unwrap_or(0);
                Usage {
                    cpu: number(&self.directory("cpuacct"), "cpuacct.usage").unwrap_or(0),
                    memory: used.saturating_sub(cache),
                    pids: number(&self.directory("pids"), "pids.current").unwrap_or(0),
                    oom_kills: keyed(&memory, "memory.oom_control", "oom_kill").unwrap_or(0),
                }
            }
        }
    }

    /// Keeps what is in it from memory that is none, where the kernel counts that by itself.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn forbid_swap(&self) -> io::Result<()> {
        let file = self.directory("").join("memory.swap.max");
        if self.version == Version::Two && file.exists() {
            fs::write(file, "0")?;
        }
        Ok(())
    }

    /// The processes in it, and in those below.
    pub fn processes(&self) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        for directory in self.directories() {
            collect(&directory, &mut found);
        }
        found
    }

    /// Kills what is in it, and removes it as soon as the kernel lets go of it.
    ///
    /// # Errors
    /// When the kernel does not.
    pub async fn end(&self) -> io::Result<()> {
        let deadline = Instant::now() + REMOVAL;
        loop {
            for pid in self.processes() {
                // It may have ended meanwhile.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            match self.remove() {
                Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(5)).await,
                result => return result,
            }
        }
    }

    /// Removes it when nothing is in it, and those below.
    ///
    /// # Errors
    /// When something is.
    pub fn remove(&self) -> io::Result<()> {
        self.directories().iter().try_for_each(|it| remove(it))
    }

    fn directory(&self, controller: &str) -> PathBuf {
        Path::new(ROOT).join(controller).join(self.relative())
    }

    fn relative(&self) -> &Path {
        self.path.strip_prefix("/").unwrap_or(&self.path)
    }

    /// The directories of it that are there.
    fn directories(&self) -> Vec<PathBuf> {
        let all = hierarchies().into_iter();
        let own = all.map(|hierarchy| hierarchy.join(self.relative()));
        own.filter(|it| it.is_dir()).collect()
    }
}

fn collect(directory: &Path, found: &mut BTreeSet<i32>) {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for below in below(directory) {
        collect(&below, found);
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    below(directory).iter().try_for_each(|it| remove(it))?;
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn number(directory: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(directory.join(file)).ok()?;
    text.trim().parse().ok()
}

fn keyed(directory: &Path, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(directory.join(file)).ok()?;
    text.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}
