//! Directories as tar archives.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;

use shellport_wire::file::{Answer, Failure, FailureCode, Kind};

use super::change::make_parents;
use super::entry::{kind, open};
use super::{answer, fail, failed};

/// Writes what is at `path` as an archive: a directory's content under the names that it has there, a file under
/// its own.
pub fn pack(path: &Path, output: &mut impl Write) -> Result<(), Failure> {
    let (mut file, metadata) = open(path)?;
    answer(output, &Answer::Done)?;
    let error = |error: io::Error| failed(path, &error);
    let mut builder = tar::Builder::new(output);
    builder.follow_symlinks(false);
    if kind(&metadata) == Kind::Directory {
        pack_directory(&mut builder, path, Path::new("")).map_err(error)?;
    } else {
        let name = Path::new(path.file_name().unwrap_or_default());
        pack_file(&mut builder, name, &mut file, &metadata).map_err(error)?;
    }
    let output = builder.into_inner().map_err(error)?;
    output.flush().map_err(error)
}

/// What is in a directory, but for sockets, which no archive has. It may change meanwhile.
fn pack_directory(
    builder: &mut tar::Builder<impl Write>,
    directory: &Path,
    under: &Path,
) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(directory)?.collect::<io::Result<_>>()?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), under.join(entry.file_name()));
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        match kind(&metadata) {
            Kind::Socket => {}
            Kind::File => {
                if let Ok((mut file, metadata)) = open(&path) {
                    pack_file(builder, &name, &mut file, &metadata)?;
                }
            }
            Kind::Directory => {
                builder.append_dir(&name, &path)?;
                pack_directory(builder, &path, &name)?;
            }
            Kind::Symlink | Kind::Fifo | Kind::Device => {
                builder.append_path_with_name(&path, &name)?;
            }
        }
    }
    Ok(())
}

/// As many bytes of a file as it had when it was opened: with more or fewer, nothing behind it could be read.
fn pack_file(
    builder: &mut tar::Builder<impl Write>,
    name: &Path,
    file: &mut File,
    metadata: &Metadata,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(metadata);
    let content = file.chain(io::repeat(0)).take(metadata.len());
    builder.append_data(&mut header, name, content)
}

/// Takes the archive in standard input apart in the directory at `path`. Nothing of it leads out of there.
pub fn unpack(path: &Path, parents: bool, most: u64) -> Result<(), Failure> {
    let error = |error: io::Error| failed(path, &error);
    if parents {
        make_parents(path)?;
        fs::create_dir_all(path).map_err(error)?;
    }
    let metadata = fs::metadata(path).map_err(error)?;
    if kind(&metadata) != Kind::Directory {
        return Err(super::entry::wrong_kind(path, kind(&metadata)));
    }
    let mut input = io::stdin().lock().take(most.saturating_add(1));
    let unpacked = {
        let mut archive = tar::Archive::new(&mut input);
        archive.set_preserve_permissions(true);
        archive.set_overwrite(true);
        archive.unpack(path)
    };
    if input.limit() == 0 {
        let message = format!("the archive has more than the {most} bytes that are allowed");
        return Err(fail(FailureCode::TooLarge, message));
    }
    unpacked.map_err(|error| match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            fail(FailureCode::Invalid, format!("the archive: {error}{cause}"))
        }
        _ => failed(path, &error),
    })?;
    // What follows the end of the archive is read, so that whoever writes it is not cut off.
    io::copy(&mut input, &mut io::sink()).map_err(error)?;
    Ok(())
}
