//! Frames on the byte stream between server and agent: a big-endian `u32` length, then the frame.

use crate::frame::MAX_FRAME;

/// Bytes of the length before each frame.
pub const PREFIX: usize = 4;

/// Why a stream is not a sequence of frames. The stream cannot be used after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame length of {0}; allowed are 1 to {MAX_FRAME}")]
pub struct LengthError(pub u32);

/// The length in a prefix, checked before anything is allocated for it.
///
/// # Errors
/// A length of zero, or of more than [`MAX_FRAME`].
pub fn decode_length(prefix: [u8; PREFIX]) -> Result<usize, LengthError> {
    let length = u32::from_be_bytes(prefix);
    match usize::try_from(length) {
        Ok(bytes) if (1..=MAX_FRAME).contains(&bytes) => Ok(bytes),
        _ => Err(LengthError(length)),
    }
}

/// The prefix of a frame of `length` bytes.
///
/// # Panics
/// When `length` is not 1 to [`MAX_FRAME`]: the caller would write a stream nobody can read.
pub fn encode_length(length: usize) -> [u8; PREFIX] {
    assert!(
        (1..=MAX_FRAME).contains(&length),
        "a frame of {length} bytes cannot be written"
    );
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked against MAX_FRAME above"
    )]
    let length = length as u32;
    length.to_be_bytes()
}
