//! Writing a file: whole, or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;
use shellport_wire::file::{Condition, Entry, Failure, FailureCode, Kind};

use super::change::{make_parents, owner_of};
use super::entry::{kind, resolve, stat, tag, wrong_kind};
use super::{fail, failed};

/// The permissions of a new file, before the process's mask.
const MODE: u32 = 0o666;

/// The most bytes of a file that something is mounted on, which cannot be replaced.
const MAX_MOUNTED: u64 = 1024 * 1024;

/// How a file is to be written.
pub struct Wanted<'a> {
    pub mode: Option<u32>,
    pub owner: Option<&'a str>,
    pub parents: bool,
    pub condition: Condition,
    pub most: u64,
    pub length: Option<u64>,
}

/// Puts standard input into the place of the file at `path`.
pub fn replace(path: &Path, wanted: &Wanted) -> Result<Entry, Failure> {
    let target = prepare(path, wanted)?;
    let error = |error: io::Error| failed(&target, &error);
    let found = existing(&target)?;
    check(&target, found.as_ref(), &wanted.condition)?;
    let mut draft = Draft::beside(&target).map_err(error)?;
    receive(&mut draft.file, &target, wanted)?;
    let mode = wanted.mode.or(found.as_ref().map(|it| it.mode() & 0o7777));
    let owner = match (wanted.owner, &found) {
        (Some(owner), _) => Some(owner_of(owner)?),
        (None, Some(found)) => Some((Some(found.uid()), Some(found.gid()))),
        (None, None) => None,
    };
    if let Some((uid, gid)) = owner {
        let changed = fchown(&draft.file, uid, gid);
        // Whoever may write to a file may not be able to give it away.
        if wanted.owner.is_some() {
            changed.map_err(error)?;
        }
    }
    let mode = mode.unwrap_or(MODE & !mask());
    let permissions = Permissions::from_mode(mode);
    draft.file.set_permissions(permissions).map_err(error)?;
    draft.file.sync_data().map_err(error)?;
    check(&target, existing(&target)?.as_ref(), &wanted.condition)?;
    let is_new = wanted.condition == Condition::Absent;
    draft.publish(is_new).map_err(error)?;
    stat(&target).map(|entry| named(entry, path))
}

/// Puts standard input behind the file at `path`, which may be new.
pub fn append(path: &Path, wanted: &Wanted) -> Result<Entry, Failure> {
    let target = prepare(path, wanted)?;
    let error = |error: io::Error| failed(&target, &error);
    check(&target, existing(&target)?.as_ref(), &wanted.condition)?;
    let mut draft = Draft::beside(&target).map_err(error)?;
    receive(&mut draft.file, &target, wanted)?;
    draft.file.rewind().map_err(error)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(wanted.mode.unwrap_or(MODE))
        .custom_flags(i32::try_from(flags).unwrap_or_default())
        .open(&target)
        .map_err(error)?;
    let metadata = file.metadata().map_err(error)?;
    if kind(&metadata) != Kind::File {
        return Err(wrong_kind(&target, kind(&metadata)));
    }
    let written = io::copy(&mut draft.file, &mut file).and_then(|_| file.sync_data());
    if let Err(cause) = written {
        // Nothing rather than a part.
        let _ = file.set_len(metadata.len());
        return Err(error(cause));
    }
    if let Some(owner) = wanted.owner {
        let (uid, gid) = owner_of(owner)?;
        fchown(&file, uid, gid).map_err(error)?;
    }
    stat(&target).map(|entry| named(entry, path))
}

/// Where the content really goes, with the directories above it.
fn prepare(path: &Path, wanted: &Wanted) -> Result<PathBuf, Failure> {
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(wrong_kind(path, Kind::Directory));
    }
    if wanted.parents {
        make_parents(path)?;
    }
    resolve(path)
}

