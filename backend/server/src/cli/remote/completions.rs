//! `shellport completions`: what a shell completes.

use std::io;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Print what completes this program's words in a shell, such as `source <(shellport completions bash)`.
#[derive(Args, Debug)]
pub struct CompletionsCommand {
    /// The shell.
    shell: Shell,
}

impl CompletionsCommand {
    /// Prints it, for the words of `program`.
    pub fn run(self, program: &mut Command) -> ExitCode {
        let name = program.get_name().to_owned();
        generate(self.shell, program, name, &mut io::stdout());
        ExitCode::SUCCESS
    }
}
