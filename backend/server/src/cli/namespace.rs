//! `shellport unshare`, and what helps an ordinary user to be root in a namespace.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Args;

use super::CommandError;
use crate::rootless;

/// Run a program as containers of an ordinary user are run: as root of that user's namespace.
///
/// Files of images and containers belong to ids that only root can handle; here they can be looked at.
#[derive(Args, Debug)]
pub struct UnshareCommand {
    /// The program and its arguments; a shell when absent.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<String>,
}

impl UnshareCommand {
    /// Becomes the program.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        let shell = || std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let mut words = self.command.into_iter();
        let program = words.next().unwrap_or_else(shell);
        let error = Command::new(&program).args(words).exec();
        Err(CommandError::flag("COMMAND", format!("{program}: {error}")))
    }
}

/// Give the user namespace of a process this user's ids.
#[derive(Args, Debug)]
pub struct MapIdsCommand {
    /// The process.
    pid: u32,
}

impl MapIdsCommand {
    /// Does it, once there is a byte on standard input.
    #[expect(clippy::print_stderr, reason = "whoever started it reads it")]
    pub fn run(&self) -> ExitCode {
        match rootless::map(self.pid) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }
}
