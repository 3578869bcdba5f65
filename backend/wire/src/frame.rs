//! One frame: bytes with a position, or a JSON message.
//!
//! A byte frame is a type byte, a big-endian `u64` position and at least one byte of payload. A
//! JSON message is UTF-8 text; because it starts with `{`, which is no frame type, the two can be
//! told apart where no WebSocket opcode does it.

use std::borrow::Cow;

/// The most payload bytes in a byte frame, and the most bytes in a JSON message.
///
/// 64 KiB is a full PTY buffer on Linux; larger frames gain nothing and delay what is behind them.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// Bytes before the payload: the type and the position.
pub const HEADER: usize = 9;

/// The most bytes in any frame.
pub const MAX_FRAME: usize = HEADER + MAX_PAYLOAD;

/// What the bytes of a frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Output of a terminal, or the standard output of an exec; the position is the offset of its
    /// first byte in the journal.
    Output = 0x01,
    /// Input; the position is the sequence: how many input bytes this client sent before it.
    Input = 0x02,
    /// A part of a snapshot; the position is the offset at which the whole snapshot is valid.
    Snapshot = 0x03,
    /// Standard error of an exec; the position is an offset in its own journal.
    Stderr = 0x04,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Output),
            0x02 => Some(Self::Input),
            0x03 => Some(Self::Snapshot),
            0x04 => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// A frame, borrowed from the message that carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Bytes with their position.
    Bytes {
        /// What the bytes are.
        kind: Kind,
        /// The offset or sequence of the first byte; see [`Kind`].
        position: u64,
        /// 1 to [`MAX_PAYLOAD`] bytes.
        payload: Cow<'a, [u8]>,
    },
    /// A JSON message, not parsed yet.
    Message(Cow<'a, str>),
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Nothing at all.
    #[error("a frame has at least one byte")]
    Empty,
    /// The first byte is neither a frame type nor the `{` of a JSON message.
    #[error("unknown frame type {0:#04x}; known are 0x01 to 0x04, or a JSON object")]
    UnknownType(u8),
    /// A byte frame without payload.
    #[error("a byte frame of {0} bytes; the least is {least}", least = HEADER + 1)]
    TooShort(usize),
    /// More than the limit.
    #[error("a frame of {0} bytes; the most is {MAX_FRAME}, of which {MAX_PAYLOAD} are payload")]
    TooLong(usize),
    /// The position of the last byte does not fit 64 bits.
    #[error("position {0} plus the payload exceeds 64 bits")]
    PositionOverflow(u64),
    /// A JSON message that is not UTF-8.
    #[error("a JSON message that is not UTF-8")]
    NotUtf8,
}

impl<'a> Frame<'a> {
    /// A byte frame that borrows its payload.
    pub fn bytes(kind: Kind, position: u64, payload: &'a [u8]) -> Self {
        Self::Bytes {
            kind,
            position,
            payload: Cow::Borrowed(payload),
        }
    }

    /// Reads a frame from exactly the bytes of one message.
    ///
    /// # Errors
    /// Any deviation from the layout; nothing is guessed or skipped.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (&first, rest) = bytes.split_first().ok_or(FrameError::Empty)?;
        if first == b'{' {
            if bytes.len() > MAX_PAYLOAD {
                return Err(FrameError::TooLong(bytes.len()));
            }
            let text = std::str::from_utf8(bytes).map_err(|_| FrameError::NotUtf8)?;
            return Ok(Self::Message(Cow::Borrowed(text)));
        }
        let kind = Kind::from_byte(first).ok_or(FrameError::UnknownType(first))?;
        if bytes.len() > MAX_FRAME {
            return Err(FrameError::TooLong(bytes.len()));
        }
        let Some((position, payload)) = rest.split_first_chunk::<8>() else {
            return Err(FrameError::TooShort(bytes.len()));
        };
        if payload.is_empty() {
            return Err(FrameError::TooShort(bytes.len()));
        }
        let position = u64::from_be_bytes(*position);
        if position.checked_add(payload.len() as u64).is_none() {
            return Err(FrameError::PositionOverflow(position));
        }
        Ok(Self::bytes(kind, position, payload))
    }

    /// The frame as the bytes of one message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bytes {
                kind,
                position,
                payload,
            } => [&header(*kind, *position)[..], payload].concat(),
            Self::Message(text) => text.as_bytes().to_vec(),
        }
    }
}

/// The bytes before a payload, for a writer that fills in the payload itself.
pub fn header(kind: Kind, position: u64) -> [u8; HEADER] {
    let mut bytes = [kind as u8; HEADER];
    bytes[1..].copy_from_slice(&position.to_be_bytes());
    bytes
}
