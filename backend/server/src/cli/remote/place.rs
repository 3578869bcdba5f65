//! Which server, and its token.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::RemoteError;
use super::client::Client;
use crate::config::{Secret, data_dir};

/// Where a server listens that nobody has told to listen elsewhere.
const LOCAL: &str = "http://127.0.0.1:8022";

/// The variable with a server's token. There is no flag: others see a process's arguments.
const TOKEN: &str = "SHELLPORT_TOKEN";

/// Which server has the sessions.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerPlace {
    /// The server that has the session; the one of the last `shellport login`, or else of this machine,
    /// when absent.
    #[arg(long, env = "SHELLPORT_SERVER", value_name = "URL")]
    server: Option<String>,
}

impl ServerPlace {
    /// The server.
    ///
    /// # Errors
    /// When its address is none, or its token is not known.
    pub fn client(&self) -> Result<Client, RemoteError> {
        let (url, token) = self.find()?;
        Ok(Client::new(url, token))
    }

    /// Its address and token.
    pub(super) fn find(&self) -> Result<(Url, Secret), RemoteError> {
        let known = Known::read()?;
        let url = match self.server.as_ref().or(known.current.as_ref()) {
            Some(text) => address(text)?,
            None => address(LOCAL)?,
        };
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        let token = token
            .or_else(|| known.servers.get(url.as_str()).cloned())
            .or_else(|| own_token(&url));
        let token = token.ok_or_else(|| RemoteError::NoToken(shown(&url)))?;
        Ok((url, Secret::new(token)))
    }
}

/// Whether it is a server of this machine.
pub(super) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// The token of a server of this machine and user.
fn own_token(url: &Url) -> Option<String> {
    let given = std::env::var_os("SHELLPORT_DATA_DIR").map(PathBuf::from);
    let directory = data_dir(given.as_deref()).ok().filter(|_| is_local(url))?;
    let token = fs::read_to_string(directory.join("token")).ok()?;
    Some(token.trim().to_owned())
}

/// A server's address, without what belongs to a page.
pub(super) fn address(text: &str) -> Result<Url, RemoteError> {
    let wrong = || RemoteError::Address(text.to_owned());
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
        return Err(wrong());
    }
    url.set_fragment(None);
    Ok(url)
}

/// An address as people write it.
pub(super) fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// The servers that somebody has logged in to.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Known {
    /// The one that is meant when none is named.
    pub current: Option<String>,
    /// Tokens by address.
    pub servers: BTreeMap<String, String>,
}

impl Known {
    /// Those of this user.
    pub(super) fn read() -> Result<Self, RemoteError> {
        let path = file();
        let failed = |error| RemoteError::File(path.display().to_string(), error);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps them, for this user's eyes only.
    pub(super) fn write(&self) -> Result<(), RemoteError> {
        let path = file();
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        let written = replace(&path, &text);
        written.map_err(|error| RemoteError::File(path.display().to_string(), error))
    }
}

/// Writes a file whole, or not at all.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    fs::rename(&new, path)
}

/// Where they are kept.
fn file() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let directory = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    directory.unwrap_or_default().join("shellport/servers.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_servers() {
        for right in [
            "http://127.0.0.1:8022",
            "https://shell.example.org/",
            "http://h/prefix#token=x",
        ] {
            assert!(address(right).is_ok(), "{right}");
        }
        assert_eq!(
            shown(&address("https://h:1/#token=secret").expect("it is one")),
            "https://h:1"
        );
        for wrong in [
            "",
            "127.0.0.1:8022",
            "ftp://h",
            "http://user:pass@h",
            "unix:///x",
            "http://h?a=b",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
