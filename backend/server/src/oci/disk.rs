//! A file system of a container's own, for what it writes: of a size that it cannot exceed.
//!
//! It is an image of ext4 in one sparse file, so it needs no quotas of the file system that it is on; but
//! loop devices, which root alone has.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, umount2};

use crate::{programs, rootless, units};

/// The least size: a journal, the tables, and something left to write to.
const LEAST: u64 = 32 << 20;

/// The file, and where it is mounted, in the container's directory.
const IMAGE: &str = "disk.img";
pub(super) const MOUNTED: &str = "disk";

/// What makes the file system. A small journal is enough for one container, and quicker made; what a file
/// system keeps for root would be kept from the container.
const MAKE: [&str; 8] = [
    "-q",
    "-F",
    "-m",
    "0",
    "-J",
    "size=4",
    "-E",
    "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
];

/// A size in the units of people.
///
/// # Errors
/// What is no size, or too little.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let size = units::parse_size(text).map_err(|error| error.to_string())?;
    if size < LEAST {
        return Err(format!("{size} bytes are too few; the least is 32m"));
    }
    Ok(size)
}

/// What is missing for that, if anything.
pub fn missing() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() || !rootless::is_initial() {
        return Some("root");
    }
    let programs = ["mkfs.ext4", "mount"].into_iter();
    let mut absent = programs.filter(|it| programs::find(it).is_none());
    let device = Path::new("/dev/loop-control");
    absent
        .next()
        .or_else(|| (!device.exists()).then_some("/dev/loop-control"))
}

/// Mounts it in the directory at `path`, of `size` bytes; it is made when it is not there.
///
/// # Errors
/// What the programs say that make and mount it.
pub fn mount(path: &Path, size: u64) -> io::Result<()> {
    let image = path.join(IMAGE);
    if !image.exists() {
        let unready = image.with_extension("new");
        File::create(&unready)?.set_len(size)?;
        let arguments = MAKE.map(OsStr::new);
        run(
            "mkfs.ext4",
            &[&arguments[..], &[unready.as_os_str()]].concat(),
        )?;
        fs::rename(&unready, &image)?;
    }
    let mounted = path.join(MOUNTED);
    match fs::create_dir(&mounted) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let options = ["-t", "ext4", "-o", "loop,noatime,nodev"].map(OsStr::new);
    let places = [image.as_os_str(), mounted.as_os_str()];
    run("mount", &[&options[..], &places].concat())
}

/// Unmounts it, when it is mounted. The device goes with the last mount.
pub fn unmount(path: &Path) {
    let _ = umount2(&path.join(MOUNTED), MntFlags::MNT_DETACH);
}

fn run(program: &str, arguments: &[&OsStr]) -> io::Result<()> {
    let failed = |what: &str| io::Error::other(format!("{program}: {}", what.trim()));
    let path = programs::find(program).ok_or_else(|| failed("it is not installed"))?;
    let output = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(&String::from_utf8_lossy(&output.stderr)))
    }
}
