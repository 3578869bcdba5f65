//! `shellport run` and its companions: containers of one user, without a server and without a daemon.

mod attach;
mod copy;
mod end;
mod exec;
mod list;
mod logs;
pub(super) mod options;
mod relay;
mod run;
mod stats;

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use nix::sys::signal::Signal;
use shellport_wire::exit::Exit;

pub use self::attach::AttachCommand;
pub(super) use self::copy::place as place_of;
pub use self::copy::{ArchiveCommand, CopyCommand};
pub use self::end::{KillCommand, RemoveCommand, StopCommand};
pub use self::exec::ExecCommand;
pub use self::list::ListCommand;
pub(super) use self::list::ago;
pub use self::logs::LogsCommand;
pub use self::run::RunCommand;
pub use self::stats::StatsCommand;
use super::remote::RemoteError;
use crate::config::{ConfigError, data_dir};
use crate::image::{ImageError, Store};
use crate::oci::directory::Directory;
use crate::oci::engine::EngineError;
use crate::oci::monitor;
use crate::rootless::{self, RootlessError};
use crate::units;

/// The code of a command that fails itself, so that it is not taken for a program's: Docker's.
pub const FAILURE: u8 = 125;

/// What goes wrong with containers of one user.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A flag's value.
    #[error("{flag}: {what}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong, and what it takes.
        what: String,
    },
    /// Not root, and no namespace in which to be.
    #[error(transparent)]
    Rootless(#[from] RootlessError),
    /// No such container.
    #[error("there is no container {0:?}; `shellport ps --all` lists those there are")]
    Missing(String),
    /// A container that does not run.
    #[error("the container {0:?} does not run")]
    Stopped(String),
    /// A container that runs.
    #[error("the container {0:?} runs; stop it first, or use --force")]
    Running(String),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What a monitor says.
    #[error("{0}")]
    Monitor(String),
    /// A server and its sessions.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The machine.
    #[error("{0}: {1}")]
    Host(&'static str, #[source] io::Error),
}

impl CommandError {
    pub(in crate::cli) fn flag(flag: &'static str, what: impl Into<String>) -> Self {
        Self::Flag {
            flag,
            what: what.into(),
        }
    }

    pub(in crate::cli) fn host(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Host(step, error)
    }
}

/// Where containers and images are.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Where everything is kept.
    #[arg(long, env = "SHELLPORT_DATA_DIR", value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
}

impl Place {
    /// The directory of the images.
    fn images(&self) -> Result<PathBuf, CommandError> {
        Ok(data_dir(self.data_dir.as_deref())?.join("images"))
    }

    /// The images.
    fn store(&self) -> Result<Store, CommandError> {
        let most = units::parse_size("32g").unwrap_or(u64::MAX);
        Ok(Store::open(&self.images()?, program()?, most)?)
    }

    /// The directory of the containers' directories, which is made when it is not there.
    fn containers(&self) -> Result<PathBuf, CommandError> {
        let path = data_dir(self.data_dir.as_deref())?.join("containers");
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path);
        made.map_err(CommandError::host("making a directory"))?;
        std::fs::canonicalize(&path).map_err(CommandError::host("looking for containers"))
    }

    /// The container of this name.
    fn find(&self, name: &str) -> Result<Directory, CommandError> {
        let missing = || CommandError::Missing(name.to_owned());
        options::name(name).map_err(|_| missing())?;
        Directory::open(&self.containers()?.join(name)).ok_or_else(missing)
    }

    /// Every container, by name.
    fn all(&self) -> Result<Vec<Directory>, CommandError> {
        let entries = std::fs::read_dir(self.containers()?);
        let entries = entries.map_err(CommandError::host("looking for containers"))?;
        let entries = entries.flatten();
        // Names begin with a letter or a digit, and what is being removed does not.
        let named = entries.filter(|it| !it.file_name().as_encoded_bytes().starts_with(b"."));
        let mut found: Vec<_> = named.filter_map(|it| Directory::open(&it.path())).collect();
        found.sort_by(|a, b| a.path().cmp(b.path()));
        Ok(found)
    }
}

/// Enters the user namespace of the container of this name, or a new one when it does not run.
fn join(place: &Place, name: &str) -> Result<(), CommandError> {
    match monitor::pid(&place.find(name)?) {
        Ok(pid) => rootless::join(pid).map_err(CommandError::host("joining the container")),
        Err(_) => Ok(rootless::enter()?),
    }
}

/// This program.
fn program() -> Result<PathBuf, CommandError> {
    std::env::current_exe().map_err(CommandError::host("finding this program"))
}

/// What a container is called.
fn name(directory: &Directory) -> String {
    let name = directory.path().file_name().map(Path::new);
    name.map(|name| name.display().to_string())
        .unwrap_or_default()
}

/// The code of a command that ended because of a signal.
pub(super) fn left(signal: Signal) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal as i32).unwrap_or(FAILURE))
}

/// The code to end with for a program that ended so.
pub(super) fn code(exit: &Exit) -> ExitCode {
    let code = exit.shell_code().and_then(|code| u8::try_from(code).ok());
    // An end that nobody saw is none of the program's codes.
    ExitCode::from(code.unwrap_or(FAILURE))
}
