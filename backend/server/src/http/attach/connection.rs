//! What both dialects have in common: the two ends of the connection, and why it ends.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream, unfold};
use futures_util::{SinkExt, Stream, StreamExt};
use shellport_wire::agent::RefusalCode;
use shellport_wire::close;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use crate::agent::{LinkReader, LinkWriter};

/// How often the client is asked whether it is there.
pub(in crate::http) const PING: Duration = Duration::from_secs(20);

/// After how long without a word from the client it is given up.
const UNRESPONSIVE: Duration = Duration::from_mins(1);

/// How long the last message may take.
const CLOSE: Duration = Duration::from_secs(2);

/// What goes to the client.
pub(in crate::http) type Sink = SplitSink<WebSocket, Message>;

/// Why a connection ends.
#[derive(Debug)]
pub(in crate::http) enum End {
    /// The client has gone.
    Gone,
    /// For this reason, with this code.
    Close(u16, String),
}

/// What comes from the client, and when it last did.
pub(in crate::http) struct Source<'a> {
    pub(in crate::http) stream: SplitStream<WebSocket>,
    pub(in crate::http) heard: &'a Heard,
}

/// When the client was last heard.
pub(in crate::http) struct Heard(Mutex<Instant>);

impl Heard {
    /// Just now.
    pub(in crate::http) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    pub(in crate::http) fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    /// Of a server that ends.
    pub(in crate::http) fn draining() -> Self {
        Self::Close(close::GOING_AWAY, "the server is shutting down".to_owned())
    }

    /// Tells it to the client, as far as that is there.
    pub(in crate::http) async fn tell(self, mut sink: Sink, mut source: Source<'_>) {
        if let Self::Close(code, reason) = self {
            let frame = CloseFrame {
                code,
                reason: Utf8Bytes::from(cut(&reason)),
            };
            // A client that does not read any more does not get it.
            let _ = timeout(CLOSE, sink.send(Message::Close(Some(frame)))).await;
            // Closed with something unread, the kernel would reset the connection, and the client would
            // lose what it has not read itself: the last output and the exit.
            let _ = timeout(CLOSE, async { while source.next().await.is_ok() {} }).await;
        }
        let _ = timeout(CLOSE, sink.close()).await;
    }
}

/// A close reason has at most 123 bytes (RFC 6455, 5.5).
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(123)]
}

impl Heard {
    /// Returns when the client has not been heard for too long.
    pub(in crate::http) async fn silence(&self) -> End {
        loop {
            let deadline = self.last() + UNRESPONSIVE;
            if deadline <= Instant::now() {
                let reason = "nothing was heard for too long".to_owned();
                return End::Close(close::UNRESPONSIVE, reason);
            }
            sleep_until(deadline).await;
        }
    }
}

impl Source<'_> {
    /// The next message with content.
    pub(in crate::http) async fn next(&mut self) -> Result<Message, End> {
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
pub(in crate::http) enum Ended {
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
pub(in crate::http) async fn pump(
    mut writer: LinkWriter,
    frames: impl Stream<Item = Bytes>,
) -> Infallible {
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
pub(in crate::http) fn queued(queue: mpsc::Receiver<Bytes>) -> impl Stream<Item = Bytes> {
    unfold(queue, async |mut queue| {
        let frame = queue.recv().await?;
        Some((frame, queue))
    })
}

/// The next frame from the agent, with pings to the client in between.
pub(in crate::http) struct Incoming {
    reader: LinkReader,
    pings: tokio::time::Interval,
}

impl Incoming {
    pub(in crate::http) fn new(reader: LinkReader) -> Self {
        Self {
            reader,
            pings: interval_at(Instant::now() + PING, PING),
        }
    }

    pub(in crate::http) async fn next(&mut self, sink: &mut Sink) -> Result<Bytes, Ended> {
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

pub(in crate::http) async fn send(sink: &mut Sink, message: Message) -> Result<(), Ended> {
    sink.send(message)
        .await
        .map_err(|_| Ended::Client(End::Gone))
}
