//! `shellport attach`: to a container that runs in the background.

use std::process::ExitCode;

use clap::Args;

use super::relay::{Outcome, relay};
use super::{CommandError, Place, code, left};
use crate::cli::remote::{self, ServerPlace, session_of};
use crate::cli::streams::Streams;
use crate::cli::terminal::{self, Raw};
use crate::oci::container::Stdio;
use crate::oci::monitor::{self, Message};

/// See and type what a container in the background, or a session's terminal, does. Ctrl-P Ctrl-Q leaves
/// it as it is.
#[derive(Args, Debug)]
pub struct AttachCommand {
    #[command(flatten)]
    place: Place,

    /// Only look.
    #[arg(long)]
    no_stdin: bool,

    #[command(flatten)]
    server: ServerPlace,

    /// The container, or a session's terminal (@NAME or @NAME/TERMINAL).
    name: String,
}

impl AttachCommand {
    /// Attaches until the container ends or somebody leaves; the program's code.
    ///
    /// # Errors
    /// When there is no such container, or it does not run.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(session) = session_of(&self.name) {
            return remote::attach(&self.server, session, !self.no_stdin).await;
        }
        self.server.refuse()?;
        let directory = self.place.find(&self.name)?;
        let stdio = directory
            .container()
            .map_err(CommandError::host("looking at the container"))?
            .stdio;
        let stopped = |_| CommandError::Stopped(self.name.clone());
        let (mut reader, mut writer) = monitor::connect(&directory).await.map_err(stopped)?;
        let terminal = stdio == Stdio::Terminal;
        let streams = Streams {
            terminal,
            input: !self.no_stdin && stdio != Stdio::Pipes { input: false },
        };
        let work = async {
            if terminal {
                let (cols, rows) = terminal::size();
                writer.say(Message::Resize { cols, rows }).await?;
            }
            writer.say(Message::Attach).await?;
            let raw = if terminal {
                Raw::enter(streams.input)?
            } else {
                None
            };
            let outcome = relay(&mut reader, &mut writer, streams).await;
            drop(raw);
            outcome
        };
        let outcome = work.await.map_err(CommandError::host("being attached"))?;
        Ok(match outcome {
            Outcome::Exited(exit) => code(&exit),
            Outcome::Detached => ExitCode::SUCCESS,
            Outcome::Left(signal) => left(signal),
        })
    }
}
