//! `shellport-agent file`: works on the sandbox's files, with the rights that its user has there.
//!
//! A process of its own: a file system that hangs, a named pipe or a disk that is full is its problem, and it
//! can be killed. What it is asked and answers is in [`shellport_wire::file`].

mod archive;
mod change;
mod entry;
mod read;
mod watch;
mod write;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use shellport_wire::file::{Answer, Failure, FailureCode, RawPath, Request};

/// Does what `request` says; the exit code.
pub fn main(request: &str) -> u8 {
    let mut output = io::stdout().lock();
    let done = serde_json::from_str(request)
        .map_err(|error| fail(FailureCode::Invalid, error.to_string()))
        .and_then(|request| work(request, &mut output));
    let Err(failure) = done else { return 0 };
    let _ = answer(&mut output, &Answer::Failed(failure));
    1
}

fn work(request: Request, output: &mut impl Write) -> Result<(), Failure> {
    let entry = match request {
        Request::Stat { path } => entry::stat(&native(&path)?)?,
        Request::Read {
            path,
            from,
            most,
            after,
            entries,
        } => {
            let path = native(&path)?;
            return read::read(&path, (from, most), (after, entries), output);
        }
        Request::Write {
            path,
            mode,
            owner,
            parents,
            append,
            condition,
            most,
            length,
        } => {
            let wanted = write::Wanted {
                mode,
                owner: owner.as_deref(),
                parents,
                condition,
                most,
                length,
            };
            let path = native(&path)?;
            if append {
                write::append(&path, &wanted)?
            } else {
                write::replace(&path, &wanted)?
            }
        }
        Request::MakeDirectory {
            path,
            mode,
            parents,
        } => change::make_directory(&native(&path)?, mode, parents)?,
        Request::Move { path, to, replace } => {
            change::rename(&native(&path)?, &native(&to)?, replace)?
        }
        Request::Copy { path, to, replace } => {
            change::copy(&native(&path)?, &native(&to)?, replace)?
        }
        Request::Remove { path, recursive } => {
            change::remove(&native(&path)?, recursive)?;
            return answer(output, &Answer::Done);
        }
        Request::Change { path, mode, owner } => {
            change::change(&native(&path)?, mode, owner.as_deref())?
        }
        Request::Pack { path } => return archive::pack(&native(&path)?, output),
        Request::Unpack {
            path,
            parents,
            most,
        } => {
            archive::unpack(&native(&path)?, parents, most)?;
            return answer(output, &Answer::Done);
        }
        Request::Watch { path, recursive } => {
            return watch::watch(&native(&path)?, recursive, output);
        }
    };
    answer(output, &Answer::Entry(entry))
}

/// Writes an answer, at once.
fn answer(output: &mut impl Write, answer: &Answer) -> Result<(), Failure> {
    line(output, answer).map_err(|error| failed(Path::new("the answer"), &error))
}

fn line(output: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    output.write_all(&text)?;
    output.flush()
}

/// A path as the system takes it; it has to be absolute.
fn native(path: &RawPath) -> Result<PathBuf, Failure> {
    let bytes = &path.0;
    if !bytes.starts_with(b"/") || bytes.contains(&0) {
        let message = format!("{:?} is not an absolute path", path.encode());
        return Err(fail(FailureCode::Invalid, message));
    }
    Ok(PathBuf::from(OsStr::from_bytes(bytes)))
}

fn raw(path: impl AsRef<OsStr>) -> RawPath {
    RawPath(path.as_ref().as_bytes().to_vec())
}

fn fail(code: FailureCode, message: impl Into<String>) -> Failure {
    Failure {
        code,
        message: message.into(),
    }
}

/// What the system says of a path.
fn failed(path: &Path, error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    let code = match error.kind() {
        Kind::NotFound => FailureCode::NotFound,
        Kind::AlreadyExists => FailureCode::Exists,
        Kind::NotADirectory | Kind::IsADirectory => FailureCode::WrongKind,
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => FailureCode::Forbidden,
        Kind::DirectoryNotEmpty => FailureCode::NotEmpty,
        Kind::StorageFull | Kind::QuotaExceeded => FailureCode::NoSpace,
        Kind::FileTooLarge => FailureCode::TooLarge,
        Kind::InvalidFilename | Kind::InvalidInput => FailureCode::Invalid,
        _ => FailureCode::Failed,
    };
    fail(code, format!("{}: {error}", path.display()))
}
