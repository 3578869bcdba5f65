//! What a container has said, kept on the disk up to a size.
//!
//! A record is the stream (1 or 2), milliseconds since 1970 (8 bytes), the length (4 bytes), both
//! with the highest byte first, and the bytes. When the file is half as large as is allowed, it
//! becomes the older half, and the half before that goes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes before those of a record.
const HEAD: usize = 13;

/// The longest record that is read.
const MAX_RECORD: usize = 1 << 20;

/// Where a container's output is kept.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    written: u64,
    /// Bytes of a half.
    half: u64,
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// 1 or 2.
    pub stream: u8,
    /// Milliseconds since 1970.
    pub at: u64,
    /// What was said.
    pub bytes: Vec<u8>,
}

impl Log {
    /// A log at `path` of at most `most` bytes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path, most: u64) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            written: file.metadata()?.len(),
            file,
            half: most / 2,
        })
    }

    /// Adds to it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn add(&mut self, stream: u8, bytes: &[u8]) -> io::Result<()> {
        if self.written > 0 && self.written + (HEAD + bytes.len()) as u64 > self.half {
            fs::rename(&self.path, older(&self.path))?;
            self.file = File::options().append(true).create(true).open(&self.path)?;
            self.written = 0;
        }
        let mut record = Vec::with_capacity(HEAD + bytes.len());
        record.push(stream);
        record.extend(jiff::Timestamp::now().as_millisecond().to_be_bytes());
        record.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        record.extend(bytes);
        self.file.write_all(&record)?;
        self.written += record.len() as u64;
        Ok(())
    }
}

/// The older half of the log at `path`.
pub fn older(path: &Path) -> PathBuf {
    path.with_extension("older")
}

/// The next whole record; none at the end of what has been written.
///
/// # Errors
/// What is no log.
pub fn read(file: &mut impl Read) -> io::Result<Option<Record>> {
    let mut head = [0; HEAD];
    match file.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let (at, length) = head[1..].split_at(8);
    let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
    if length > MAX_RECORD {
        return Err(io::Error::other("it is damaged"));
    }
    let mut bytes = vec![0; length];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    Ok(Some(Record {
        stream: head[0],
        at: u64::from_be_bytes(at.try_into().expect("eight bytes")),
        bytes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(path: &Path) -> Vec<Record> {
        let mut file = File::open(path).unwrap();
        std::iter::from_fn(|| read(&mut file).unwrap()).collect()
    }

    #[test]
    fn the_last_of_it_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        let mut log = Log::open(&path, 4000).unwrap();
        for index in 0..100_u8 {
            log.add(1 + index % 2, &[index; 100]).unwrap();
        }
        let mut records = all(&older(&path));
        records.extend(all(&path));
        assert!(records.len() >= 17, "{}", records.len());
        let size = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(size(&path) + size(&older(&path)) <= 4000);
        for (record, index) in records.iter().rev().zip((0..100_u8).rev()) {
            assert_eq!(
                (record.stream, &*record.bytes),
                (1 + index % 2, &[index; 100][..])
            );
        }
        // What is not whole yet is waited for.
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let whole = all(&path).len();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(all(&path).len(), whole + 1);
    }
}
