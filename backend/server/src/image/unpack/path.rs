//! The names in an archive.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The mark of a name that is removed by a layer.
const WHITEOUT: &[u8] = b".wh.";

/// The mark of a directory that hides what is below it.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The mark of other things of aufs, which mean nothing to anybody else.
const OTHER: &[u8] = b".wh..wh.";

/// What the name of an entry means.
/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
#[derive(Debug, PartialEq, Eq)]
pub enum Name {
    /// A file to unpack; the path is empty for the root itself.
    File(PathBuf),
    /// This is to be removed from the layers below.
    Whiteout(PathBuf),
    /// This directory hides those below.
    Opaque(PathBuf),
    /// Nothing to unpack.
    Nothing,
}

/// What `bytes` means, as a path without a root.
///
/// # Errors
/// What is wrong with it, in words.
pub fn name(bytes: &[u8]) -> Result<Name, &'static str> {
    let path = clean(bytes)?;
    let (Some(last), Some(parent)) = (path.file_name(), path.parent()) else {
        return Ok(Name::File(path));
    };
    let last = last.as_bytes();
    if last == OPAQUE {
        return Ok(Name::Opaque(parent.to_owned()));
    }
    if last.starts_with(OTHER) {
        return Ok(Name::Nothing);
    }
    match last.strip_prefix(WHITEOUT) {
        Some(b"" | b"." | b"..") => Err("it is the removal of nothing"),
        Some(removed) => Ok(Name::Whiteout(parent.join(OsStr::from_bytes(removed)))),
        None => Ok(Name::File(path)),
    }
}

/// A path of an archive as one without a root, `.` and empty parts.
///
/// # Errors
/// When it has a `..` in it: no tool makes such names, and nobody agrees on what they mean.
pub fn clean(bytes: &[u8]) -> Result<PathBuf, &'static str> {
    let mut path = PathBuf::new();
    for part in bytes.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err("a name may not have .. in it"),
            part => path.push(Path::new(OsStr::from_bytes(part))),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_they_mean() {
        for (bytes, meaning) in [
            (&b"a/b"[..], Name::File("a/b".into())),
            (b"./a//b/", Name::File("a/b".into())),
            (b"/etc/passwd", Name::File("etc/passwd".into())),
            (b"./", Name::File("".into())),
            (b"", Name::File("".into())),
            (b"a/...", Name::File("a/...".into())),
            (b"a/.wh.b", Name::Whiteout("a/b".into())),
            (b".wh.b", Name::Whiteout("b".into())),
            (b".wh..b", Name::Whiteout(".b".into())),
            (b"a/.wh..wh..opq", Name::Opaque("a".into())),
            (b".wh..wh..opq", Name::Opaque("".into())),
            (
                b"a/.wh..wh.plnk/1.2",
                Name::File("a/.wh..wh.plnk/1.2".into()),
            ),
            (b"a/.wh..wh.aufs", Name::Nothing),
        ] {
            assert_eq!(name(bytes), Ok(meaning), "{:?}", bytes.escape_ascii());
        }
        for bytes in [
            &b".."[..],
            b"a/../b",
            b"/../etc",
            b"a/..",
            b".wh.",
            b".wh..",
            b"a/.wh...",
            b"../.wh.passwd",
            b"a/../../.wh..wh..opq",
        ] {
            assert!(name(bytes).is_err(), "{:?}", bytes.escape_ascii());
        }
    }
}
