//! Which server, and its token.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::RemoteError;
use super::client::Client;
use crate::auth::TOKEN_FILE;
use crate::cli::container::CommandError;
use crate::config::{Secret, data_dir};
use crate::data_dir::ADDRESS;

/// Where a server listens that nobody has told to listen elsewhere.
const LOCAL: &str = "http://127.0.0.1:8022";

/// The variable with a server's address.
const SERVER_VARIABLE: &str = "SHELLPORT_SERVER";

/// The variable with its token. There is no flag: others see a process's arguments.
const TOKEN_VARIABLE: &str = "SHELLPORT_TOKEN";

/// Which server has the sessions.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerPlace {
    /// The server that has the session; that of `SHELLPORT_SERVER`, of the last `shellport login`, or of this
    /// machine, when absent.
    #[arg(long, value_name = "URL")]
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

    /// Refuses a server where a container of this machine is meant.
    ///
    /// # Errors
    /// When one was given.
    pub fn refuse(&self) -> Result<(), CommandError> {
        if self.server.is_none() {
            return Ok(());
        }
        let what = "it is for sessions (@NAME, or --remote), and this is about this machine";
        Err(CommandError::flag("--server", what))
    }

    /// Its address and token.
    pub(super) fn find(&self) -> Result<(Url, Secret), RemoteError> {
        let known = Known::read()?;
        let named = variable(SERVER_VARIABLE)
            .map(|text| address(&text))
            .transpose()?;
        let own = Own::find();
        let url = match (&self.server, &named, &known.current, &own) {
            (Some(text), ..) | (None, None, Some(text), _) => address(text)?,
            (None, Some(url), ..) => url.clone(),
            (None, None, None, Some(own)) => own.url.clone(),
            (None, None, None, None) => address(LOCAL)?,
        };
        // A token is for its own server: a variable may be for another one than is meant here.
        let saved = || known.servers.get(url.as_str()).cloned();
        let given = || {
            let is_for_it = named.as_ref().is_none_or(|named| *named == url);
            variable(TOKEN_VARIABLE).filter(|_| is_for_it)
        };
        let own = || {
            own.as_ref()
                .filter(|own| own.is_at(&url))
                .map(|own| own.token.clone())
        };
        let token = if named.is_some() {
            given().or_else(saved)
        } else {
            saved().or_else(given)
        };
        let token = token.or_else(own);
        let token = token.ok_or_else(|| RemoteError::NoToken(shown(&url)))?;
        Ok((url, Secret::new(token)))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether it is a server of this machine.
pub(super) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// The server of this machine and user, as its data directory tells.
struct Own {
    url: Url,
    token: String,
}

impl Own {
    fn find() -> Option<Self> {
        let given = std::env::var_os("SHELLPORT_DATA_DIR").filter(|it| !it.is_empty());
        let directory = data_dir(given.map(PathBuf::from).as_deref()).ok()?;
        let read = |name| fs::read_to_string(directory.join(name)).ok();
        let mut listens: SocketAddr = read(ADDRESS)?.trim().parse().ok()?;
        if listens.ip().is_unspecified() {
            listens.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        Some(Self {
            url: address(&format!("http://{listens}")).ok()?,
            token: read(TOKEN_FILE)?.trim().to_owned(),
        })
    }

    /// Whether it is what answers there: another one of this machine may be somebody else's.
    fn is_at(&self, url: &Url) -> bool {
        let is_same = url.port_or_known_default() == self.url.port_or_known_default();
        url.scheme() == "http" && is_local(url) && is_same
    }
}

/// A server's address. What is secret in one is not for a command line, and is not repeated.
pub(super) fn address(text: &str) -> Result<Url, RemoteError> {
    let plain = text.split('#').next().unwrap_or_default();
    let plain = plain.rsplit('@').next().unwrap_or_default();
    let wrong = || RemoteError::Address(plain.to_owned());
    if plain != text {
        return Err(wrong());
    }
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() {
        return Err(wrong());
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
    }
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
        let Some(path) = file() else {
            return Ok(Self::default());
        };
        let failed = |error| RemoteError::File(path.display().to_string(), error);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Keeps them, for this user's eyes only.
    pub(super) fn write(&self) -> Result<(), RemoteError> {
        let Some(path) = file() else {
            let what = "there is no HOME in which a token could be kept; SHELLPORT_TOKEN has it for one command";
            return Err(RemoteError::Session(what.to_owned()));
        };
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
fn file() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let directory = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    Some(directory?.join("shellport/servers.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_servers() {
        for right in [
            "http://127.0.0.1:8022",
            "https://shell.example.org/",
            "http://h/prefix",
        ] {
            assert!(address(right).is_ok(), "{right}");
        }
        let bare = address("https://h:1").expect("it is one");
        assert_eq!(address("https://h:1/").ok(), Some(bare));
        for wrong in [
            "",
            "127.0.0.1:8022",
            "ftp://h",
            "http://user:pass@h",
            "unix:///x",
            "http://h?a=b",
            "http://h/#token=secret",
        ] {
            let error = address(wrong).expect_err(wrong).to_string();
            assert!(
                !error.contains("pass") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
