//! The plain dialect: JSON text and raw bytes, for any WebSocket client.
//!
//! The client neither counts nor acknowledges, so the server does both: output counts as
//! acknowledged when it has been written to the socket, and input is sent on within the agent's
//! window, so that a client that types more waits. Output never waits for an acknowledgement to be
//! written: the agent may have said its last word, and nobody may read what goes to it.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{select, unfold};
use shellport_wire::close;
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use shellport_wire::plain::PlainInput;
use shellport_wire::viewer::{ClientMessage, INPUT_WINDOW, ServerMessage, Size, WINDOW};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::connection::{End, Ended, Incoming, Sink, Source, pump, queued, send};
use crate::agent::{LinkReader, LinkWriter, refusal};

/// How often a client that waits for the program is excused.
const PATIENCE: Duration = Duration::from_secs(10);

/// After how many bytes output is acknowledged: often enough that the agent's window never closes.
const ACK: u64 = WINDOW / 4;

/// As in the other dialect.
const QUEUE: usize = 16;

/// Translates until either side ends.
pub(super) async fn run(
    reader: LinkReader,
    writer: LinkWriter,
    sink: &mut Sink,
    source: &mut Source<'_>,
) -> Ended {
    let (queue, frames) = mpsc::channel(QUEUE);
    let (applied, progress) = watch::channel(None);
    let (written, acknowledgements) = watch::channel(0);
    let frames = select(queued(frames), acknowledging(acknowledgements));
    tokio::select! {
        ended = downstream(Incoming::new(reader), sink, written, applied) => ended,
        end = upstream(source, queue, progress) => Ended::Client(end),
        never = pump(writer, frames) => match never {},
    }
}

async fn downstream(
    mut incoming: Incoming,
    sink: &mut Sink,
    written: watch::Sender<u64>,
    applied: watch::Sender<Option<u64>>,
) -> Ended {
    let mut size = None;
    loop {
        let result = match incoming.next(sink).await {
            Ok(bytes) => translate(bytes, sink, &written, &applied, &mut size).await,
            Err(ended) => return ended,
        };
        if let Err(ended) = result {
            return ended;
        }
    }
}

async fn translate(
    bytes: Bytes,
    sink: &mut Sink,
    written: &watch::Sender<u64>,
    applied: &watch::Sender<Option<u64>>,
    told: &mut Option<Size>,
) -> Result<(), Ended> {
    let nonsense =
        |what: String| Ended::Agent(format!("the agent does not speak the protocol: {what}"));
    let text = match Frame::decode(&bytes).map_err(|error| nonsense(error.to_string()))? {
        Frame::Bytes {
            kind: kind @ (Kind::Output | Kind::Snapshot),
            position,
            payload,
        } => {
            let end = position.saturating_add(payload.len() as u64);
            let payload = bytes.slice_ref(&payload);
            send(sink, Message::Binary(payload)).await?;
            if kind == Kind::Output {
                written.send_if_modified(|offset| {
                    let due = end.saturating_sub(*offset) >= ACK;
                    if due {
                        *offset = end;
                    }
                    due
                });
            }
            return Ok(());
        }
        Frame::Bytes { kind, .. } => return Err(nonsense(format!("{kind:?}"))),
        Frame::Message(text) => text,
    };
    if let Some(refusal) = refusal(&text) {
        return Err(Ended::Refused(refusal.code, refusal.message));
    }
    let message = serde_json::from_str(&text).map_err(|error| nonsense(error.to_string()))?;
    match message {
        // It counts for the client; the snapshot itself is only bytes to it.
        ServerMessage::Ack { sequence } => {
            applied.send_replace(Some(sequence));
            return Ok(());
        }
        // The snapshot itself is only bytes to it, but they are made for a size.
        ServerMessage::Snapshot { size, offset, .. } => {
            if told.replace(size) == Some(size) {
                return Ok(());
            }
            let resize = ServerMessage::Resize { size, offset };
            let text = serde_json::to_string(&resize).expect("plain data");
            return send(sink, Message::text(text)).await;
        }
        ServerMessage::Hello(ref hello) => {
            applied.send_replace(Some(hello.sequence));
            *told = Some(hello.size);
        }
        ServerMessage::Resize { size, .. } => *told = Some(size),
        // Whoever speaks this dialect neither draws nor answers.
        ServerMessage::Viewers { .. } | ServerMessage::Line(_) => return Ok(()),
        _ => {}
    }
    let text = Utf8Bytes::try_from(bytes.clone()).expect("decoded as text above");
    send(sink, Message::Text(text)).await?;
    match message {
        ServerMessage::Exit { .. } => Err(Ended::Exited),
        _ => Ok(()),
    }
}

/// An acknowledgement of each offset, or of the latest when they change faster than that.
fn acknowledging(offsets: watch::Receiver<u64>) -> impl Stream<Item = Bytes> {
    unfold(offsets, async |mut offsets| {
        offsets.changed().await.ok()?;
        let offset = *offsets.borrow_and_update();
        let text = serde_json::to_string(&ClientMessage::Ack { offset }).expect("plain data");
        Some((text.into(), offsets))
    })
}

async fn upstream(
    source: &mut Source<'_>,
    queue: mpsc::Sender<Bytes>,
    mut applied: watch::Receiver<Option<u64>>,
) -> End {
    let mut sequence = None;
    loop {
        let input = match source.next().await {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Text(text)) => match serde_json::from_str(&text) {
                Ok(PlainInput::Stdin { data }) => data.into(),
                Ok(other) => {
                    let message = match other {
                        PlainInput::Resize(size) => ClientMessage::Resize(size),
                        PlainInput::Signal { signal } => ClientMessage::Signal { signal },
                        PlainInput::Ping { id } => ClientMessage::Ping { id },
                        PlainInput::Stdin { .. } => unreachable!("matched above"),
                    };
                    let text = serde_json::to_string(&message).expect("plain data");
                    if queue.send(text.into()).await.is_err() {
                        return End::Gone;
                    }
                    continue;
                }
                Err(error) => return End::Close(close::PROTOCOL_ERROR, error.to_string()),
            },
            Ok(_) => continue,
            Err(end) => return end,
        };
        // `hello` says where this client's input goes on.
        let first = match applied.wait_for(Option::is_some).await {
            Ok(first) => first.unwrap_or_default(),
            Err(_) => return End::Gone,
        };
        let sent = sequence.get_or_insert(first);
        for part in input.chunks(MAX_PAYLOAD.min(16 * 1024)) {
            let end = *sent + part.len() as u64;
            let fits = |applied: &Option<u64>| applied.is_some_and(|it| end <= it + INPUT_WINDOW);
            loop {
                tokio::select! {
                    fitted = applied.wait_for(fits) => match fitted {
                        Ok(_) => break,
                        Err(_) => return End::Gone,
                    },
                    // It is the program that does not read, not the client that does not answer.
                    () = sleep(PATIENCE) => source.heard.now(),
                }
            }
            let frame = Frame::bytes(Kind::Input, *sent, part).encode();
            if queue.send(frame.into()).await.is_err() {
                return End::Gone;
            }
            *sent = end;
        }
    }
}
