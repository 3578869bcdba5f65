//! The root of a container: what it writes, over the layers of its image.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use nix::mount::MsFlags;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::process::chdir;

use super::container::Container;
use super::directory::Directory;
use super::disk;
use crate::overlay::Overlay;

/// Mounts the root of a container at `rootfs` of its directory, in the mount namespace of this process,
/// which is at work in that directory from now on.
///
/// # Errors
/// Where no overlay can be mounted, or the disk is full.
pub fn assemble(directory: &Directory, container: &Container) -> io::Result<()> {
    let (path, layers) = (directory.path(), &container.layers);
    let own = match container.limits.disk {
        None => ".",
        Some(size) => {
            disk::mount(path, size)?;
            disk::MOUNTED
        }
    };
    let (upper, work) = (format!("{own}/upper"), format!("{own}/work"));
    for name in [&*upper, &work, "rootfs"] {
        make(&path.join(name))?;
    }
    // Short names, because all of them have to fit into one page of memory.
    let below = path.join("below");
    if below.exists() {
        fs::remove_dir_all(&below)?;
    }
    make(&below)?;
    for (index, layer) in layers.iter().rev().enumerate() {
        symlink(layer, below.join(index.to_string()))?;
    }
    if layers.is_empty() {
        make(&below.join("0"))?;
    }
    chdir(path)?;
    let lower: Vec<_> = (0..layers.len().max(1))
        .map(|index| format!("below/{index}"))
        .collect();
    let overlay = Overlay {
        lower: &lower,
        upper: &upper,
        work: &work,
    };
    overlay.mount("rootfs", MsFlags::MS_NODEV)
}

/// Makes the directory `path` of a container whose root is at `root`, when it is not there, as far as
/// it can be made. Whatever links there are, it is made inside.
pub fn make_directory(root: &Path, path: &str) {
    let Ok(mut above) = openat(CWD, root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
        return;
    };
    let mut way = PathBuf::new();
    let Ok(top) = above.try_clone() else {
        return;
    };
    for part in Path::new(path).components() {
        let Component::Normal(part) = part else {
            continue;
        };
        way.push(part);
        let _ = mkdirat(&above, part, Mode::from_raw_mode(0o755));
        let found = openat2(
            &top,
            &way,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        );
        match found {
            Ok(found) => above = found,
            Err(_) => return,
        }
    }
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
