//! `shellport monitor`, which this program runs for each container.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::oci::monitor;

/// Make the container whose directory was prepared, and watch it.
#[derive(Args, Debug)]
pub struct MonitorCommand {
    /// Watch a further process, and not the container.
    #[arg(long)]
    exec: bool,
    /// The container's directory.
    directory: PathBuf,
}

impl MonitorCommand {
    /// Does it until the container has ended. There must be no other thread.
    #[expect(clippy::print_stderr, reason = "whoever started it reads it")]
    pub fn run(&self) -> ExitCode {
        match monitor::main(&self.directory, self.exec) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("shellport: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
