//! The command line as a client of a server: the same words as for containers of this machine. A session
//! of a server is written `@NAME`, or `@ID`, which no container can be called.

mod attach;
mod client;
mod completions;
mod exec;
mod feeds;
mod files;
mod forward;
mod images;
mod login;
mod pending;
mod place;
mod processes;
mod retry;
mod run;
mod sessions;
mod socket;

use std::io;

pub use self::attach::attach;
pub use self::completions::CompletionsCommand;
pub use self::exec::{Exec, exec};
pub use self::feeds::{EventsCommand, logs, stats};
pub use self::files::{End, copy};
pub use self::forward::ForwardCommand;
pub use self::images::image;
pub use self::login::{LoginCommand, LogoutCommand, TokenCommand};
pub use self::place::ServerPlace;
pub use self::processes::{kill, processes};
pub use self::run::{Run, run};
pub use self::sessions::{
    NewCommand, OpenCommand, SessionsCommand, StartCommand, fields, remove, stop, word,
};

/// What goes wrong with a server's sessions.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No address of a server.
    #[error(
        "{0:?} is not the address of a server, such as https://shell.example.org, without a name, a query or a token"
    )]
    Address(String),
    /// A server whose token is not known.
    #[error("there is no token for {0}; `shellport login {0}` asks for it")]
    NoToken(String),
    /// Nobody answers.
    #[error("{server} cannot be reached: {cause}")]
    Unreachable {
        /// The server.
        server: String,
        /// What happened.
        cause: String,
    },
    /// What the server says.
    #[error("{detail}")]
    Problem {
        /// Its status.
        status: u16,
        /// Its stable code.
        code: String,
        /// A sentence, which names the field.
        detail: String,
        /// Whether the same may work later.
        retryable: bool,
    },
    /// A name that no session has.
    #[error("there is no session @{0}; `shellport ls` lists those there are")]
    NoSession(String),
    /// A name that several have.
    #[error("several sessions are called {name}; take the id of one: {ids}")]
    Ambiguous {
        /// The name.
        name: String,
        /// Their ids.
        ids: String,
    },
    /// A session that cannot be used.
    #[error("{0}")]
    Session(String),
    /// An answer that is none.
    #[error("{0} is not what a Shellport server says: {1}")]
    Nonsense(&'static str, String),
    /// A file of this machine.
    #[error("{0}: {1}")]
    File(String, #[source] io::Error),
}

/// The session that `text` means, when it means one of a server.
pub fn session_of(text: &str) -> Option<&str> {
    text.strip_prefix('@')
}

/// The sessions that these mean; none when they mean containers.
///
/// # Errors
/// When there are both.
pub fn sessions_of(names: &[String]) -> Result<Option<Vec<String>>, RemoteError> {
    let sessions: Vec<_> = names.iter().filter_map(|name| session_of(name)).collect();
    if sessions.is_empty() {
        return Ok(None);
    }
    if sessions.len() < names.len() {
        let what = "these are containers of this machine and sessions of a server (@NAME); give them apart";
        return Err(RemoteError::Session(what.to_owned()));
    }
    Ok(Some(sessions.into_iter().map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_containers_are_told_apart() {
        let names = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|it| (*it).to_owned()).collect();
            sessions_of(&names).map_err(|error| error.to_string())
        };
        let both = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(names(&["@a", "@b"]), Ok(Some(both)));
        assert_eq!(names(&["a", "b"]), Ok(None));
        assert!(names(&["a", "@b"]).is_err());
    }
}
