//! What both dialects have in common: the two ends of the connection, and why it ends.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream, unfold};
use futures_util::{SinkExt, Stream, StreamExt};
use shellport_wire::agent::RefusalCode;
use shellport_wire::close;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

use crate::agent::{LinkReader, LinkWriter};

/// How often the client is asked whether it is there.
const PING: Duration = Duration::from_secs(20);

/// What goes to the client.
pub(super) type Sink = SplitSink<WebSocket, Message>;

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client has gone.
    Gone,
    /// For this reason, with this code.
    Close(u16, String),
}

/// What comes from the client, and when it last did.
pub(super) struct Source<'a> {
    pub(super) stream: SplitStream<WebSocket>,
    pub(super) heard: &'a Heard,
}

/// When the client was last heard.
pub(super) struct Heard(Mutex<Instant>);

impl Heard {
    /// Just now.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    pub(super) fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source<'_> {
    /// The next message with content.
    pub(super) async fn next(&mut self) -> Result<Message, End> {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    let reason = error.to_string();
                    // The client broke the protocol, or the network broke; only one can be told.
                    return Err(
                        if reason.contains("too long") || reason.contains("too big") {
                            End::Close(close::PROTOCOL_ERROR, reason)
                        } else {
                            End::Gone
                        },
                    );
                }
                None => return Err(End::Gone),
            };
            self.heard.now();
            match message {
                Message::Close(_) => return Err(End::Gone),
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Ok(message),
            }
        }
    }
}

/// Why a dialect has ended.
pub(super) enum Ended {
    /// By the client.
    Client(End),
    /// The program's exit has been told.
    Exited,
    /// The agent refuses.
    Refused(RefusalCode, String),
    /// The agent is gone.
    Agent(String),
}

/// Forwards frames to the agent, for ever.
///
/// An agent that has sent the exit closes the connection, so a write may fail while the exit is
/// still to be read. The end of a connection is therefore the reader's to find.
pub(super) async fn pump(mut writer: LinkWriter, frames: impl Stream<Item = Bytes>) -> Infallible {
    let mut frames = pin!(frames);
    while let Some(frame) = frames.next().await {
        if writer.frame(frame).await.is_err() {
            break;
        }
    }
    // Whoever still hands one over must not wait for an agent that is gone.
    while frames.next().await.is_some() {}
    pending().await
}

/// The frames that come through a queue.
pub(super) fn queued(queue: mpsc::Receiver<Bytes>) -> impl Stream<Item = Bytes> {
    unfold(queue, async |mut queue| {
        let frame = queue.recv().await?;
        Some((frame, queue))
    })
}

/// The next frame from the agent, with pings to the client in between.
pub(super) struct Incoming {
    reader: LinkReader,
    pings: tokio::time::Interval,
}

impl Incoming {
    pub(super) fn new(reader: LinkReader) -> Self {
        Self {
            reader,
            pings: interval_at(Instant::now() + PING, PING),
        }
    }

    pub(super) async fn next(&mut self, sink: &mut Sink) -> Result<Bytes, Ended> {
        loop {
            tokio::select! {
                frame = self.reader.next() => return match frame {
                    Ok(Some(bytes)) => Ok(bytes.freeze()),
                    Ok(None) => Err(Ended::Agent("the agent closed the connection".to_owned())),
                    Err(error) => Err(Ended::Agent(error.to_string())),
                },
                _ = self.pings.tick() => send(sink, Message::Ping(Bytes::new())).await?,
            }
        }
    }
}

pub(super) async fn send(sink: &mut Sink, message: Message) -> Result<(), Ended> {
    sink.send(message)
        .await
        .map_err(|_| Ended::Client(End::Gone))
}
