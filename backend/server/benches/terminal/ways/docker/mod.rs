//! Docker Engine by itself, in the three ways that it has to a shell.

mod attach;
mod cli;
mod engine;
mod exec;

pub use self::attach::Attach;
pub use self::cli::Cli;
pub use self::exec::Exec;
