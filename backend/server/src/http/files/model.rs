//! What the API shows of files, and of what goes wrong with them.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use shellport_wire::file::{self, Failure, FailureCode, RawPath};
use utoipa::ToSchema;

use crate::http::problem::Problem;

/// Something in a session's file system.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    /// Its name in a list, else its path. What is no UTF-8, and a percent sign, is written as in a URL.
    name: String,
    /// What it is.
    kind: Kind,
    /// Bytes of content.
    size: u64,
    /// Its permissions, in octal.
    #[schema(example = "0644")]
    mode: String,
    /// The number of its owner.
    uid: u32,
    /// The number of its group.
    gid: u32,
    /// When its content was last changed.
    #[schema(value_type = String, format = DateTime)]
    modified_at: Timestamp,
    /// Tells this content from another, as `ETag`.
    etag: String,
    /// Where it leads, when it is a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// What something in a file system is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

/// What is in a directory.
#[derive(Serialize, ToSchema)]
pub struct Listing {
    /// The directory itself.
    directory: Entry,
    /// What is in it, by name.
    data: Vec<Entry>,
    /// What to ask for the next page with; null on the last.
    next_cursor: Option<String>,
}

impl Listing {
    /// A page.
    pub fn new(directory: file::Entry, entries: Vec<file::Entry>, more: bool) -> Self {
        let last = entries.last().filter(|_| more);
        Self {
            next_cursor: last.map(|entry| entry.name.encode()),
            directory: directory.into(),
            data: entries.into_iter().map(Into::into).collect(),
        }
    }
}

/// Something that has changed in a directory.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileEvent {
    /// What.
    r#type: FileChange,
    /// Its path, as the name of an entry.
    path: String,
    /// Whether it is a directory.
    directory: bool,
}

/// What happens to files.
#[derive(Debug, Serialize, ToSchema)]
pub enum FileChange {
    /// It is new, or has moved here.
    #[serde(rename = "file_created")]
    Created,
    /// Its content has changed.
    #[serde(rename = "file_written")]
    Written,
    /// Its permissions, owner or times have.
    #[serde(rename = "file_changed")]
    Changed,
    /// It is no longer there.
    #[serde(rename = "file_removed")]
    Removed,
    /// More has happened than could be told: look at everything again.
    #[serde(rename = "file_overflow")]
    Overflow,
}

impl From<file::Change> for FileEvent {
    fn from(change: file::Change) -> Self {
        Self {
            r#type: match change.change {
                file::ChangeKind::Created => FileChange::Created,
                file::ChangeKind::Written => FileChange::Written,
                file::ChangeKind::Changed => FileChange::Changed,
                file::ChangeKind::Removed => FileChange::Removed,
                file::ChangeKind::Overflow => FileChange::Overflow,
            },
            path: change.path.encode(),
            directory: change.directory,
        }
    }
}

impl From<file::Entry> for Entry {
    fn from(entry: file::Entry) -> Self {
        Self {
            name: entry.name.encode(),
            kind: match entry.kind {
                file::Kind::File => Kind::File,
                file::Kind::Directory => Kind::Directory,
                file::Kind::Symlink => Kind::Symlink,
                file::Kind::Fifo => Kind::Fifo,
                file::Kind::Socket => Kind::Socket,
                file::Kind::Device => Kind::Device,
            },
            size: entry.size,
            mode: format!("{:04o}", entry.mode & 0o7777),
            uid: entry.uid,
            gid: entry.gid,
            modified_at: Timestamp::from_millisecond(entry.modified_ms).unwrap_or_default(),
            etag: etag(&entry.tag),
            target: entry.target.as_ref().map(RawPath::encode),
        }
    }
}

/// A tag as HTTP has it. It is the sandbox's, so it is only what it can be.
pub fn etag(tag: &str) -> String {
    let plain = |char: &char| char.is_ascii_hexdigit() || *char == '-';
    let tag: String = tag.chars().filter(plain).take(100).collect();
    format!("\"{tag}\"")
}

/// What went wrong, for the caller.
pub fn problem(failure: Failure) -> Problem {
    let (status, code) = match failure.code {
        FailureCode::NotFound => (StatusCode::NOT_FOUND, "file_not_found"),
        FailureCode::Exists => (StatusCode::CONFLICT, "file_exists"),
        FailureCode::WrongKind => (StatusCode::CONFLICT, "wrong_kind"),
        FailureCode::Forbidden => (StatusCode::FORBIDDEN, "file_forbidden"),
        FailureCode::NotEmpty => (StatusCode::CONFLICT, "directory_not_empty"),
        FailureCode::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, "no_space"),
        FailureCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        FailureCode::Changed => (StatusCode::PRECONDITION_FAILED, "file_changed"),
        FailureCode::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "not_allowed"),
        FailureCode::Incomplete => (StatusCode::BAD_REQUEST, "incomplete"),
        FailureCode::Failed => (StatusCode::CONFLICT, "file_failed"),
    };
    // The message is the tenant's: it is shown to the caller, and bounded.
    let message: String = failure.message.chars().take(500).collect();
    Problem::new(status, code, message)
}
