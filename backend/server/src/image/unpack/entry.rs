//! One entry of a layer after the other, applied to the root directory of this process.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, linkat,
    llistxattr, lremovexattr, lsetxattr, mkfifoat, symlinkat, utimensat,
};
use rustix::io::Errno;
use tar::{Entry, EntryType};

use super::path::{self, Name};
use super::{MAX_XATTRS, UnpackError};

/// The mode of a directory that the archive has not named.
const IMPLIED: u32 = 0o755;

/// What an extended attribute is called in a PAX header.
const XATTR: &str = "SCHILY.xattr.";

/// The most bytes of a name that the kernel takes.
const MAX_NAME: usize = 4096;

/// The most directories above a file. Whoever removes a tree holds each of them open.
const MAX_DEPTH: usize = 256;

/// Characters of a name that are told.
const TOLD: usize = 200;

/// Applies a layer.
pub struct Unpacker {
    /// Bytes that regular files may still have.
    left: u64,
    max: u64,
    owners: bool,
    /// What this layer has, and every directory above that, by real paths. The rest is of the layers
    /// below.
    own: HashSet<PathBuf>,
    /// The regular files that this layer has made.
    inodes: HashSet<u64>,
    /// The times that directories shall have, which change while something is put into them.
    directories: HashMap<PathBuf, Timestamps>,
}

/// What an entry says of a file beside its contents.
struct Attributes {
    uid: u32,
    gid: u32,
    mode: u32,
    times: Timestamps,
    xattrs: Vec<(String, Vec<u8>)>,
}

impl Unpacker {
    /// One that takes at most `max` bytes, and makes files those of their `owners`, or else all of them
    /// this process's own.
    pub fn new(max: u64, owners: bool) -> Self {
        Self {
            owners,
            left: max,
            max,
            own: HashSet::new(),
            inodes: HashSet::new(),
            directories: HashMap::new(),
        }
    }

    /// Unpacks one entry.
    pub fn unpack<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<(), UnpackError> {
        let bytes = entry.path_bytes();
        let told = String::from_utf8_lossy(&bytes[..bytes.len().min(TOLD)]).into_owned();
        let name = if bytes.len() > MAX_NAME {
            Err("the name is too long")
        } else {
            path::name(&bytes)
        };
        drop(bytes);
        let failed = |what: String| UnpackError::Entry { name: told, what };
        let done = match name {
            Err(what) => return Err(failed(what.to_owned())),
            Ok(Name::File(path)) => self.file(&path, &mut entry),
            Ok(Name::Whiteout(path)) => match real(&path) {
                Ok(path) => self.remove_below(&path),
                // There is nothing to remove.
                Err(error) if is_absent(&error) => Ok(()),
                Err(error) => Err(error),
            },
            Ok(Name::Opaque(path)) => self.make_directories(&path).and_then(|path| {
                self.keep(&path);
                self.remove_below(&path)
            }),
            Ok(Name::Nothing) => Ok(()),
        };
        done.map_err(|error| failed(error.to_string()))
    }

    /// Counts bytes that the layer takes.
    fn charge(&mut self, size: u64) -> io::Result<()> {
        let left = self.left.checked_sub(size);
        let max = self.max;
        self.left = left.ok_or_else(|| io::Error::other(UnpackError::TooLarge(max)))?;
        Ok(())
    }

    /// Sets what could not be set before. Returns the bytes of all regular files.
    pub fn finish(self) -> Result<u64, UnpackError> {
        for (path, times) in &self.directories {
            // It may have been replaced by something else since.
            if fs::symlink_metadata(path).is_ok_and(|it| it.is_dir()) {
                utimensat(CWD, path, times, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| {
                    UnpackError::Entry {
                        name: path.display().to_string(),
                        what: error.to_string(),
                    }
                })?;
            }
        }
        Ok(self.max - self.left)
    }

