//! A viewer's connection, whichever dialect it speaks.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use shellport_wire::agent::{Attach, RefusalCode, Request};
use shellport_wire::close;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use super::{framed, plain};
use crate::agent::{Link, LinkReader, LinkWriter};
use crate::http::App;
use crate::session::Session;

/// How often the client is asked whether it is there.
const PING: Duration = Duration::from_secs(20);

/// After how long without a word from the client it is given up.
const UNRESPONSIVE: Duration = Duration::from_mins(1);

/// How long the last message may take.
const CLOSE: Duration = Duration::from_secs(2);

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
    stream: SplitStream<WebSocket>,
    heard: &'a Heard,
}

/// When the client was last heard.
struct Heard(Mutex<Instant>);

impl Heard {
    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
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

/// Serves a viewer until its terminal, its session, its client or this server ends.
pub(super) async fn serve(
    app: App,
    session: Session,
    attach: Attach,
    is_framed: bool,
    socket: WebSocket,
) {
    let _in_use = session.activity().begin();
    let _counted = app.metrics.viewer();
    let (mut sink, stream) = socket.split();
    let heard = Heard(Mutex::new(Instant::now()));
    let source = Source {
        stream,
        heard: &heard,
    };
    let end = tokio::select! {
        end = work(&app, &session, attach, is_framed, &mut sink, source) => end,
        () = app.draining.cancelled() => {
            End::Close(close::GOING_AWAY, "the server is shutting down".to_owned())
        }
        () = unresponsive(&heard) => {
            End::Close(close::UNRESPONSIVE, "nothing was heard for too long".to_owned())
        }
    };
    if let End::Close(code, reason) = end {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from(cut(&reason)),
        };
        // A client that does not read any more does not get it.
        let _ = timeout(CLOSE, sink.send(Message::Close(Some(frame)))).await;
    }
    let _ = timeout(CLOSE, sink.close()).await;
}

async fn work(
    app: &App,
    session: &Session,
    attach: Attach,
    is_framed: bool,
    sink: &mut Sink,
    source: Source<'_>,
) -> End {
    let id = session.view().record.id;
    let role = attach.role;
    let connected = match app.registry.runtime().connect(&id).await {
        Ok(stream) => {
            let mut link = Link::new(stream);
            link.writer
                .message(&Request::Attach(attach))
                .await
                .map(|()| link)
                .map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    let Link { reader, writer } = match connected {
        Ok(link) => link,
        Err(reason) => return lost(session, &reason),
    };
    let end = if is_framed {
        framed::run(role, reader, writer, sink, source).await
    } else {
        plain::run(reader, writer, sink, source).await
    };
    match end {
        Ended::Client(end) => end,
        Ended::Exited => End::Close(close::EXITED, "the program has ended".to_owned()),
        Ended::Refused(code, reason) => {
            let code = match code {
                RefusalCode::ShuttingDown => close::SESSION_ENDED,
                RefusalCode::Invalid => close::PROTOCOL_ERROR,
                _ => close::START_FAILED,
            };
            End::Close(code, reason)
        }
        Ended::Agent(reason) => lost(session, &reason),
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

/// Without an agent, either the session has ended or only the way to it.
fn lost(session: &Session, reason: &str) -> End {
    let view = session.view();
    if view.deleted || !view.record.state.is_live() {
        let reason = view
            .record
            .message
            .unwrap_or_else(|| "the session has ended".to_owned());
        return End::Close(close::SESSION_ENDED, reason);
    }
    End::Close(close::AGENT_UNREACHABLE, reason.to_owned())
}

/// Forwards what the queue holds to the agent, for ever.
///
/// An agent that has sent the exit closes the connection, so a write may fail while the exit is
/// still to be read. The end of a connection is therefore the reader's to find.
pub(super) async fn pump(mut writer: LinkWriter, mut queue: mpsc::Receiver<Bytes>) -> Infallible {
    while let Some(frame) = queue.recv().await {
        if writer.frame(frame).await.is_err() {
            break;
        }
    }
    pending().await
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

async fn unresponsive(heard: &Heard) {
    loop {
        let deadline = heard.last() + UNRESPONSIVE;
        if deadline <= Instant::now() {
            return;
        }
        sleep_until(deadline).await;
    }
}

/// A close reason has at most 123 bytes (RFC 6455, 5.5).
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(123)]
}
