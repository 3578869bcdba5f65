//! What a monitor and its clients say to each other: frames with a length of four bytes, a kind of one,
//! and the payload.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use shellport_wire::exit::Exit;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use crate::oci::container::{Program, Stdio};

/// The longest frame.
const MAX_FRAME: usize = 128 * 1024;

/// Bytes of one frame of input or output.
pub const CHUNK: usize = 64 * 1024;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Input for the container.
    Stdin(Bytes),
    /// Output of the container, or of its terminal.
    Stdout(Bytes),
    /// What it says beside.
    Stderr(Bytes),
    /// Everything else.
    Message(Message),
}

/// Everything but bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// From whoever started the monitor: the container may begin.
    Start,
    /// From whoever started the monitor: the container may go on without the connection.
    Keep,
    /// From whoever started a monitor for it: a process of a container that runs.
    Exec(Box<Wish>),
    /// Output is wanted, and input will follow. Answered with [`Self::Done`].
    Attach,
    /// The terminal's size.
    Resize {
        /// Its columns.
        cols: u16,
        /// Its rows.
        rows: u16,
    },
    /// No more input.
    EndOfInput,
    /// A signal for the container's first process. Answered with [`Self::Done`].
    Signal {
        /// Its number.
        signal: i32,
    },
    /// From the monitor: the container is made, and does not run yet.
    Created,
    /// From the monitor: it runs.
    Started,
    /// From the monitor: what was asked for is done.
    Done,
    /// From the monitor: it is not.
    Failed {
        /// Why.
        cause: String,
    },
    /// From the monitor: the container has ended, and nothing of it is left but its directory, or
    /// not even that. It is the last frame.
    Exited {
        /// How.
        exit: Exit,
    },
}

/// A process that a container is to have beside its first one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What runs.
    pub program: Program,
    /// Where its standard streams lead.
    pub stdio: Stdio,
}

/// The half of a connection that listens.
#[derive(Debug)]
pub struct Reader(FramedRead<OwnedReadHalf, LengthDelimitedCodec>);

/// The half of a connection that speaks.
#[derive(Debug)]
pub struct Writer(FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>);

/// Both halves of a connection.
pub fn split(stream: UnixStream) -> (Reader, Writer) {
    let codec = || {
        LengthDelimitedCodec::builder()
            .max_frame_length(MAX_FRAME)
            .new_codec()
    };
    let (reader, writer) = stream.into_split();
    (
        Reader(FramedRead::new(reader, codec())),
        Writer(FramedWrite::new(writer, codec())),
    )
}

impl Reader {
    /// The next frame; none when the other side has gone. Safe to cancel.
    ///
    /// # Errors
    /// What is no frame.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        let Some(bytes) = self.0.next().await else {
            return Ok(None);
        };
        let mut bytes = bytes?.freeze();
        if bytes.is_empty() {
            return Err(io::Error::other("an empty frame"));
        }
        let kind = bytes.split_to(1)[0];
        Ok(Some(match kind {
            0 => Frame::Stdin(bytes),
            1 => Frame::Stdout(bytes),
            2 => Frame::Stderr(bytes),
            3 => Frame::Message(serde_json::from_slice(&bytes)?),
            _ => return Err(io::Error::other("a frame of no known kind")),
        }))
    }

    /// The next message.
    ///
    /// # Errors
    /// What is no message, and the end.
    pub async fn message(&mut self) -> io::Result<Message> {
        match self.next().await? {
            Some(Frame::Message(message)) => Ok(message),
            Some(_) => Err(io::Error::other("bytes in the place of a message")),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Writer {
    /// Sends a frame.
    ///
    /// # Errors
    /// When the other side has gone.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        let (kind, payload) = match frame {
            Frame::Stdin(bytes) => (0, bytes),
            Frame::Stdout(bytes) => (1, bytes),
            Frame::Stderr(bytes) => (2, bytes),
            Frame::Message(message) => (3, serde_json::to_vec(&message)?.into()),
        };
        let mut bytes = BytesMut::with_capacity(payload.len() + 1);
        bytes.put_u8(kind);
        bytes.extend_from_slice(&payload);
        self.0.send(bytes.freeze()).await
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the other side has gone.
    pub async fn say(&mut self, message: Message) -> io::Result<()> {
        self.send(Frame::Message(message)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent() {
        let (one, two) = UnixStream::pair().unwrap();
        let (other, mut writer) = split(one);
        let (mut reader, _writer) = split(two);
        for frame in [
            Frame::Stdin(Bytes::new()),
            Frame::Stdout(vec![7; CHUNK].into()),
            Frame::Stderr(Bytes::from_static(b"x")),
            Frame::Message(Message::Resize { cols: 80, rows: 24 }),
            Frame::Message(Message::Exited { exit: Exit::LOST }),
        ] {
            writer.send(frame.clone()).await.unwrap();
            assert_eq!(reader.next().await.unwrap(), Some(frame));
        }
        drop((other, writer));
        assert_eq!(reader.next().await.unwrap(), None);
    }
}
