//! `shellport stop`, `kill` and `rm`: the ends of a container.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::{CommandError, Place, program};
use crate::cli::remote::{self, ServerPlace, session_of, sessions_of};
use crate::cli::say;
use crate::oci::directory::{Directory, State};
use crate::oci::engine::Engine;
use crate::oci::{monitor, remains};

/// How long the kernel may take to end processes that are killed.
const KILLED: Duration = Duration::from_secs(20);

/// How often a container is looked at that is to end.
const LOOK: Duration = Duration::from_millis(10);

/// Ask containers or sessions to end, and kill what does not.
#[derive(Args, Debug)]
pub struct StopCommand {
    #[command(flatten)]
    place: Place,

    /// Seconds between asking and killing.
    #[arg(long, short, default_value_t = 10, value_name = "SECONDS")]
    time: u64,

    #[command(flatten)]
    server: ServerPlace,

    /// The containers, or sessions (@NAME).
    #[arg(required = true)]
    names: Vec<String>,
}

impl StopCommand {
    /// Stops them, one after the other.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(sessions) = sessions_of(&self.names)? {
            return remote::stop(&self.server, &sessions, self.time).await;
        }
        self.server.refuse()?;
        for name in self.names {
            let directory = self.place.find(&name)?;
            signal(&directory, Signal::SIGTERM).await;
            if !ends(&directory, Duration::from_secs(self.time)).await? {
                kill(&directory).await?;
            }
            say(&name);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Send a signal to the program of containers, or to all that runs in sessions.
#[derive(Args, Debug)]
pub struct KillCommand {
    #[command(flatten)]
    place: Place,

    /// The signal, such as KILL, HUP or 15.
    #[arg(long, short, default_value = "KILL", value_parser = parse_signal, value_name = "SIGNAL")]
    signal: Signal,

    #[command(flatten)]
    server: ServerPlace,

    /// The containers, or sessions (@NAME).
    #[arg(required = true)]
    names: Vec<String>,
}

impl KillCommand {
    /// Sends it.
    ///
    /// # Errors
    /// When there is no such container, or it does not run.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(sessions) = sessions_of(&self.names)? {
            return remote::kill(&self.server, &sessions, self.signal.as_str()).await;
        }
        self.server.refuse()?;
        for name in self.names {
            let directory = self.place.find(&name)?;
            let sent = monitor::signal(&directory, self.signal as i32).await;
            sent.map_err(|_| CommandError::Stopped(name.clone()))?;
            if self.signal == Signal::SIGKILL {
                ends(&directory, KILLED).await?;
            }
            say(&name);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Remove containers or sessions that have ended, with their files.
#[derive(Args, Debug)]
pub struct RemoveCommand {
    #[command(flatten)]
    place: Place,

    /// Kill those that run.
    #[arg(long, short)]
    force: bool,

    #[command(flatten)]
    server: ServerPlace,

    /// The containers, or sessions (@NAME).
    #[arg(required = true)]
    names: Vec<String>,
}

impl RemoveCommand {
    /// Whether they are a server's.
    pub fn is_remote(&self) -> bool {
        self.names.iter().all(|name| session_of(name).is_some())
    }

    /// Removes them.
    ///
    /// # Errors
    /// When there is no such container, or it runs.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(sessions) = sessions_of(&self.names)? {
            return remote::remove(&self.server, &sessions, self.force).await;
        }
        self.server.refuse()?;
        let store = self.place.store()?;
        for name in self.names {
            let directory = self.place.find(&name)?;
            let failed = || CommandError::host("removing the container");
            match directory.state().map_err(failed())? {
                State::Running if !self.force => return Err(CommandError::Running(name)),
                State::Running => kill(&directory).await?,
                State::Lost => clear(&directory).await?,
                State::Ended(_) => {}
            }
            directory.remove().map_err(failed())?;
            store.unpin(directory.path())?;
            say(&name);
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn kill(directory: &Directory) -> Result<(), CommandError> {
    signal(directory, Signal::SIGKILL).await;
    if ends(directory, KILLED).await? {
        return Ok(());
    }
    let what = "the container does not end";
    Err(CommandError::Monitor(what.to_owned()))
}

/// Sends a signal to a container that may just be ending.
async fn signal(directory: &Directory, signal: Signal) {
    let _ = monitor::signal(directory, signal as i32).await;
}

/// Removes what a monitor has left that was killed.
async fn clear(directory: &Directory) -> Result<(), CommandError> {
    let Ok(container) = directory.container() else {
        return Ok(());
    };
    let program = program()?;
    let engine = Engine::of(&container, &program)?;
    remains::clear(directory, &engine, &program)
        .await
        .map_err(CommandError::host("removing what is left of the container"))
}

/// Whether the container ends within `limit`.
async fn ends(directory: &Directory, limit: Duration) -> Result<bool, CommandError> {
    let deadline = Instant::now() + limit;
    loop {
        // A directory that is gone is that of one that was to be removed.
        match directory.state() {
            Ok(State::Running) if Instant::now() < deadline => sleep(LOOK).await,
            Ok(State::Running) => return Ok(false),
            Err(error) if directory.path().exists() => {
                return Err(CommandError::Host("looking at the container", error));
            }
            Ok(State::Lost) if directory.path().exists() => {
                clear(directory).await?;
                return Ok(true);
            }
            _ => return Ok(true),
        }
    }
}

/// A signal by its number, or by its name with or without `SIG`.
fn parse_signal(text: &str) -> Result<Signal, String> {
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") {
        name
    } else {
        format!("SIG{name}")
    };
    let found = match text.parse::<i32>() {
        Ok(number) => Signal::try_from(number).ok(),
        Err(_) => name.parse().ok(),
    };
    found.ok_or_else(|| "it takes a signal's name or number, such as TERM or 15".to_owned())
}
