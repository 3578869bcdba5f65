//! What there is in a file system.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use shellport_wire::file::{Entry, Failure, FailureCode, Kind, RawPath};

use super::{fail, failed, raw};

/// The most symbolic links on the way to a file, as in the kernel.
const MAX_LINKS: usize = 40;

/// What is at `path`, which may be a symbolic link itself.
pub fn stat(path: &Path) -> Result<Entry, Failure> {
    let metadata = fs::symlink_metadata(path).map_err(|error| failed(path, &error))?;
    Ok(entry(path, raw(path), &metadata))
}

/// What `metadata` says of `path`, under a name.
pub fn entry(path: &Path, name: RawPath, metadata: &Metadata) -> Entry {
    let kind = kind(metadata);
    let target = (kind == Kind::Symlink).then(|| fs::read_link(path).ok());
    let modified = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
    Entry {
        name,
        kind,
        size: metadata.len(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        modified_ms: modified,
        tag: tag(metadata),
        target: target.flatten().map(raw),
    }
}

/// Tells a content from another: every change of it changes one of these numbers.
pub fn tag(metadata: &Metadata) -> String {
    format!(
        "{:x}-{:x}-{:x}-{:x}",
        metadata.ino(),
        metadata.len(),
        metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
        metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec(),
    )
}

pub fn kind(metadata: &Metadata) -> Kind {
    let kind = metadata.file_type();
    if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink
    } else if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_socket() {
        Kind::Socket
    } else {
        Kind::Device
    }
}

/// Opens a file or directory for reading, and nothing else: whoever opens a named pipe waits for its other side,
/// and what a device does nobody knows.
pub fn open(path: &Path) -> Result<(File, Metadata), Failure> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags).unwrap_or_default())
        .open(path)
        .and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (file, metadata) = opened.map_err(|error| failed(path, &error))?;
    match kind(&metadata) {
        Kind::File | Kind::Directory => Ok((file, metadata)),
        kind => Err(wrong_kind(path, kind)),
    }
}

/// Where `path` leads when it is a symbolic link, to something that may not be there.
pub fn resolve(path: &Path) -> Result<PathBuf, Failure> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = fs::read_link(&path).map_err(|error| failed(&path, &error))?;
                path = path.parent().unwrap_or(Path::new("/")).join(target);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    let message = format!("{}: too many symbolic links", path.display());
    Err(fail(FailureCode::Failed, message))
}

/// Something that is not what it has to be.
pub fn wrong_kind(path: &Path, kind: Kind) -> Failure {
    let what = match kind {
        Kind::File => "a regular file",
        Kind::Directory => "a directory",
        Kind::Symlink => "a symbolic link",
        Kind::Fifo => "a named pipe",
        Kind::Socket => "a socket",
        Kind::Device => "a device",
    };
    fail(
        FailureCode::WrongKind,
        format!("{}: it is {what}", path.display()),
    )
}

/// A page of a directory, by name.
pub fn list(
    path: &Path,
    after: Option<&RawPath>,
    most: usize,
) -> Result<(Vec<Entry>, bool), Failure> {
    let error = |error: io::Error| failed(path, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(error)? {
        let name = entry.map_err(error)?.file_name();
        if after.is_none_or(|after| name.as_bytes() > &after.0[..]) {
            names.push(name);
        }
    }
    names.sort_unstable();
    let more = names.len() > most;
    names.truncate(most);
    let entries = names.into_iter().filter_map(|name| {
        let path = path.join(&name);
        // It may have gone meanwhile.
        let metadata = fs::symlink_metadata(&path).ok()?;
        Some(entry(&path, raw(name), &metadata))
    });
    Ok((entries.collect(), more))
}
