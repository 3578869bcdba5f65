//! Frames on a connection to a server.

use std::io;

use serde::Serialize;
use shellport_wire::frame::{Kind, MAX_PAYLOAD, header};
use shellport_wire::link::{PREFIX, decode_length, encode_length};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Reads frames.
pub struct FrameReader {
    stream: BufReader<OwnedReadHalf>,
}

impl FrameReader {
    /// Reads from `stream`.
    pub fn new(stream: OwnedReadHalf) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// What comes behind the last frame, as it comes.
    pub fn into_bytes(self) -> BufReader<OwnedReadHalf> {
        self.stream
    }

    /// The bytes of the next frame; none when the other side has closed.
    ///
    /// # Errors
    /// A length that is not allowed, or a connection that broke within a frame. Not safe to cancel.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut prefix = [0; PREFIX];
        match self.stream.read_exact(&mut prefix).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let length = decode_length(prefix).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await?;
        Ok(Some(bytes))
    }
}

/// Writes frames, each at once.
pub struct FrameWriter {
    stream: OwnedWriteHalf,
    buffer: Vec<u8>,
    /// A frame may have been written in part.
    writing: bool,
}

impl FrameWriter {
    /// Writes to `stream`.
    pub fn new(stream: OwnedWriteHalf) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            writing: false,
        }
    }

    /// Where bytes go behind the last frame.
    pub fn into_bytes(self) -> OwnedWriteHalf {
        self.stream
    }

    /// Writes a byte frame.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn bytes(&mut self, kind: Kind, position: u64, payload: &[u8]) -> io::Result<()> {
        self.stage(kind, position, [payload, &[]]);
        self.flush().await
    }

    /// Copies a byte frame, its payload in two pieces, for [`Self::flush`] to write: what the
    /// pieces are borrowed from need not be held meanwhile.
    pub fn stage(&mut self, kind: Kind, position: u64, payload: [&[u8]; 2]) {
        let [front, back] = payload;
        self.fill([&header(kind, position), front, back]);
    }

    /// Writes what was staged.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.writing = true;
        self.stream.write_all(&self.buffer).await?;
        self.writing = false;
        Ok(())
    }

    /// Whether the last write was neither cancelled nor failed, so that another frame can follow.
    pub fn is_between_frames(&self) -> bool {
        !self.writing
    }

    fn fill(&mut self, pieces: [&[u8]; 3]) {
        self.buffer.clear();
        let length = pieces.iter().map(|piece| piece.len()).sum();
        self.buffer.extend_from_slice(&encode_length(length));
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
        }
    }

    /// Writes a message as JSON.
    ///
    /// # Errors
    /// Those of the connection, and a message that is longer than a frame may be.
    pub async fn message<M: Serialize>(&mut self, message: &M) -> io::Result<()> {
        let text = serde_json::to_string(message)?;
        if text.len() > MAX_PAYLOAD {
            return Err(io::Error::other("a message longer than a frame may be"));
        }
        self.fill([text.as_bytes(), &[], &[]]);
        self.flush().await
    }
}
