//! `shellport exec`: a further program in a container that runs.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::relay::{Outcome, relay};
use super::{CommandError, Place, code, join, left, options, program};
use crate::agent::AGENT;
use crate::cli::remote::{self, Exec, ServerPlace, session_of};
use crate::cli::streams::Streams;
use crate::cli::terminal::{self, Raw};
use crate::oci::container::{Program, Stdio};
use crate::oci::directory::State;
use crate::oci::monitor::{self, Message, Wish};

/// Run a further program in a container that runs, or in a session of a server.
#[derive(Args, Debug)]
pub struct ExecCommand {
    #[command(flatten)]
    place: Place,

    /// Pass standard input on.
    #[arg(long, short)]
    interactive: bool,

    /// Give the program a terminal.
    #[arg(long, short)]
    tty: bool,

    /// Set a variable (NAME=VALUE), or copy it (NAME).
    #[arg(long, short, value_name = "VARIABLE")]
    env: Vec<String>,

    /// Set the variables in a file, a line each.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    /// Run as this user of the image, or this number, and :group.
    #[arg(long, short, value_parser = options::user, value_name = "USER")]
    user: Option<String>,

    /// Where the program begins.
    #[arg(long, short, value_parser = options::absolute, value_name = "DIRECTORY")]
    workdir: Option<String>,

    #[command(flatten)]
    server: ServerPlace,

    /// The container, or a session (@NAME).
    name: String,

    /// The program and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<String>,
}

impl ExecCommand {
    /// Enters the container's user namespace. There must be no other thread.
    ///
    /// # Errors
    /// When there is no such container, or it does not run.
    pub fn join(&self) -> Result<(), CommandError> {
        if session_of(&self.name).is_some() {
            return Ok(());
        }
        join(&self.place, &self.name)
    }

    /// Runs it; the program's code.
    ///
    /// # Errors
    /// When there is no such container, it does not run, or the program cannot be started.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if self.tty
            && !io::stdin().is_terminal()
            && (self.interactive || !io::stdout().is_terminal())
        {
            let what = "there is no terminal here that the program could have; leave it out";
            return Err(CommandError::flag("--tty", what));
        }
        let given = options::variables(&self.env_file, &self.env)?;
        if let Some(session) = session_of(&self.name) {
            let exec = Exec {
                interactive: self.interactive,
                tty: self.tty,
                env: given.into_iter().collect(),
                user: self.user,
                cwd: self.workdir,
                argv: self.command,
            };
            return remote::exec(&self.server, session, exec).await;
        }
        self.server.refuse()?;
        let directory = self.place.find(&self.name)?;
        let host = CommandError::host;
        if directory
            .state()
            .map_err(host("looking at the container"))?
            != State::Running
        {
            return Err(CommandError::Stopped(self.name));
        }
        let container = directory
            .container()
            .map_err(host("looking at the container"))?;
        let mut env = container.program.env;
        if self.tty {
            env.insert("TERM".to_owned(), "xterm-256color".to_owned());
        }
        env.extend(given);
        let (cols, rows) = terminal::size();
        let size = format!("--size={cols}x{rows}");
        let launch = [AGENT, "launch", &size, "--"].map(str::to_owned);
        let wish = Wish {
            program: Program {
                argv: launch.into_iter().chain(self.command).collect(),
                env,
                cwd: self.workdir.unwrap_or(container.program.cwd),
                user: self.user.unwrap_or(container.program.user),
            },
            stdio: if self.tty {
                Stdio::Terminal
            } else {
                Stdio::Pipes {
                    input: self.interactive,
                }
            },
        };
        let started = monitor::exec(&program()?, &directory, wish).await;
        let (_child, mut reader, mut writer) = started.map_err(host("starting the program"))?;
        match reader
            .message()
            .await
            .map_err(host("starting the program"))?
        {
            Message::Started => {}
            Message::Failed { cause } => return Err(CommandError::Monitor(cause)),
            message => return Err(CommandError::Monitor(format!("it says {message:?}"))),
        }
        let raw = if self.tty {
            Raw::enter(self.interactive).map_err(host("changing the terminal"))?
        } else {
            None
        };
        let streams = Streams {
            terminal: self.tty,
            input: self.interactive,
        };
        let outcome = relay(&mut reader, &mut writer, streams).await;
        drop(raw);
        Ok(match outcome.map_err(host("being attached"))? {
            Outcome::Exited(exit) => code(&exit),
            Outcome::Detached => ExitCode::SUCCESS,
            Outcome::Left(signal) => left(signal),
        })
    }
}
