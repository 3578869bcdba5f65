//! `shellport login`, `logout` and `token`: whose sessions these are.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::client::Client;
use super::place::{Known, address, shown};
use super::{RemoteError, ServerPlace};
use crate::cli::container::CommandError;
use crate::cli::say;
use crate::cli::terminal::read_hidden;
use crate::config::Secret;

/// The longest line that may be a token.
const MAX_TOKEN: usize = 1024;

/// Log in to a server, whose sessions are meant from then on.
///
/// Its token is asked for, or read from standard input when that is no terminal, and kept in a file that
/// only this user can read.
#[derive(Args, Debug)]
pub struct LoginCommand {
    /// The server's address, such as `https://shell.example.org`.
    #[arg(value_name = "URL")]
    server: String,
}

impl LoginCommand {
    /// Asks for the token, and keeps it when the server takes it.
    ///
    /// # Errors
    /// When the server does not.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        let url = address(&self.server)?;
        let read = || {
            if io::stdin().is_terminal() {
                return read_hidden(&format!("Token for {}: ", shown(&url)));
            }
            let mut line = String::new();
            let limited = io::Read::take(io::stdin().lock(), MAX_TOKEN as u64);
            io::BufReader::new(limited)
                .read_line(&mut line)
                .map(|_| line)
        };
        let token = read().map_err(CommandError::host("reading the token"))?;
        let token = token.trim().to_owned();
        if token.is_empty() {
            let what =
                "it is empty; a server's own token is in the file `token` of its data directory";
            return Err(CommandError::flag("the token", what));
        }
        let client = Client::new(url.clone(), Secret::new(token.clone()));
        let _: Value = client.json(client.get(&["info"])).await?;
        let mut known = Known::read()?;
        known.servers.insert(url.to_string(), token);
        known.current = Some(url.to_string());
        known.write()?;
        say(&format!("Logged in to {}", shown(&url)));
        Ok(ExitCode::SUCCESS)
    }
}

/// Forget a server's token.
#[derive(Args, Debug)]
pub struct LogoutCommand {
    /// The server's address; the one that was logged in to last when absent.
    #[arg(value_name = "URL")]
    server: Option<String>,
}

impl LogoutCommand {
    /// Forgets it.
    ///
    /// # Errors
    /// When there is none.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        let mut known = Known::read()?;
        let Some(text) = self.server.or_else(|| known.current.clone()) else {
            let what = "there is no server that you are logged in to".to_owned();
            return Err(RemoteError::Session(what).into());
        };
        let url = address(&text)?;
        if known.servers.remove(url.as_str()).is_none() {
            return Err(RemoteError::NoToken(shown(&url)).into());
        }
        known.current = known.current.filter(|current| current != url.as_str());
        known.write()?;
        say(&format!("Logged out of {}", shown(&url)));
        Ok(ExitCode::SUCCESS)
    }
}

/// Print the server's token, for a script that calls its API.
#[derive(Args, Debug)]
pub struct TokenCommand {
    #[command(flatten)]
    place: ServerPlace,
}

impl TokenCommand {
    /// Prints it.
    ///
    /// # Errors
    /// When it is not known.
    pub fn run(self) -> Result<ExitCode, CommandError> {
        let (_, token) = self.place.find()?;
        say(token.reveal());
        Ok(ExitCode::SUCCESS)
    }
}
