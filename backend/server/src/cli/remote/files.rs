//! `shellport cp` with a session at one end: files as archives, through the agent.

use std::fs::Metadata;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures_util::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use tokio::io::{DuplexStream, duplex};
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

use super::client::{Client, body};
use super::sessions::running;
use super::{RemoteError, ServerPlace};
use crate::cli::container::{CommandError, place_of};
use crate::cli::streams::stdin;
use crate::id::random_tag;

/// The kind of a body that is an archive.
const TAR: &str = "application/x-tar";

/// How much of an archive is under way between the thread that makes it and the connection.
const UNDER_WAY: usize = 256 * 1024;

/// One end of a copy.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// A path of this machine.
    Here(&'a Path),
    /// A path of a session.
    There(&'a str, &'a str),
    /// An archive in a standard stream.
    Stream,
}

#[derive(Deserialize)]
struct Entry {
    kind: String,
}

/// Copies between this machine and a session.
///
/// # Errors
/// What is not there, or cannot be written.
pub async fn copy(
    place: &ServerPlace,
    source: End<'_>,
    target: End<'_>,
) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    match (source, target) {
        (End::There(session, path), End::Here(target)) => {
            Copy::of(&client, session, path).await?.out(target).await?;
        }
        (End::Here(source), End::There(session, path)) => {
            Copy::of(&client, session, path)
                .await?
                .bring_in(source)
                .await?;
        }
        (End::There(session, path), End::Stream) => {
            Copy::of(&client, session, path)
                .await?
                .archive_out()
                .await?;
        }
        (End::Stream, End::There(session, path)) => {
            Copy::of(&client, session, path).await?.archive_in().await?;
        }
        _ => {
            let what = "one of the two is in a session (@NAME:PATH), the other one is not";
            return Err(CommandError::flag("SOURCE TARGET", what));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A path of a session.
struct Copy<'a> {
    client: &'a Client,
    session: String,
    /// Its parts.
    path: Vec<&'a str>,
}

impl<'a> Copy<'a> {
    async fn of(client: &'a Client, session: &str, path: &'a str) -> Result<Self, CommandError> {
        let path: Vec<_> = path
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        if path.contains(&"..") {
            let what = "a path of a session is taken as it is, without `..`";
            return Err(CommandError::flag("SOURCE TARGET", what));
        }
        let session = running(client, session).await?.id;
        Ok(Self {
            client,
            session,
            path,
        })
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let files = ["sessions", &self.session, "files"];
        let path = if path.is_empty() { &[""] } else { path };
        self.client.request(method, &[&files[..], path].concat())
    }

    /// What is there, if anything is.
    async fn kind(&self) -> Result<Option<String>, RemoteError> {
        let request = self
            .request(Method::GET, &self.path)
            .query(&[("info", "true")]);
        match self.client.json::<Entry>(request).await {
            Ok(entry) => Ok(Some(entry.kind)),
            Err(RemoteError::Problem { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn archive(&self) -> Result<Response, RemoteError> {
        let request = self.request(Method::GET, &self.path).header(ACCEPT, TAR);
        self.client.send(request).await
    }

    async fn out(&self, target: &Path) -> Result<(), CommandError> {
        let own: PathBuf = self.path.last().map(PathBuf::from).unwrap_or_default();
        let (parent, own) = place_of(target, &own)?;
        let target = parent.join(own);
        let is_directory = self.kind().await?.as_deref() == Some("directory");
        let bar = bar(None);
        let counted = bar.clone();
        let parts = self
            .archive()
            .await?
            .bytes_stream()
            .map_err(io::Error::other);
        let parts = parts.inspect_ok(move |part| counted.inc(part.len() as u64));
        let reader = SyncIoBridge::new(StreamReader::new(Box::pin(parts)));
        let shown = target.display().to_string();
        let work = tokio::task::spawn_blocking(move || unpack(reader, &target, is_directory));
        let unpacked = work
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        bar.finish_and_clear();
        Ok(unpacked.map_err(|error| RemoteError::File(shown, error))?)
    }

    async fn bring_in(mut self, source: &'a Path) -> Result<(), CommandError> {
        let found = source.symlink_metadata().map_err(|error| {
            CommandError::flag("SOURCE", format!("{}: {error}", source.display()))
        })?;
        if self.path.is_empty() || self.kind().await?.as_deref() == Some("directory") {
            let own = source
                .file_name()
                .and_then(|name| name.to_str())
                .ok_or_else(|| {
                    let what = format!(
                        "{} has no name that it could have in the session",
                        source.display()
                    );
                    CommandError::flag("SOURCE", what)
                })?;
            self.path.push(own);
        }
        if found.is_file() {
            self.file_in(source, &found).await
        } else {
            self.tree_in(source).await
        }
    }

    /// A file comes whole, or not at all.
    async fn file_in(&self, source: &Path, found: &Metadata) -> Result<(), CommandError> {
        use std::os::unix::fs::PermissionsExt;
        let failed = |error| RemoteError::File(source.display().to_string(), error);
        let file = tokio::fs::File::open(source).await.map_err(failed)?;
        let bar = bar(Some(found.len()));
        let counted = bar.clone();
        let parts = ReaderStream::with_capacity(file, UNDER_WAY);
        let parts = parts.inspect_ok(move |part| counted.inc(part.len() as u64));
        let mode = format!("{:04o}", found.permissions().mode() & 0o7777);
        let request = self
            .request(Method::PUT, &self.path)
            .query(&[("mode", mode)])
            .header(CONTENT_TYPE, "application/octet-stream");
        // Of what the kernel makes up as it is read, the length is not known.
        let request = match found.len() {
            0 => request,
            length => request.header(CONTENT_LENGTH, length),
        };
        let sent = self.client.send_all(request.body(body(parts))).await;
        bar.finish_and_clear();
        Ok(sent.map(drop)?)
    }

    async fn tree_in(&self, source: &Path) -> Result<(), CommandError> {
        let (own, parent) = self.path.split_last().expect("a name was given to it");
        let (here, there) = duplex(UNDER_WAY);
        let (own, source) = ((*own).to_owned(), source.to_owned());
        let shown = source.display().to_string();
        let making = tokio::task::spawn_blocking(move || pack(there, &source, &own));
        let bar = bar(None);
        let counted = bar.clone();
        let parts = ReaderStream::with_capacity(here, UNDER_WAY);
        let parts = parts.inspect_ok(move |part| counted.inc(part.len() as u64));
        let request = self.request(Method::PUT, parent).header(CONTENT_TYPE, TAR);
        let sent = self.client.send_all(request.body(body(parts))).await;
        bar.finish_and_clear();
        let made = making
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        match (sent, made) {
            // What the other side says is why nothing more could be sent.
            (Err(error @ RemoteError::Problem { .. }), _) | (Err(error), Ok(())) => {
                Err(error.into())
            }
            (_, Err(error)) => Err(RemoteError::File(shown, error).into()),
            (Ok(_), Ok(())) => Ok(()),
        }
    }

    async fn archive_out(&self) -> Result<(), CommandError> {
        if io::stdout().is_terminal() {
            let what = "- is for an archive, and standard output is a terminal";
            return Err(CommandError::flag("TARGET", what));
        }
        let mut parts = self.archive().await?.bytes_stream();
        while let Some(part) = parts
            .try_next()
            .await
            .map_err(|error| self.client.unreachable(&error))?
        {
            let written = io::stdout().write_all(&part);
            written.map_err(CommandError::host("writing the archive"))?;
        }
        io::stdout()
            .flush()
            .map_err(CommandError::host("writing the archive"))
    }

    async fn archive_in(&self) -> Result<(), CommandError> {
        let request = self
            .request(Method::PUT, &self.path)
            .header(CONTENT_TYPE, TAR);
        Ok(self
            .client
            .send_all(request.body(body(stdin())))
            .await
            .map(drop)?)
    }
}

/// Takes an archive apart that is a directory's content, or one file. Whatever it names stays below: that crate sees
/// to it.
fn unpack(reader: impl Read, target: &Path, is_directory: bool) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    // Permissions, but no setuid: who made it is somebody else.
    archive.set_mask(0o7000);
    archive.set_preserve_permissions(true);
    if is_directory {
        std::fs::create_dir_all(target)?;
        return archive.unpack(target);
    }
    let mut entries = archive.entries()?;
    let mut entry = entries.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    // Beside what is there, until all of it has come.
    let new = target.with_file_name(format!(".shellport-{}", random_tag()));
    let whole = entry.unpack(&new).and_then(|_| {
        drop(entry);
        // What is left of it is its end.
        entries.try_for_each(|entry| entry.map(drop))?;
        std::fs::rename(&new, target)
    });
    if whole.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    whole
}

fn pack(there: DuplexStream, source: &Path, own: &str) -> io::Result<()> {
    let mut archive = tar::Builder::new(SyncIoBridge::new(there));
    archive.follow_symlinks(false);
    if source.symlink_metadata()?.is_dir() {
        archive.append_dir_all(own, source)?;
    } else {
        archive.append_path_with_name(source, own)?;
    }
    archive
        .into_inner()
        .and_then(|mut writer| writer.shutdown())
}

/// How much has been copied, on a terminal.
fn bar(length: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = match length {
        Some(_) => "{bar:30} {bytes:>10} / {total_bytes:<10} {bytes_per_sec}",
        None => "{spinner} {bytes:>10} {bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).expect("it is one");
    ProgressBar::new(length.unwrap_or(0)).with_style(style)
}
