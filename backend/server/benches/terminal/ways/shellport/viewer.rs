//! A viewer that speaks frames.

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use shellport_wire::frame::{Frame, Kind};
use shellport_wire::viewer::{ClientMessage, SUBPROTOCOL, ServerMessage};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::super::super::connection::Connection;
use super::super::super::http::Client;
use super::super::super::wait::Result;

/// After so many bytes they are acknowledged, as the page does it.
const ACK: u64 = 64 * 1024;

/// The close code of a terminal whose program has ended.
const ENDED: u16 = 4000;

/// A viewer. What it was given is acknowledged when it asks for more.
pub struct Viewer {
    socket: WebSocketStream<TcpStream>,
    /// The next offset, and up to which one was acknowledged.
    offset: u64,
    acknowledged: u64,
    /// The next sequence.
    sequence: u64,
    snapshots: u64,
    last: Bytes,
}

/// What a message was.
pub enum Step {
    /// So many bytes of output, which may be none.
    Output(usize),
    /// The program has ended.
    Ended,
}

impl Viewer {
    /// Joins a terminal, at this path of the server.
    pub async fn join(client: &Client, path: &str) -> Result<Self> {
        let mut request = format!("ws://{}{path}", client.address).into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {}", client.token).parse()?);
        headers.insert("sec-websocket-protocol", SUBPROTOCOL.parse()?);
        let stream = TcpStream::connect(client.address).await?;
        stream.set_nodelay(true)?;
        let (mut socket, _) = client_async(request, stream).await?;
        let hello = match socket.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text)?,
            other => return Err(format!("no hello: {other:?}").into()),
        };
        let ServerMessage::Hello(hello) = hello else {
            return Err(format!("no hello: {hello:?}").into());
        };
        Ok(Self {
            socket,
            offset: hello.offset,
            acknowledged: hello.offset,
            sequence: hello.sequence,
            snapshots: 0,
            last: Bytes::new(),
        })
    }

    /// The offset after what it has been given.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How often it was given a screen instead of output, because it was too slow.
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// Takes the next message in.
    pub async fn step(&mut self) -> Result<Step> {
        if self.offset - self.acknowledged >= ACK {
            self.acknowledge().await?;
        }
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                let length = self.take(&bytes)?;
                self.last = bytes;
                return Ok(Step::Output(length));
            }
            Some(Ok(Message::Text(text))) => {
                if let ServerMessage::Snapshot { offset, .. } = serde_json::from_str(&text)? {
                    self.offset = offset;
                    self.snapshots += 1;
                }
            }
            Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == ENDED => {
                return Ok(Step::Ended);
            }
            Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}").into()),
            // Its pings.
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err("the server closed the connection".into()),
        }
        Ok(Step::Output(0))
    }

    async fn acknowledge(&mut self) -> Result<()> {
        let offset = self.offset;
        let ack = serde_json::to_string(&ClientMessage::Ack { offset })?;
        self.socket.send(Message::text(ack)).await?;
        self.acknowledged = offset;
        Ok(())
    }

    /// Takes a frame in; how many bytes of output are at its end.
    fn take(&mut self, frame: &[u8]) -> Result<usize> {
        match Frame::decode(frame)? {
            Frame::Bytes {
                kind: Kind::Output,
                position,
                payload,
            } if position == self.offset => {
                self.offset += payload.len() as u64;
                Ok(payload.len())
            }
            Frame::Bytes {
                kind: Kind::Snapshot,
                ..
            } => Ok(0),
            other => Err(format!("at {} came {other:?}", self.offset).into()),
        }
    }
}

#[async_trait]
impl Connection for Viewer {
    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let frame = Frame::bytes(Kind::Input, self.sequence, bytes).encode();
        self.sequence += bytes.len() as u64;
        Ok(self.socket.send(Message::binary(frame)).await?)
    }

    async fn receive(&mut self) -> Result<Option<&[u8]>> {
        loop {
            match self.step().await? {
                Step::Output(0) => {}
                Step::Output(length) => {
                    return Ok(Some(&self.last[self.last.len() - length..]));
                }
                Step::Ended => return Ok(None),
            }
        }
    }
}
