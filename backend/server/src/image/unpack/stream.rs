//! A layer's archive, whatever it is compressed with.

use std::io::{self, BufRead, BufReader, Read};

use data_encoding::HEXLOWER;
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use sha2::{Digest, Sha256};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Compressions that are known and not understood.
const OTHERS: [(&[u8], &str); 2] = [(b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")];

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
    if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
        let message = format!("it is compressed with {name}; only gzip and zstd are understood");
        return Err(io::Error::other(message));
    }
    Ok(if start.starts_with(&GZIP) {
        Box::new(MultiGzDecoder::new(blob))
    } else if start.starts_with(&ZSTD) {
        Box::new(Frames {
            source: blob,
            decoder: FrameDecoder::new(),
            is_within: false,
        })
    } else {
        Box::new(blob)
    })
}

/// What is compressed with zstd, in as many frames as there are.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    /// A frame has begun.
    is_within: bool,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_within {
                while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                    let some = BlockDecodingStrategy::UptoBytes(BUFFER);
                    let decoded = self.decoder.decode_blocks(&mut self.source, some);
                    decoded.map_err(io::Error::other)?;
                }
                let count = self.decoder.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.is_within = false;
            }
            if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.decoder.init(&mut self.source) {
                Ok(()) => self.is_within = true,
                // Made by tools that write an index behind the frames.
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = (&mut self.source).take(u64::from(length));
                    io::copy(&mut skipped, &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}
