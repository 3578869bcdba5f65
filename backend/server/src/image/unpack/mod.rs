//! Unpacking a layer, in a process of its own.
//!
//! A layer is an archive that somebody else has made, of what is new, changed and gone in a tree. The
//! process that unpacks it mounts the layers below as an overlay in a mount namespace of its own, so
//! that what it changes there is kept by the kernel as overlayfs keeps it, and changes its root to
//! that before the first byte is read. Whatever the archive names (`..`, links, absolute paths) is
//! then looked up inside by the kernel itself, and an archive that takes too much memory ends nothing
//! but this process. With the process, its mounts go.

mod entry;
mod path;
mod stream;

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr, syncfs};
use rustix::process::{
    Resource, Rlimit, Signal, chdir, chroot, set_parent_process_death_signal, setrlimit,
};
use serde::{Deserialize, Serialize};
use tar::Archive;

use self::entry::Unpacker;
use self::stream::Contents;
use crate::overlay::Overlay;
use crate::rootless;

/// Bytes of memory. An archive can make its reader hold names and attributes of any length.
const MEMORY: u64 = 512 << 20;

/// Seconds of CPU time. An archive can make each of its names hard to look up.
const TIME: u64 = 30 * 60;

/// The most bytes that a value or a list of extended attributes has: `XATTR_SIZE_MAX` of limits.h.
const MAX_XATTRS: usize = 64 * 1024;

/// More files than any image has, and fewer than would use up a file system.
const MAX_ENTRIES: u64 = 4_000_000;

/// What came of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The digest of the archive, not compressed: `sha256:` and 64 hexadecimal digits.
    pub diff_id: String,
    /// Bytes of all regular files.
    pub size: u64,
}

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The layer's directory cannot be prepared, or the process confined to it.
    #[error("{0}: {1}")]
    Prepare(&'static str, #[source] io::Error),
    /// The archive is broken, or its compression is.
    #[error("the archive cannot be read: {0}")]
    Read(#[source] io::Error),
    /// An entry that no layer may have.
    #[error("{name:?}: {what}")]
    Entry {
        /// The entry's name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Larger than the operator allows.
    #[error("the layer is larger than {0} bytes")]
    TooLarge(u64),
    /// More entries than are allowed.
    #[error("the layer has more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// Unpacks what `blob` holds, compressed with gzip or zstd or not at all, and confines this process
/// to that for good. There must be no other thread.
///
/// In `place` there are: `lock`, which is held meanwhile; `fs`, where the layer comes to be; and, when
/// there are `below` layers under it, those as `below/0` (the highest) and so on, and the empty
/// directories `work` and `merged`.
///
/// # Errors
/// An archive that is no layer, or a file system that takes no more.
pub fn run(
    blob: impl Read,
    place: &Path,
    below: usize,
    max_bytes: u64,
) -> Result<Report, UnpackError> {
    // Whoever asked for the layer may be killed.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| UnpackError::Prepare("following the parent", error.into()))?;
    let lock = File::open(place.join("lock")).and_then(|lock| {
        lock.lock_shared()?;
        Ok(lock)
    });
    let _lock = lock.map_err(|error| UnpackError::Prepare("holding the layer's place", error))?;
    chdir(place).map_err(|error| UnpackError::Prepare("entering the place", error.into()))?;
    let owners = !rootless::is_single();
    if below == 0 {
        confine(Path::new("fs"))?;
    } else {
        adopt_root().map_err(|error| UnpackError::Prepare("reading the layers below", error))?;
        merge(below).map_err(|error| UnpackError::Prepare("mounting the layers below", error))?;
        confine(Path::new("merged"))?;
        // From now on it goes with this process, whoever else is in the mount namespace.
        umount2("/", MntFlags::MNT_DETACH)
            .map_err(|error| UnpackError::Prepare("detaching the layers", error.into()))?;
    }
    let mut contents = Contents::new(blob, max_bytes).map_err(UnpackError::Read)?;
    let mut unpacker = Unpacker::new(max_bytes, owners);
    let mut archive = Archive::new(&mut contents);
    let mut count = 0;
    for entry in archive.entries().map_err(UnpackError::Read)? {
        count += 1;
        if count > MAX_ENTRIES {
            return Err(UnpackError::TooMany);
        }
        unpacker.unpack(entry.map_err(UnpackError::Read)?)?;
    }
    let size = unpacker.finish()?;
    let diff_id = contents.finish().map_err(UnpackError::Read)?;
    let sync = || syncfs(File::open("/")?).map_err(io::Error::from);
    sync().map_err(|error| UnpackError::Prepare("writing to the disk", error))?;
    Ok(Report { diff_id, size })
}

/// Gives the root of the layer what the root of those below has: an overlay's root is that of its
/// highest layer.
fn adopt_root() -> io::Result<()> {
    let below = Path::new("below/0");
    let found = fs::metadata(below)?;
    chown("fs", Some(found.uid()), Some(found.gid()))?;
    fs::set_permissions("fs", found.permissions())?;
    let mut names = vec![0; MAX_XATTRS];
    let length = listxattr(below, &mut names)?;
    for name in names[..length].split(|byte| *byte == 0) {
        let name = OsStr::from_bytes(name);
        // Those of overlayfs itself are about the one layer.
        let is_overlay = |prefix: &[u8]| name.as_bytes().starts_with(prefix);
        if name.is_empty() || is_overlay(b"trusted.") || is_overlay(b"user.overlay.") {
            continue;
        }
        let mut value = vec![0; MAX_XATTRS];
        let length = getxattr(below, name, &mut value)?;
        setxattr("fs", name, &value[..length], XattrFlags::empty())?;
    }
    let times = FileTimes::new()
        .set_accessed(found.accessed()?)
        .set_modified(found.modified()?);
    File::open("fs")?.set_times(times)
}

/// Mounts `fs` over the layers below it, for this process alone.
fn merge(below: usize) -> io::Result<()> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let lower: Vec<_> = (0..below).map(|index| format!("below/{index}")).collect();
    let overlay = Overlay {
        lower: &lower,
        upper: "fs",
        work: "work",
    };
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID;
    overlay.mount("merged", flags)
}

fn confine(directory: &Path) -> Result<(), UnpackError> {
    let limit = |resource, most| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
    };
    for (what, result) in [
        ("limiting memory", limit(Resource::Data, MEMORY)),
        ("limiting time", limit(Resource::Cpu, TIME)),
        ("entering the layer", chroot(directory)),
        ("entering the layer", chdir("/")),
    ] {
        result.map_err(|error| UnpackError::Prepare(what, error.into()))?;
    }
    umask(Mode::empty());
    Ok(())
}
