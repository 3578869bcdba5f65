//! `shellport monitor`, which this program runs for each container.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::oci::directory::Directory;
use crate::oci::{monitor, network};

/// Make the container whose directory was prepared, and watch it.
#[derive(Args, Debug)]
pub struct MonitorCommand {
    /// Watch a further process, and not the container.
    #[arg(long)]
    exec: bool,
    /// Remove what a monitor that was killed has left of the network.
    #[arg(long, conflicts_with = "exec")]
    clear: bool,
    /// The container's directory.
    directory: PathBuf,
}

impl MonitorCommand {
    /// Does it until the container has ended. There must be no other thread.
    #[expect(clippy::print_stderr, reason = "whoever started it reads it")]
    pub fn run(&self) -> ExitCode {
        let done = if self.clear {
            self.clear()
        } else {
            monitor::main(&self.directory, self.exec)
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("shellport: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn clear(&self) -> io::Result<()> {
        let directory = Directory::open(&self.directory).ok_or(io::ErrorKind::NotFound)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(network::clear(&directory))
    }
}
