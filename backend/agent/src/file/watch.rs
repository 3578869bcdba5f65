//! Telling what changes in a directory.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use shellport_wire::file::{Answer, Change, ChangeKind, Failure, FailureCode, Kind};

use super::entry::{kind, wrong_kind};
use super::{answer, fail, failed, line, raw};

/// The most directories that are watched: each takes memory of the kernel.
const MAX_WATCHES: usize = 8192;

/// Tells changes until nobody reads them any more.
pub fn watch(path: &Path, recursive: bool, output: &mut impl Write) -> Result<(), Failure> {
    let error = |error: io::Error| failed(path, &error);
    let metadata = std::fs::metadata(path).map_err(error)?;
    if kind(&metadata) != Kind::Directory {
        return Err(wrong_kind(path, kind(&metadata)));
    }
    let watched = inotify::init(CreateFlags::CLOEXEC).map_err(|errno| error(errno.into()))?;
    let mut watch = Watch {
        watched,
        recursive,
        directories: HashMap::new(),
    };
    watch.add(path, &mut Vec::new())?;
    answer(output, &Answer::Done)?;
    watch.tell(output).map_err(error)
}

struct Watch {
    watched: OwnedFd,
    recursive: bool,
    /// By the number of their watch.
    directories: HashMap<i32, PathBuf>,
}

impl Watch {
    /// Watches a directory, and those below it. What is in one that has just come is `found`.
    fn add(&mut self, directory: &Path, found: &mut Vec<Change>) -> Result<(), Failure> {
        let mut waiting = vec![directory.to_owned()];
        while let Some(directory) = waiting.pop() {
            if self.directories.len() >= MAX_WATCHES {
                let message = format!("more than {MAX_WATCHES} directories");
                return Err(fail(FailureCode::TooLarge, message));
            }
            let flags = WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::ATTRIB
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::DELETE_SELF
                | WatchFlags::ONLYDIR
                | WatchFlags::EXCL_UNLINK;
            match inotify::add_watch(&self.watched, &directory, flags) {
                Ok(number) => drop(self.directories.insert(number, directory.clone())),
                // It has gone meanwhile.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => continue,
                Err(errno) => return Err(failed(&directory, &errno.into())),
            }
            let Ok(entries) = std::fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                found.push(Change {
                    change: ChangeKind::Created,
                    path: raw(entry.path()),
                    directory: is_directory,
                });
                if is_directory && self.recursive {
                    waiting.push(entry.path());
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, output: &mut impl Write) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        loop {
            let mut changes = Vec::new();
            let mut added = Vec::new();
            let mut reader = Reader::new(&self.watched, &mut buffer);
            loop {
                let event = reader.next()?;
                let flags = event.events();
                let directory = self.directories.get(&event.wd());
                let name = event
                    .file_name()
                    .map(|name| OsStr::from_bytes(name.to_bytes()));
                let is_directory = flags.contains(ReadFlags::ISDIR);
                if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                    changes.push(Change {
                        change: ChangeKind::Overflow,
                        path: raw("/"),
                        directory: true,
                    });
                } else if let (Some(directory), Some(name)) = (directory, name) {
                    let path = directory.join(name);
                    let change = what(flags);
                    if is_directory && change == ChangeKind::Created {
                        added.push(path.clone());
                    }
                    changes.push(Change {
                        change,
                        path: raw(path),
                        directory: is_directory,
                    });
                }
                if flags.contains(ReadFlags::IGNORED) {
                    let number = event.wd();
                    self.directories.remove(&number);
                }
                if reader.is_buffer_empty() {
                    break;
                }
            }
            if self.recursive {
                for directory in added {
                    // What came before it was watched would else be missed.
                    if self.add(&directory, &mut changes).is_err() {
                        changes.push(Change {
                            change: ChangeKind::Overflow,
                            path: raw(directory),
                            directory: true,
                        });
                    }
                }
            }
            for change in &changes {
                line(output, change)?;
            }
            if self.directories.is_empty() {
                return Ok(());
            }
        }
    }
}

fn what(flags: ReadFlags) -> ChangeKind {
    if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) {
        ChangeKind::Created
    } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
        ChangeKind::Removed
    } else if flags.contains(ReadFlags::CLOSE_WRITE) {
        ChangeKind::Written
    } else {
        ChangeKind::Changed
    }
}
