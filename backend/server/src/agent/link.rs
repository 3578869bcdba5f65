//! Frames on a connection to an agent.

use std::io::{self, Cursor};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use shellport_wire::agent::{Refusal, Response};
use shellport_wire::frame::{Frame, MAX_FRAME, MAX_PAYLOAD};
use shellport_wire::link::PREFIX;
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf, join, split};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use crate::runtime::Stream;

/// What goes wrong with an agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The connection broke, or could not be made.
    #[error("the agent cannot be reached: {0}")]
    Io(#[from] io::Error),
    /// The agent closed the connection without an answer.
    #[error("the agent closed the connection")]
    Closed,
    /// The agent does not answer.
    #[error("the agent does not answer")]
    Silent,
    /// The agent says what makes no sense.
    #[error("the agent does not speak the protocol: {0}")]
    Nonsense(String),
    /// The agent says no.
    #[error(transparent)]
    Refused(Refusal),
}

impl AgentError {
    /// Whether the connection broke, so that another may do better.
    pub fn is_broken(&self) -> bool {
        match self {
            // What was to be sent is too long, or what came is.
            Self::Io(cause) => !matches!(
                cause.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            ),
            Self::Closed | Self::Silent => true,
            Self::Nonsense(_) | Self::Refused(_) => false,
        }
    }
}

/// A connection to an agent.
pub struct Link {
    /// What comes from it.
    pub reader: LinkReader,
    /// What goes to it.
    pub writer: LinkWriter,
}

/// The reading half.
pub struct LinkReader(FramedRead<ReadHalf<Box<dyn Stream>>, LengthDelimitedCodec>);

/// The writing half.
pub struct LinkWriter(FramedWrite<WriteHalf<Box<dyn Stream>>, LengthDelimitedCodec>);

impl Link {
    /// Frames on `stream`.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        let (reader, writer) = split(stream);
        let codec = || {
            LengthDelimitedCodec::builder()
                .length_field_length(PREFIX)
                .max_frame_length(MAX_FRAME)
                .new_codec()
        };
        Self {
            reader: LinkReader(FramedRead::with_capacity(reader, codec(), MAX_FRAME)),
            writer: LinkWriter(FramedWrite::new(writer, codec())),
        }
    }
}

impl Link {
    /// The stream itself, behind the last frame that was read.
    pub(super) fn into_bytes(self) -> Box<dyn Stream> {
        let parts = self.reader.0.into_parts();
        let came = Cursor::new(parts.read_buf);
        Box::new(join(came.chain(parts.io), self.writer.0.into_inner()))
    }
}

impl LinkReader {
    /// The bytes of the next frame; none when the agent has closed. Safe to cancel.
    ///
    /// # Errors
    /// A frame that is too long, or a connection that broke.
    pub async fn next(&mut self) -> io::Result<Option<BytesMut>> {
        self.0.next().await.transpose()
    }

    /// The next frame, which has to be a response.
    pub(super) async fn response(&mut self) -> Result<Response, AgentError> {
        let bytes = self.next().await?.ok_or(AgentError::Closed)?;
        match Frame::decode(&bytes) {
            Ok(Frame::Message(text)) => match parse(&text)? {
                Response::Error(refusal) => Err(AgentError::Refused(refusal)),
                response => Ok(response),
            },
            Ok(Frame::Bytes { .. }) => Err(AgentError::Nonsense("bytes, not a response".into())),
            Err(error) => Err(AgentError::Nonsense(error.to_string())),
        }
    }
}

impl LinkWriter {
    /// Writes a frame.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn frame(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.send(bytes).await
    }

    /// Writes a message.
    ///
    /// # Errors
    /// Those of the connection, and a message longer than a frame may be.
    pub async fn message<M: Serialize>(&mut self, message: &M) -> io::Result<()> {
        let text = serde_json::to_string(message)?;
        if text.len() > MAX_PAYLOAD {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the request has {} bytes; the most is {MAX_PAYLOAD}",
                    text.len()
                ),
            ));
        }
        self.frame(text.into()).await
    }
}

pub(super) fn parse(text: &str) -> Result<Response, AgentError> {
    serde_json::from_str(text).map_err(|error| AgentError::Nonsense(error.to_string()))
}
