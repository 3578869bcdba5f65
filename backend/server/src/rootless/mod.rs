//! Root without privileges.
//!
//! An ordinary user's process can enter a user namespace (`user_namespaces(7)`). There it is root over
//! the user's own files, and over the ids that the administrator has given to the user beside the own
//! one (subuid(5)). Everything that makes containers then works as it does for root, but for what the
//! machine as a whole has: its network, its cgroups, its devices.

mod ids;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};

pub use self::ids::{has_subordinates, map};

/// The map of ids in the machine's own namespace.
const INITIAL: [u64; 3] = [0, 0, 1 << 32];

/// The most of a helper's complaint that is told, in bytes.
const MAX_SAID: u64 = 4096;

/// Why there is no such namespace.
#[derive(Debug, thiserror::Error)]
pub enum RootlessError {
    /// The kernel does not let ordinary users have them, or the distribution does not.
    #[error(
        "this user may not have a user namespace ({0}), which containers without root need; \
         see `shellport doctor`"
    )]
    Refused(#[source] io::Error),
    /// The user's further ids.
    #[error("this user's ids of /etc/subuid and /etc/subgid cannot be had: {0}")]
    Ids(String),
}

/// Makes this process root of a user namespace, unless it is root already. There must be no other
/// thread.
///
/// # Errors
/// When the machine does not allow it.
pub fn enter() -> Result<(), RootlessError> {
    if geteuid().is_root() {
        return Ok(());
    }
    let (user, group) = (geteuid(), getegid());
    // It has to be outside already.
    let mapper = if has_subordinates() {
        Some(Mapper::start().map_err(RootlessError::Refused)?)
    } else {
        None
    };
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| RootlessError::Refused(error.into()))?;
    let Some(mapper) = mapper else {
        return map_one(user.as_raw(), group.as_raw()).map_err(RootlessError::Refused);
    };
    mapper.map()
}

/// Enters the user namespace in which the process `pid` is, unless this one is root. There must be no
/// other thread.
///
/// # Errors
/// When it is somebody else's.
pub fn join(pid: i32) -> io::Result<()> {
    if geteuid().is_root() && is_initial() {
        return Ok(());
    }
    let refused = |error: io::Error| {
        let hint = if is_initial() {
            ""
        } else {
            "; it works outside of `shellport unshare` only"
        };
        io::Error::other(format!("its user namespace: {error}{hint}"))
    };
    let namespace = File::open(format!("/proc/{pid}/ns/user")).map_err(refused)?;
    if namespace.metadata()?.ino() != fs::metadata("/proc/self/ns/user")?.ino() {
        let entered = setns(namespace, CloneFlags::CLONE_NEWUSER);
        entered.map_err(|error| refused(error.into()))?;
    }
    Ok(())
}

/// Whether this process is in no other user namespace than the machine's own.
pub fn is_initial() -> bool {
    entries("uid") == [INITIAL]
}

/// Whether this process can have files of this user.
pub fn has_user(id: u32) -> bool {
    has("uid", id)
}

/// Whether this process can have files of this group.
pub fn has_group(id: u32) -> bool {
    has("gid", id)
}

/// Whether everything belongs to one user and one group.
pub fn is_single() -> bool {
    matches!(&entries("uid")[..], [[_, _, 1]])
}

fn has(kind: &str, id: u32) -> bool {
    let id = u64::from(id);
    entries(kind)
        .iter()
        .any(|&[first, _, count]| (first..first + count).contains(&id))
}

/// The map of ids of this process: the first one here, the first one outside, and how many.
fn entries(kind: &str) -> Vec<[u64; 3]> {
    let text = fs::read_to_string(format!("/proc/self/{kind}_map")).unwrap_or_default();
    let number = |text: &str| text.parse().ok();
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().map(number);
        Some([words.next()??, words.next()??, words.next()??])
    });
    // The kernel's own counts to one less: the last id is none.
    let whole = |[first, outside, count]: [u64; 3]| {
        let count = if count == u64::from(u32::MAX) {
            1 << 32
        } else {
            count
        };
        [first, outside, count]
    };
    lines.map(whole).collect()
}

/// Makes this process's user and group root, and leaves out all others.
fn map_one(user: u32, group: u32) -> io::Result<()> {
    // Without privileges groups can only be mapped where none can be dropped.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// A process outside of the namespace: the programs that give a user further ids have to be there.
struct Mapper(Child);

impl Mapper {
    fn start() -> io::Result<Self> {
        let helper = Command::new(std::env::current_exe()?)
            .arg("map-ids")
            .arg(std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self(helper))
    }

    fn map(mut self) -> Result<(), RootlessError> {
        let refused = RootlessError::Refused;
        if let Some(mut stdin) = self.0.stdin.take() {
            // Now is the time.
            stdin.write_all(b"\n").map_err(refused)?;
        }
        let mut said = String::new();
        if let Some(stderr) = self.0.stderr.take() {
            let read = stderr.take(MAX_SAID).read_to_string(&mut said);
            read.map_err(RootlessError::Refused)?;
        }
        let status = self.0.wait().map_err(RootlessError::Refused)?;
        if status.success() {
            Ok(())
        } else {
            Err(RootlessError::Ids(said.trim().to_owned()))
        }
    }
}
