//! A layer's archive, whatever it is compressed with.

use std::io::{self, BufRead, BufReader, Read};

use data_encoding::HEXLOWER;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest, Sha256};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bytes that are read at once.
const BUFFER: usize = 64 * 1024;

/// The uncompressed archive, counted and hashed.
pub struct Contents<'a> {
    inner: Box<dyn Read + 'a>,
    hash: Sha256,
    /// How many bytes may still come.
    left: u64,
}

impl<'a> Contents<'a> {
    /// What `blob` holds; reading fails after `max` bytes, and as much again for headers.
    pub fn new(blob: impl Read + 'a, max: u64) -> io::Result<Self> {
        Ok(Self {
            inner: decompress(blob)?,
            hash: Sha256::new(),
            left: max.saturating_mul(2),
        })
    }

    /// Reads on to the end of what is compressed, which may be after the end of the archive, and
    /// returns the digest of all.
    pub fn finish(mut self) -> io::Result<String> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(format!("sha256:{}", HEXLOWER.encode(&self.hash.finalize())))
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it is longer than a layer may be"))?;
        Ok(count)
    }
}

/// What `blob` holds when it is not compressed any more.
///
/// # Errors
/// Those of `blob`, and a header that is none.
pub fn decompress<'a>(blob: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut blob = BufReader::with_capacity(BUFFER, blob);
    let start = blob.fill_buf()?;
    Ok(if start.starts_with(&GZIP) {
        Box::new(MultiGzDecoder::new(blob))
    } else if start.starts_with(&ZSTD) {
        Box::new(StreamingDecoder::new(blob).map_err(io::Error::other)?)
    } else {
        Box::new(blob)
    })
}