/// What is at `path`, which can only be a regular file.
fn existing(path: &Path) -> Result<Option<fs::Metadata>, Failure> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if kind(&metadata) == Kind::File => Ok(Some(metadata)),
        Ok(metadata) => Err(wrong_kind(path, kind(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

fn check(path: &Path, found: Option<&fs::Metadata>, condition: &Condition) -> Result<(), Failure> {
    let path = path.display();
    match (condition, found) {
        (Condition::Absent, Some(_)) => Err(fail(
            FailureCode::Changed,
            format!("{path}: it is there already"),
        )),
        (Condition::Tagged(_), None) => Err(fail(
            FailureCode::Changed,
            format!("{path}: it is not there"),
        )),
        (Condition::Tagged(tags), Some(found)) if !tags.contains(&tag(found)) => Err(fail(
            FailureCode::Changed,
            format!("{path}: it has changed"),
        )),
        _ => Ok(()),
    }
}

/// Takes standard input, within what is allowed and as long as it was said to be.
fn receive(file: &mut File, path: &Path, wanted: &Wanted) -> Result<(), Failure> {
    let mut input = io::stdin().lock().take(wanted.most.saturating_add(1));
    let come = io::copy(&mut input, file).map_err(|error| failed(path, &error))?;
    if come > wanted.most {
        let message = format!(
            "{}: more than the {} bytes that are allowed",
            path.display(),
            wanted.most
        );
        return Err(fail(FailureCode::TooLarge, message));
    }
    match wanted.length {
        Some(length) if come != length => {
            let message = format!("{}: {come} of {length} bytes came", path.display());
            Err(fail(FailureCode::Incomplete, message))
        }
        _ => Ok(()),
    }
}

fn named(entry: Entry, path: &Path) -> Entry {
    Entry {
        name: super::raw(path),
        ..entry
    }
}

/// The process's own mask of permissions.
fn mask() -> u32 {
    let mask = rustix::process::umask(Mode::empty());
    rustix::process::umask(mask);
    mask.bits()
}

/// A file that has no name yet, in the directory of the one that it will be. Where the file system has no such
/// thing it has one that nobody looks for. The directory is held, whatever becomes of its name.
pub struct Draft {
    pub file: File,
    directory: OwnedFd,
    name: OsString,
    /// Its name, while it has one that is not the right one.
    temporary: Option<OsString>,
}

impl Draft {
    /// One for what will be `target`.
    ///
    /// # Errors
    /// When the directory is not there, or nothing can be written to it.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let parent = target.parent().unwrap_or(Path::new("/"));
        let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, parent, flags, Mode::empty())?;
        let mode = Mode::RUSR | Mode::WUSR;
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let unnamed = openat(&directory, ".", flags | OFlags::TMPFILE, mode);
        let (file, temporary) = if let Ok(file) = unnamed {
            (file, None)
        } else {
            let name = temporary();
            let flags = flags | OFlags::CREATE | OFlags::EXCL;
            (openat(&directory, &name, flags, mode)?, Some(name))
        };
        Ok(Self {
            file: file.into(),
            directory,
            name: name.to_owned(),
            temporary,
        })
    }

    /// Gives it its name, in place of what has that, or only when nothing has.
    ///
    /// # Errors
    /// When something has the name and may not lose it.
    pub fn publish(mut self, is_new: bool) -> io::Result<()> {
        let directory = &self.directory;
        let Some(from) = self.temporary.clone() else {
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let link =
                |name: &OsString| linkat(CWD, &own, directory, name, AtFlags::SYMLINK_FOLLOW);
            if is_new {
                return Ok(link(&self.name)?);
            }
            let name = temporary();
            link(&name)?;
            self.temporary = Some(name);
            return self.publish(is_new);
        };
        if is_new {
            return Ok(linkat(
                directory,
                &from,
                directory,
                &self.name,
                AtFlags::empty(),
            )?);
        }
        match renameat(directory, &from, directory, &self.name) {
            Ok(()) => self.temporary = None,
            // Something is mounted there, as on `/etc/hosts` in a container: the file stays, and its content goes.
            Err(Errno::BUSY) => self.overwrite()?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Writes its content into the file that has its name.
    fn overwrite(&mut self) -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut there = File::from(openat(&self.directory, &self.name, flags, Mode::empty())?);
        if there.metadata()?.len() > MAX_MOUNTED {
            return Err(Errno::BUSY.into());
        }
        let mut before = Vec::new();
        there.read_to_end(&mut before)?;
        let put = |there: &mut File, content: &mut dyn Read| {
            there.rewind()?;
            let length = io::copy(content, there)?;
            there.set_len(length)
        };
        self.file.rewind()?;
        let written = put(&mut there, &mut self.file);
        if written.is_err() {
            let _ = put(&mut there, &mut &before[..]);
        }
        written
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary {
            let _ = unlinkat(&self.directory, name, AtFlags::empty());
        }
    }
}

/// A name that nothing has.
fn temporary() -> OsString {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    format!(".shellport-{}-{now}", std::process::id()).into()
}