    fn file<R: Read>(&mut self, path: &Path, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if matches!(
            kind,
            EntryType::Char | EntryType::Block | EntryType::XGlobalHeader
        ) {
            // A sandbox gets its devices from its runtime; one of 0/0 would remove a file.
            return Ok(());
        }
        let attributes = attributes(entry)?;
        let path = &match path.parent().zip(path.file_name()) {
            Some((parent, name)) => self.make_directories(parent)?.join(name),
            None => PathBuf::from("/"),
        };
        self.touch_parent(path);
        make_room(path, kind)?;
        self.keep(path);
        match kind {
            EntryType::Directory => match fs::create_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => result?,
            },
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.charge(entry.size())?;
                let mut file = File::options()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)?;
                self.inodes.insert(file.metadata()?.ino());
                let count = io::copy(entry, &mut file)?;
                if count != entry.size() {
                    return Err(io::Error::other("it ends before its time"));
                }
            }
            EntryType::Symlink => symlinkat(OsStr::from_bytes(&target(entry)?), CWD, path)?,
            EntryType::Fifo => mkfifoat(CWD, path, Mode::from(0o600))?,
            EntryType::Link => {
                let target = path::clean(&target(entry)?).map_err(io::Error::other)?;
                let target = real(&target)?;
                let found = fs::symlink_metadata(&target)?;
                // One of the layers below is copied first.
                if found.is_file() && !self.inodes.contains(&found.ino()) {
                    self.charge(found.len())?;
                }
                // What the link itself has in the way of attributes is its target's.
                return Ok(linkat(CWD, &target, CWD, path, AtFlags::empty())?);
            }
            other => {
                let what = format!("a file of the kind {:?}", char::from(other.as_byte()));
                return Err(io::Error::other(what));
            }
        }
        attributes.set(path, kind, self.owners)?;
        if kind == EntryType::Directory {
            self.directories.insert(path.clone(), attributes.times);
        }
        Ok(())
    }

    /// Notes that something is of this layer.
    fn keep(&mut self, path: &Path) {
        for path in path.ancestors() {
            if !self.own.insert(path.to_owned()) {
                return;
            }
        }
    }

    /// Something is going to be put into the directory of `path`, or taken out of it, which does not
    /// count as a change of that.
    fn touch_parent(&mut self, path: &Path) {
        let Some(parent) = path.parent() else { return };
        if self.directories.contains_key(parent) {
            return;
        }
        if let Ok(found) = fs::symlink_metadata(parent) {
            let time = |seconds, nanoseconds| Timespec {
                tv_sec: seconds,
                tv_nsec: nanoseconds,
            };
            let times = Timestamps {
                last_access: time(found.atime(), found.atime_nsec()),
                last_modification: time(found.mtime(), found.mtime_nsec()),
            };
            self.directories.insert(parent.to_owned(), times);
        }
    }

    /// Makes `path` and whatever is missing above it. Where it really is.
    fn make_directories(&mut self, path: &Path) -> io::Result<PathBuf> {
        let mut real = PathBuf::from("/");
        for part in path.components() {
            let next = real.join(part);
            match fs::symlink_metadata(&next) {
                Ok(found) if found.is_dir() => real = next,
                Ok(found) if found.is_symlink() => {
                    real = fs::canonicalize(&next)?;
                    if !real.is_dir() {
                        return Err(io::ErrorKind::NotADirectory.into());
                    }
                }
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.touch_parent(&next);
                    fs::DirBuilder::new().mode(IMPLIED).create(&next)?;
                    real = next;
                }
                Err(error) => return Err(error),
            }
        }
        if real.components().count() > MAX_DEPTH {
            return Err(io::Error::other("it is in too many directories"));
        }
        Ok(real)
    }

    /// Removes what the layers below have at `path`, which this layer may have as well.
    fn remove_below(&mut self, path: &Path) -> io::Result<()> {
        let is_own = self.own.contains(path);
        self.touch_parent(path);
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() && is_own => {
                for entry in fs::read_dir(path)? {
                    self.remove_below(&path.join(entry?.file_name()))?;
                }
                Ok(())
            }
            Ok(_) if is_own => Ok(()),
            Ok(found) if found.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Attributes {
    /// Sets them. The order counts: a new owner takes away the setuid bit and capabilities.
    fn set(&self, path: &Path, kind: EntryType, owner: bool) -> io::Result<()> {
        if owner {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            let done = chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
            done.map_err(|error| match error {
                Errno::INVAL => io::Error::other(format!(
                    "its owner {}:{} is none of the ids that this user has here (/etc/subuid)",
                    self.uid, self.gid
                )),
                error => error.into(),
            })?;
        }
        if kind != EntryType::Symlink {
            chmodat(CWD, path, Mode::from(self.mode), AtFlags::empty())?;
        }
        self.clear(path)?;
        for (name, value) in &self.xattrs {
            match lsetxattr(path, name.as_str(), value, XattrFlags::empty()) {
                // Not every file system has those of users, and not every file may have them.
                Err(Errno::OPNOTSUPP | Errno::PERM) if name.starts_with("user.") => {}
                result => result?,
            }
        }
        Ok(utimensat(
            CWD,
            path,
            &self.times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Removes the attributes that a directory of the layers below has, or a new file from the
    /// directory that it is in.
    fn clear(&self, path: &Path) -> io::Result<()> {
        let mut names = vec![0; MAX_XATTRS];
        let Ok(length) = llistxattr(path, &mut names) else {
            // Not every file can have any.
            return Ok(());
        };
        for name in names[..length].split(|byte| *byte == 0) {
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            if is_allowed(name) && !self.xattrs.iter().any(|(set, _)| set == name) {
                lremovexattr(path, name)?;
            }
        }
        Ok(())
    }
}

/// Where a path really is, whatever its last part is.
fn real(path: &Path) -> io::Result<PathBuf> {
    let Some((parent, name)) = path.parent().zip(path.file_name()) else {
        return Ok(PathBuf::from("/"));
    };
    let parent = fs::canonicalize(Path::new("/").join(parent))?;
    Ok(parent.join(name))
}

/// Whether there is nothing of a name, nor can be.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn target<R: Read>(entry: &Entry<'_, R>) -> io::Result<Vec<u8>> {
    let target = entry.link_name_bytes();
    let target = target.ok_or_else(|| io::Error::other("a link without a target"))?;
    Ok(target.into_owned())
}

fn attributes<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Attributes> {
    let header = entry.header();
    let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::other("an owner out of range"));
    let (uid, gid) = (id(header.uid()?)?, id(header.gid()?)?);
    let mode = header.mode()? & 0o7777;
    let mut time = Timespec {
        tv_sec: header.mtime()?.try_into().unwrap_or(0),
        tv_nsec: 0,
    };
    let mut xattrs = Vec::new();
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let Ok(key) = extension.key() else { continue };
            if key.starts_with("GNU.sparse.") {
                return Err(io::Error::other("a sparse file in the PAX format"));
            }
            if key == "mtime" {
                time = parse_time(extension.value_bytes()).unwrap_or(time);
            } else if let Some(name) = key.strip_prefix(XATTR)
                && is_allowed(name)
            {
                xattrs.push((name.to_owned(), extension.value_bytes().to_vec()));
            }
        }
    }
    Ok(Attributes {
        uid,
        gid,
        mode,
        times: Timestamps {
            last_access: time,
            last_modification: time,
        },
        xattrs,
    })
}

