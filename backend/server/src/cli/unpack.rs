//! `shellport unpack-layer`, which this program runs to unpack somebody else's archive.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::say;
use crate::image::unpack;

/// Unpack the layer that comes on standard input.
#[derive(Args, Debug)]
pub struct UnpackCommand {
    /// The most bytes.
    #[arg(long)]
    max_bytes: u64,
    /// How many layers are below.
    #[arg(long)]
    below: usize,
    /// The directory that was prepared.
    place: PathBuf,
}

impl UnpackCommand {
    /// Unpacks, and prints a report. There must be no other thread.
    #[expect(clippy::print_stderr, reason = "the parent reads it")]
    pub fn run(&self) -> ExitCode {
        match unpack::run(
            std::io::stdin().lock(),
            &self.place,
            self.below,
            self.max_bytes,
        ) {
            Ok(report) => {
                say(&serde_json::to_string(&report).unwrap_or_default());
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }
}
