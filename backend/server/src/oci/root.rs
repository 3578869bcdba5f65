//! The root of a container: what it writes, over the layers of its image.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use rustix::process::chdir;

use super::directory::Directory;

/// Mounts the root of a container at `rootfs` of its directory, in the mount namespace of this process,
/// which is at work in that directory from now on.
///
/// # Errors
/// Where overlayfs is not allowed, or the disk is full.
pub fn assemble(directory: &Directory, layers: &[PathBuf]) -> io::Result<()> {
    let path = directory.path();
    for name in ["upper", "work", "rootfs"] {
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
    let options = format!(
        "lowerdir={},upperdir=upper,workdir=work,redirect_dir=off,metacopy=off,index=off",
        lower.join(":")
    );
    mount(
        Some("overlay"),
        "rootfs",
        Some("overlay"),
        MsFlags::MS_NODEV,
        Some(options.as_str()),
    )?;
    Ok(())
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
