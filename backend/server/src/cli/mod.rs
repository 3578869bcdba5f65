//! The commands beside the server.

mod container;
mod doctor;
mod image;
mod monitor;
mod namespace;
mod progress;
mod remote;
mod streams;
mod terminal;
mod unpack;

use std::io::Write;

pub use self::container::{
    ArchiveCommand, AttachCommand, CommandError, CopyCommand, ExecCommand, FAILURE, KillCommand,
    ListCommand, LogsCommand, RemoveCommand, RunCommand, StatsCommand, StopCommand,
};
pub use self::doctor::DoctorCommand;
pub use self::image::ImageCommand;
pub use self::monitor::MonitorCommand;
pub use self::namespace::{MapIdsCommand, UnshareCommand};
pub use self::remote::{
    CompletionsCommand, EventsCommand, ForwardCommand, LoginCommand, LogoutCommand, NewCommand,
    OpenCommand, SessionsCommand, StartCommand, TokenCommand,
};
pub use self::unpack::UnpackCommand;

/// Clears a terminal, and goes on from the top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// The command's own output: what a script reads.
fn say(text: &str) {
    // Whoever has closed it does not want to hear more.
    let _ = is_heard(text);
}

/// The same; whether somebody still reads it.
fn is_heard(text: &str) -> bool {
    writeln!(std::io::stdout(), "{text}").is_ok()
}

/// Values as JSON, as people read it.
fn say_json<T: serde::Serialize>(value: &T) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A text that somebody else has chosen, without what would draw in the terminal.
pub fn harmless(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Rows below their heads, each column as wide as it needs to be.
fn say_table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| harmless(cell)))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(heads[column].len())
    };
    let line = |cells: [&str; N]| {
        let padded = cells.iter().enumerate();
        let padded = padded.map(|(column, cell)| format!("{cell:0$}", width(column)));
        padded.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    say(&line(heads));
    for row in &rows {
        say(&line(row.each_ref().map(String::as_str)));
    }
}