/// Whether a layer may set this attribute. Those that overlayfs keeps for itself would let it point
/// to files of other layers.
fn is_allowed(name: &str) -> bool {
    let own = name.starts_with("user.") && !name.starts_with("user.overlay.");
    own || name == "security.capability" || name.starts_with("system.posix_acl_")
}

/// Seconds since 1970, which may have a fraction and be negative.
fn parse_time(bytes: &[u8]) -> Option<Timespec> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: i64 = digits.parse().ok()?;
    let whole: i64 = seconds.parse().ok()?;
    Some(if text.starts_with('-') && nanoseconds > 0 {
        Timespec {
            tv_sec: whole.checked_sub(1)?,
            tv_nsec: 1_000_000_000 - nanoseconds,
        }
    } else {
        Timespec {
            tv_sec: whole,
            tv_nsec: nanoseconds,
        }
    })
}

/// Removes what is in the way of an entry; the last one of a name counts.
fn make_room(path: &Path, kind: EntryType) -> io::Result<()> {
    let is_directory = kind == EntryType::Directory;
    if path == Path::new("/") {
        return if is_directory {
            Ok(())
        } else {
            Err(io::Error::other("only a directory can be the root"))
        };
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() && is_directory => Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fractions() {
        let time = |text: &str| parse_time(text.as_bytes()).map(|it| (it.tv_sec, it.tv_nsec));
        assert_eq!(
            time("1350244992.023960108"),
            Some((1_350_244_992, 23_960_108))
        );
        assert_eq!(time("17"), Some((17, 0)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("-0.5"), Some((-1, 500_000_000)));
        assert_eq!(time("x"), None);
        assert_eq!(time("1.x"), None);
    }

    #[test]
    fn attributes_of_the_overlay_are_its_own() {
        for name in ["user.a", "security.capability", "system.posix_acl_access"] {
            assert!(is_allowed(name), "{name}");
        }
        for name in [
            "trusted.overlay.redirect",
            "user.overlay.opaque",
            "security.selinux",
            "trusted.a",
        ] {
            assert!(!is_allowed(name), "{name}");
        }
    }
}
