//! The subprotocol `shellport.v1`: frames go through as they are, after a look at their kind.

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::Bytes;
use shellport_wire::close;
use shellport_wire::frame::{Frame, Kind};
use shellport_wire::viewer::{ClientMessage, Role, ServerMessage};
use tokio::sync::mpsc;

use super::connection::{End, Ended, Incoming, Sink, Source, pump, queued, send};
use crate::agent::{LinkReader, LinkWriter, refusal};

/// Frames from the client that wait for the agent. It takes every frame at once, so this is only
/// for the time of a task switch.
const QUEUE: usize = 16;

/// Forwards until either side ends.
pub(super) async fn run(
    role: Role,
    reader: LinkReader,
    writer: LinkWriter,
    sink: &mut Sink,
    source: &mut Source<'_>,
) -> Ended {
    let (queue, frames) = mpsc::channel(QUEUE);
    tokio::select! {
        ended = downstream(Incoming::new(reader), sink) => ended,
        end = upstream(role, source, queue) => Ended::Client(end),
        never = pump(writer, queued(frames)) => match never {},
    }
}

async fn downstream(mut incoming: Incoming, sink: &mut Sink) -> Ended {
    loop {
        let result = match incoming.next(sink).await {
            Ok(bytes) => forward(bytes, sink).await,
            Err(ended) => return ended,
        };
        if let Err(ended) = result {
            return ended;
        }
    }
}

/// The agent is not trusted: what it says is looked at before a browser sees it.
async fn forward(bytes: Bytes, sink: &mut Sink) -> Result<(), Ended> {
    let nonsense = |what: &str| {
        Err(Ended::Agent(format!(
            "the agent does not speak the protocol: {what}"
        )))
    };
    let text = match Frame::decode(&bytes) {
        Ok(Frame::Bytes {
            kind: Kind::Output | Kind::Snapshot,
            ..
        }) => None,
        Ok(Frame::Bytes { kind, .. }) => return nonsense(&format!("{kind:?}")),
        Ok(Frame::Message(text)) => Some(text),
        Err(error) => return nonsense(&error.to_string()),
    };
    let Some(text) = text else {
        return send(sink, Message::Binary(bytes)).await;
    };
    if let Some(refusal) = refusal(&text) {
        return Err(Ended::Refused(refusal.code, refusal.message));
    }
    let message: ServerMessage = match serde_json::from_str(&text) {
        Ok(message) => message,
        Err(error) => return nonsense(&error.to_string()),
    };
    let text = Utf8Bytes::try_from(bytes.clone()).expect("decoded as text above");
    send(sink, Message::Text(text)).await?;
    match message {
        ServerMessage::Exit { .. } => Err(Ended::Exited),
        _ => Ok(()),
    }
}

async fn upstream(role: Role, source: &mut Source<'_>, queue: mpsc::Sender<Bytes>) -> End {
    loop {
        let bytes = match source.next().await {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Text(text)) => text.into(),
            Ok(_) => continue,
            Err(end) => return end,
        };
        let result = check(role, &bytes);
        match result {
            Ok(true) => {}
            Ok(false) => continue,
            Err(reason) => return End::Close(close::PROTOCOL_ERROR, reason),
        }
        if queue.send(bytes).await.is_err() {
            return End::Gone;
        }
    }
}

/// Whether a frame of the client goes to the agent, or why the client broke the protocol.
fn check(role: Role, bytes: &[u8]) -> Result<bool, String> {
    let writes = |what: &str| match role {
        Role::Writer => Ok(true),
        Role::Reader => Err(format!("a reader sends no {what}")),
    };
    match Frame::decode(bytes).map_err(|error| error.to_string())? {
        Frame::Bytes {
            kind: Kind::Input, ..
        } => writes("input"),
        Frame::Bytes { kind, .. } => Err(format!("{kind:?} frames come from the server")),
        Frame::Message(text) => {
            let message = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            match message {
                ClientMessage::Signal { .. } => writes("signals"),
                ClientMessage::Role { .. } => writes("roles"),
                // A reader's own size is its own business.
                ClientMessage::Resize(_) => Ok(role == Role::Writer),
                ClientMessage::Ack { .. } | ClientMessage::Ping { .. } => Ok(true),
            }
        }
    }
}
