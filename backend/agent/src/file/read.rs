//! Reading a file, or what is in a directory.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use shellport_wire::file::{Answer, Failure, FailureCode, Kind, RawPath};

use super::entry::{entry, kind, list, open};
use super::{answer, fail, failed, raw};

/// Answers with what is at `path`, and its content: of a file, from an offset and at most so many bytes; of a
/// directory, the names after one and at most so many.
pub fn read(
    path: &Path,
    (from, most): (i64, Option<u64>),
    (after, entries): (Option<RawPath>, usize),
    output: &mut impl Write,
) -> Result<(), Failure> {
    let (mut file, metadata) = open(path)?;
    let found = entry(path, raw(path), &metadata);
    if kind(&metadata) == Kind::Directory {
        let (entries, more) = list(path, after.as_ref(), entries)?;
        let listed = Answer::Entries {
            directory: found,
            entries,
            more,
        };
        return answer(output, &listed);
    }
    let size = metadata.len();
    let from = if from < 0 {
        size.saturating_sub(from.unsigned_abs())
    } else {
        from.unsigned_abs()
    };
    // Files of the kernel have a content, and no size.
    let is_sized = size > 0;
    let left = size.saturating_sub(from);
    let most = most
        .unwrap_or(u64::MAX)
        .min(if is_sized { left } else { u64::MAX });
    answer(output, &Answer::Entry(found))?;
    let error = |error: io::Error| failed(path, &error);
    file.seek(SeekFrom::Start(from)).map_err(error)?;
    let copied = io::copy(&mut file.take(most), output).map_err(error)?;
    output.flush().map_err(error)?;
    if is_sized && copied < most {
        let message = format!("{}: it has become shorter meanwhile", path.display());
        return Err(fail(FailureCode::Changed, message));
    }
    Ok(())
}
