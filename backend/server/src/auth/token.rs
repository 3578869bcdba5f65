//! The operator's token: 256 random bits in a file that only the operator can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::config::Secret;
use crate::id::random_secret;

/// The file's name in the data directory.
pub const FILE: &str = "token";

/// The shortest token that is taken from the file, in characters.
const MIN_LENGTH: usize = 32;

/// A token file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read or written.
    #[error("cannot use the token file {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// Others can read it.
    #[error("others can read the token file {0}: chmod 600 it")]
    Exposed(PathBuf),
    /// It does not hold a token.
    #[error(
        "the token in {0} has less than {MIN_LENGTH} characters: remove the file for a new one"
    )]
    TooShort(PathBuf),
}

/// The token in `directory`; made at first.
///
/// # Errors
/// A file that cannot be used, with its path.
pub fn load_or_create(directory: &Path) -> Result<Secret, TokenError> {
    let path = directory.join(FILE);
    let io = |error| TokenError::Io(path.clone(), error);
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    match created {
        Ok(mut file) => {
            let token = random_secret();
            writeln!(file, "{token}").map_err(io)?;
            file.sync_all().map_err(io)?;
            Ok(Secret::new(token))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::metadata(&path).map_err(io)?.mode() & 0o077 != 0 {
                return Err(TokenError::Exposed(path));
            }
            let text = fs::read_to_string(&path).map_err(io)?;
            let token = text.trim();
            if token.len() < MIN_LENGTH {
                return Err(TokenError::TooShort(path));
            }
            Ok(Secret::new(token.to_owned()))
        }
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_made_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let token = load_or_create(directory.path()).unwrap();
        assert_eq!(token.reveal().len(), 43);
        let path = directory.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(
            load_or_create(directory.path())
                .unwrap()
                .matches(token.reveal())
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = load_or_create(directory.path()).unwrap_err();
        assert!(matches!(error, TokenError::Exposed(_)), "{error}");
    }

    #[test]
    fn a_short_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        fs::write(&path, "secret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = load_or_create(directory.path()).unwrap_err();
        assert!(matches!(error, TokenError::TooShort(_)), "{error}");
    }
}
