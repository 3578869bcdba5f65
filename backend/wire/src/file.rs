//! What the server asks of `shellport-agent file`, the program that works on a sandbox's files.
//!
//! It is run as an exec of the sandbox, with the rights that any program there has, and its request is its only
//! argument, as JSON. What it writes to standard output begins with an [`Answer`], one line of JSON; the content of
//! a file or an archive follows. What is to be written comes on standard input. Watching has no end: one
//! [`Change`] a line.

use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A path or name: bytes, of which nothing is known but that none is NUL.
///
/// As text, what is no UTF-8 is written as in a URL, a percent sign and two digits; so is a percent sign.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RawPath(pub Vec<u8>);

impl RawPath {
    /// As text; see the type.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        for chunk in self.0.utf8_chunks() {
            text.push_str(&chunk.valid().replace('%', "%25"));
            for byte in chunk.invalid() {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    }

    /// From text; none when a percent sign is not followed by two digits.
    pub fn decode(text: &str) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes().iter();
        while let Some(&byte) = rest.next() {
            if byte != b'%' {
                bytes.push(byte);
                continue;
            }
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        }
        Some(Self(bytes))
    }
}

impl Serialize for RawPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for RawPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text).ok_or_else(|| de::Error::custom("a percent sign without two digits"))
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Tell what there is; answered with [`Answer::Entry`].
    Stat {
        /// Where.
        path: RawPath,
    },
    /// Read a regular file; answered with [`Answer::Entry`] and the content. Of a directory, list what is in it;
    /// answered with [`Answer::Entries`].
    Read {
        /// Where.
        path: RawPath,
        /// The offset of the first byte; counted from the end when it is below 0.
        #[serde(default)]
        from: i64,
        /// At most so many bytes.
        #[serde(default)]
        most: Option<u64>,
        /// Of a directory, those after this name.
        #[serde(default)]
        after: Option<RawPath>,
        /// Of a directory, at most so many.
        entries: usize,
    },
    /// Write a regular file, whole or not at all, or append to one; answered with [`Answer::Entry`].
    Write {
        /// Where.
        path: RawPath,
        /// Its permissions; those that it has when absent, or that new files get.
        #[serde(default)]
        mode: Option<u32>,
        /// Its owner, as `user` or `user:group`, names or numbers.
        #[serde(default)]
        owner: Option<String>,
        /// Make the directories above it that are not there.
        #[serde(default)]
        parents: bool,
        /// Behind what is there, and not in its place.
        #[serde(default)]
        append: bool,
        /// What has to be there.
        #[serde(default)]
        condition: Condition,
        /// The most bytes.
        most: u64,
        /// How many bytes come, when that is known: fewer are not written.
        #[serde(default)]
        length: Option<u64>,
    },
    /// Make a directory; answered with [`Answer::Entry`].
    MakeDirectory {
        /// Where.
        path: RawPath,
        /// Its permissions.
        #[serde(default)]
        mode: Option<u32>,
        /// Make the directories above it as well, and be content when it is there.
        #[serde(default)]
        parents: bool,
    },
    /// Give another name; answered with [`Answer::Entry`].
    Move {
        /// Where it is.
        path: RawPath,
        /// Where it shall be.
        to: RawPath,
        /// In place of what is there.
        #[serde(default)]
        replace: bool,
    },
    /// Copy a file, or a directory with all that is in it; answered with [`Answer::Entry`].
    Copy {
        /// Where it is.
        path: RawPath,
        /// Where the copy shall be.
        to: RawPath,
        /// In place of a file that is there.
        #[serde(default)]
        replace: bool,
    },
    /// Remove; answered with [`Answer::Done`].
    Remove {
        /// What.
        path: RawPath,
        /// A directory with all that is in it.
        #[serde(default)]
        recursive: bool,
    },
    /// Change permissions and owner; answered with [`Answer::Entry`].
    Change {
        /// Of what.
        path: RawPath,
        /// The permissions.
        #[serde(default)]
        mode: Option<u32>,
        /// The owner, as `user` or `user:group`.
        #[serde(default)]
        owner: Option<String>,
    },
    /// Put a directory or file into a tar archive; answered with [`Answer::Done`] and the archive.
    Pack {
        /// Which.
        path: RawPath,
    },
    /// Take a tar archive apart in a directory; answered with [`Answer::Done`].
    Unpack {
        /// Where.
        path: RawPath,
        /// Make the directory and those above it.
        #[serde(default)]
        parents: bool,
        /// The most bytes of all files.
        most: u64,
    },
    /// Tell what changes in a directory; answered with [`Answer::Done`], and then with [`Change`]s.
    Watch {
        /// Where.
        path: RawPath,
        /// In the directories below as well.
        #[serde(default)]
        recursive: bool,
    },
}

/// What has to be there for a write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Whatever is.
    #[default]
    Any,
    /// Nothing.
    Absent,
    /// A file with one of these tags.
    Tagged(Vec<String>),
}

/// The first line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// What there is.
    Entry(Entry),
    /// What there is in a directory.
    Entries {
        /// The directory itself.
        directory: Entry,
        /// By name.
        entries: Vec<Entry>,
        /// Whether there are more.
        more: bool,
    },
    /// It was not done.
    Failed(Failure),
}

/// Something in a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name, or the path that was asked for.
    pub name: RawPath,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content.
    pub size: u64,
    /// Its permissions, 0 to 0o7777.
    pub mode: u32,
    /// The number of its owner.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
    /// When it was last written, in milliseconds since 1970.
    pub modified_ms: i64,
    /// Tells this content from another: what it is and when it was last changed.
    pub tag: String,
    /// Where it leads, when it is a symbolic link.
    #[serde(default)]
    pub target: Option<RawPath>,
}

/// What something in a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// A stable word.
    pub code: FailureCode,
    /// A sentence for people.
    pub message: String,
}

/// The kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// Nothing is there.
    NotFound,
    /// Something is there already.
    Exists,
    /// It is not what it has to be: a directory in place of a file, say.
    WrongKind,
    /// The sandbox's user may not.
    Forbidden,
    /// The directory is not empty.
    NotEmpty,
    /// There is no room.
    NoSpace,
    /// There is more of it than is allowed.
    TooLarge,
    /// What is there has changed.
    Changed,
    /// The request makes no sense.
    Invalid,
    /// The content did not come whole.
    Incomplete,
    /// Something else that the system says.
    Failed,
}

/// Something that has changed in a directory that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What.
    pub change: ChangeKind,
    /// Its path.
    pub path: RawPath,
    /// Whether it is a directory.
    #[serde(default)]
    pub directory: bool,
}

/// What happens to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new, or has moved here.
    Created,
    /// Its content has changed.
    Written,
    /// Its permissions, owner or times have.
    Changed,
    /// It is no longer there.
    Removed,
    /// More has happened than could be told: look at everything again.
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::RawPath;

    #[test]
    fn every_path_can_be_written() {
        for (bytes, text) in [
            (&b"/tmp/a b"[..], "/tmp/a b"),
            ("/\u{e9}".as_bytes(), "/\u{e9}"),
            (b"100%", "100%25"),
            (b"/\xff\xc3(", "/%FF%C3("),
        ] {
            let path = RawPath(bytes.to_vec());
            assert_eq!(path.encode(), text);
            assert_eq!(RawPath::decode(text), Some(path));
        }
        assert_eq!(RawPath::decode("%F"), None);
        assert_eq!(RawPath::decode("%zz"), None);
    }
}
