//! The directory of a container on this machine.
//!
//! ```text
//! container.json   what it is made from
//! lock             held by its monitor
//! monitor.sock     where its monitor is reached
//! bundle: config.json, rootfs (mounted in the monitor only), hosts, hostname, resolv.conf
//! below/ upper/ work/   what the root is mounted from
//! disk.img disk/   the same, where its size is limited: disk/upper, disk/work
//! engine/          the engine's own state; engine.log, its complaints
//! pid              the container's first process, while it runs
//! network.json     what its network was made from, as long as there is one
//! output           what it has said, where nobody was attached
//! exit.json        how it ended, once everything of it but this directory has been removed, and its
//!                  network is being removed
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shellport_wire::exit::Exit;

use super::container::Container;
use crate::id::random_tag;
use crate::tree::remove_tree;

/// What a directory's name begins with that is being removed.
const REMOVED: &str = ".removed-";

/// How long a directory may stay as it is while somebody removes it.
const ABANDONED: Duration = Duration::from_mins(10);

/// The directory of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How its first process did.
    #[serde(flatten)]
    pub exit: Exit,
    /// When.
    pub at: jiff::Timestamp,
}

/// What is known of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its monitor makes it, watches it, or removes what is left of it.
    Running,
    /// It has ended, and was seen to.
    Ended(Ended),
    /// It has a directory and no monitor: it was never made, or the monitor was killed.
    Lost,
}

/// Removes what those have left who were killed while they removed a directory in `all`.
fn sweep(all: &Path) -> io::Result<()> {
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        let changed = || entry.metadata()?.modified();
        let is_old = || changed().is_ok_and(|at| at.elapsed().is_ok_and(|it| it > ABANDONED));
        if entry.file_name().to_string_lossy().starts_with(REMOVED) && is_old() {
            // Somebody else may do the same.
            let _ = remove_tree(&entry.path());
        }
    }
    Ok(())
}

impl Directory {
    /// Makes the directory for a new container, with what that is made from.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when there is one of this name.
    pub fn create(path: &Path, container: &Container) -> io::Result<Self> {
        fs::DirBuilder::new().mode(0o700).create(path)?;
        let directory = Self {
            path: path.to_owned(),
        };
        let made = fs::create_dir(directory.engine_state())
            .and_then(|()| directory.write("container.json", container));
        if let Err(error) = made {
            let _ = fs::remove_dir_all(path);
            return Err(error);
        }
        Ok(directory)
    }

    /// The directory at `path`, if a container has it.
    pub fn open(path: &Path) -> Option<Self> {
        let directory = Self {
            path: path.to_owned(),
        };
        path.is_dir().then_some(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the engine keeps its state.
    pub fn engine_state(&self) -> PathBuf {
        self.path.join("engine")
    }

    /// Where the engine complains.
    pub fn engine_log(&self) -> PathBuf {
        self.path.join("engine.log")
    }

    /// What has been said where nobody was attached.
    pub fn output(&self) -> PathBuf {
        self.path.join("output")
    }

    /// What the container is made from.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn container(&self) -> io::Result<Container> {
        self.read("container.json")
    }

    /// What is known of the container.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn state(&self) -> io::Result<State> {
        // First: whoever holds the lock may write the end just now.
        let monitored = self.is_monitored()?;
        match self.read("exit.json") {
            Ok(ended) => Ok(State::Ended(ended)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) if monitored => Ok(State::Running),
            Err(_) => Ok(State::Lost),
        }
    }

    /// Whether there is a monitor.
    fn is_monitored(&self) -> io::Result<bool> {
        let lock = match File::open(self.path.join("lock")) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the place of the monitor, for as long as the file is open; none when there is one.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let path = self.path.join("lock");
        let mut options = File::options();
        let lock = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// The first process of the container, as its engine has told.
    pub fn pid(&self) -> Option<i32> {
        let text = fs::read_to_string(self.path.join("pid")).ok()?;
        text.trim().parse().ok().filter(|pid| *pid > 1)
    }

    /// Notes how the container ended.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn end(&self, ended: &Ended) -> io::Result<()> {
        self.write("exit.json", ended)
    }

    /// Forgets an earlier end.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn begin(&self) -> io::Result<()> {
        for name in ["exit.json", "pid"] {
            match fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes it with everything in it, however deep that is. Nothing may be mounted in it. For others
    /// it is there or gone, and never half of it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self) -> io::Result<()> {
        let beside = self
            .path
            .with_file_name(format!("{REMOVED}{}", random_tag()));
        match fs::rename(&self.path, &beside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        }
        remove_tree(&beside)?;
        if let Some(all) = self.path.parent() {
            sweep(all)?;
        }
        Ok(())
    }

    /// Writes a file of it whole or not at all.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let unready = self.path.join(format!("{name}.new"));
        let mut file = File::create(&unready)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        fs::rename(&unready, self.path.join(name))
    }

    /// Reads a file of it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        Ok(serde_json::from_slice(&fs::read(self.path.join(name))?)?)
    }

    /// A short path to a file of it, whatever its own is: a socket's address has room for 107 bytes.
    /// It holds as long as the file that comes with it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn short(&self, name: &str) -> io::Result<(File, PathBuf)> {
        let directory = File::open(&self.path)?;
        let path = format!("/proc/self/fd/{}/{name}", directory.as_raw_fd());
        Ok((directory, path.into()))
    }
}
