//! Making, moving, copying and removing, permissions and owners.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use shellport_wire::file::{Entry, Failure, FailureCode, Kind};

use super::entry::{kind, open, stat, wrong_kind};
use super::write::Draft;
use super::{fail, failed};
use crate::account::Account;

/// The permissions of a new directory, before the process's mask.
const MODE: u32 = 0o777;

pub fn make_directory(path: &Path, mode: Option<u32>, parents: bool) -> Result<Entry, Failure> {
    if parents {
        make_parents(path)?;
    }
    match DirBuilder::new().mode(mode.unwrap_or(MODE)).create(path) {
        Ok(()) => {
            if let Some(mode) = mode {
                // Past the mask.
                set_mode(path, mode)?;
            }
        }
        Err(error) if parents && error.kind() == io::ErrorKind::AlreadyExists => {
            if !path.is_dir() {
                return Err(failed(path, &error));
            }
        }
        Err(error) => return Err(failed(path, &error)),
    }
    stat(path)
}

/// Makes the directories above `path` that are not there.
pub fn make_parents(path: &Path) -> Result<(), Failure> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    fs::create_dir_all(parent).map_err(|error| failed(parent, &error))
}

/// Gives what is at `path` another name, also when that is in another file system.
pub fn rename(path: &Path, to: &Path, replace: bool) -> Result<Entry, Failure> {
    let renamed = if replace {
        fs::rename(path, to)
    } else {
        rename_to_new(path, to)
    };
    match renamed {
        Ok(()) => stat(to),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let copied = copy(path, to, replace)?;
            remove(path, true)?;
            Ok(copied)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(failed(path, &error)),
        Err(error) => Err(failed(to, &error)),
    }
}

fn rename_to_new(path: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, path, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // A file system that does not know that.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(path, to)
        }
        Err(error) => Err(error.into()),
    }
}

/// Copies what is at `path`: a file, a symbolic link as one, or a directory with all that is in it.
pub fn copy(path: &Path, to: &Path, replace: bool) -> Result<Entry, Failure> {
    if to.starts_with(path) {
        let message = format!("{}: it is in what is to be copied", to.display());
        return Err(fail(FailureCode::Invalid, message));
    }
    if !replace && fs::symlink_metadata(to).is_ok() {
        let message = format!("{}: it is there already", to.display());
        return Err(fail(FailureCode::Exists, message));
    }
    copy_one(path, to)?;
    stat(to)
}

fn copy_one(path: &Path, to: &Path) -> Result<(), Failure> {
    let metadata = fs::symlink_metadata(path).map_err(|error| failed(path, &error))?;
    match kind(&metadata) {
        Kind::File => {
            // Opened as what it is now, whatever it was a moment ago.
            let (mut from, metadata) = open(path)?;
            if kind(&metadata) != Kind::File {
                return Err(wrong_kind(path, kind(&metadata)));
            }
            let written = Draft::beside(to).and_then(|mut draft| {
                io::copy(&mut from, &mut draft.file)?;
                draft.file.set_permissions(metadata.permissions())?;
                draft.publish(false)
            });
            written.map_err(|error| failed(to, &error))
        }
        Kind::Symlink => {
            let target = fs::read_link(path).map_err(|error| failed(path, &error))?;
            symlink(target, to).map_err(|error| failed(to, &error))
        }
        Kind::Directory => {
            match fs::create_dir(to) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed(to, &error));
                }
                _ => {}
            }
            for entry in fs::read_dir(path).map_err(|error| failed(path, &error))? {
                let entry = entry.map_err(|error| failed(path, &error))?;
                copy_one(&entry.path(), &to.join(entry.file_name()))?;
            }
            let permissions = fs::set_permissions(to, metadata.permissions());
            permissions.map_err(|error| failed(to, &error))
        }
        kind => Err(wrong_kind(path, kind)),
    }
}

pub fn remove(path: &Path, recursive: bool) -> Result<(), Failure> {
    let error = |error: io::Error| failed(path, &error);
    let metadata = fs::symlink_metadata(path).map_err(error)?;
    let removed = match kind(&metadata) {
        Kind::Directory if recursive => fs::remove_dir_all(path),
        Kind::Directory => fs::remove_dir(path),
        _ => fs::remove_file(path),
    };
    removed.map_err(error)
}

pub fn change(path: &Path, mode: Option<u32>, owner: Option<&str>) -> Result<Entry, Failure> {
    if let Some(owner) = owner {
        let (uid, gid) = owner_of(owner)?;
        chown(path, uid, gid).map_err(|error| failed(path, &error))?;
    }
    if let Some(mode) = mode {
        set_mode(path, mode)?;
    }
    stat(path)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Failure> {
    let permissions = Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(|error| failed(path, &error))
}

/// The numbers of an owner, and of a group when one is named.
pub fn owner_of(spec: &str) -> Result<(Option<u32>, Option<u32>), Failure> {
    let account = Account::find(spec);
    let account = account.map_err(|error| fail(FailureCode::Invalid, error.to_string()))?;
    let gid = spec.contains(':').then_some(account.gid);
    Ok((Some(account.uid), gid))
}
