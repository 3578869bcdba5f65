//! `/api/v1/sessions/{id}/ports/{port}/tunnel`: the bytes of a port, over a WebSocket.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use shellport_wire::close;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Barrier;
use tokio::time::{Instant, interval_at, sleep};

use super::{connect, number};
use crate::http::App;
use crate::http::attach::connection::{End, Ended, Heard, PING, Sink, Source, send};
use crate::http::attach::{MAX_PLAIN, READ_BUFFER, place, websocket_needed};
use crate::http::extract::{InPath, Names};
use crate::http::problem::Problem;
use crate::runtime::Stream;
use crate::session::Session;

/// The most bytes of one message.
const MESSAGE: usize = 64 * 1024;

/// How often a client that waits for the program to read is excused.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is said as text, in both directions.
#[derive(Debug, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a JSON object whose type is end"
)]
enum Said {
    /// No more bytes come from here.
    End {},
}

/// Connects to a port: binary messages are its bytes, in both directions. `{"type":"end"}` says that no more come from
/// there; the connection is closed when both have said so.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/ports/{port}/tunnel", tag = "ports",
    params(("id" = String, Path, description = "The session"), ("port" = u16, Path, description = "The port")),
    responses(
        (status = 101, description = "A WebSocket"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn tunnel(
    State(app): State<App>,
    InPath(session): InPath,
    Names { port, .. }: Names,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let port = number(&port)?;
    let upgrade = upgrade.map_err(websocket_needed)?;
    let place = place(&app)?;
    let stream = connect(&app, &session, port).await?;
    let upgrade = upgrade
        .max_message_size(MAX_PLAIN)
        .max_frame_size(MAX_PLAIN)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0);
    let tracker = app.connections.clone();
    Ok(upgrade.on_upgrade(move |socket| {
        tracker.track_future(async move {
            serve(&app, &session, stream, socket).await;
            drop(place);
        })
    }))
}

async fn serve(app: &App, session: &Session, stream: Box<dyn Stream>, socket: WebSocket) {
    let _in_use = session.activity().begin();
    let (mut sink, client) = socket.split();
    let heard = Heard::new();
    let mut source = Source {
        stream: client,
        heard: &heard,
    };
    let (reader, writer) = split(stream);
    let both = Barrier::new(2);
    let end = tokio::select! {
        end = down(reader, &mut sink, &both) => end,
        end = up(writer, &mut source, &both) => end,
        () = app.draining.cancelled() => End::draining(),
        end = heard.silence() => end,
    };
    end.tell(sink, source).await;
}

/// From the port to the client, until both sides have ended.
async fn down(mut reader: ReadHalf<Box<dyn Stream>>, sink: &mut Sink, both: &Barrier) -> End {
    let mut buffer = vec![0; MESSAGE];
    let mut pings = interval_at(Instant::now() + PING, PING);
    let mut over = pin!(both.wait());
    let mut is_open = true;
    loop {
        let message = tokio::select! {
            count = reader.read(&mut buffer), if is_open => match count {
                Ok(0) => {
                    is_open = false;
                    let text = serde_json::to_string(&Said::End {});
                    Message::text(text.unwrap_or_else(|error| unreachable!("plain data: {error}")))
                }
                Ok(count) => Message::Binary(Bytes::copy_from_slice(&buffer[..count])),
                Err(error) => return broken(&error),
            },
            _ = &mut over, if !is_open => return ended(),
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        if let Err(Ended::Client(end)) = send(sink, message).await {
            return end;
        }
    }
}

/// From the client to the port, until both sides have ended.
async fn up(
    mut writer: WriteHalf<Box<dyn Stream>>,
    source: &mut Source<'_>,
    both: &Barrier,
) -> End {
    let mut over = pin!(both.wait());
    let mut is_open = true;
    loop {
        let message = tokio::select! {
            message = source.next() => message,
            _ = &mut over, if !is_open => return ended(),
        };
        let done = match message {
            Err(end) => return end,
            Ok(Message::Binary(bytes)) if is_open => write(&mut writer, &bytes, source.heard).await,
            Ok(Message::Text(text)) => match serde_json::from_str(&text) {
                Ok(Said::End {}) => {
                    is_open = false;
                    writer.shutdown().await
                }
                Err(error) => return End::Close(close::PROTOCOL_ERROR, error.to_string()),
            },
            Ok(Message::Binary(_)) => {
                let reason = "bytes behind the end".to_owned();
                return End::Close(close::PROTOCOL_ERROR, reason);
            }
            Ok(_) => Ok(()),
        };
        if let Err(error) = done {
            return broken(&error);
        }
    }
}

async fn write(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    bytes: &[u8],
    heard: &Heard,
) -> io::Result<()> {
    let mut written = pin!(writer.write_all(bytes));
    loop {
        tokio::select! {
            written = &mut written => return written,
            // It is the program that does not read, not the client that does not answer.
            () = sleep(PATIENCE) => heard.now(),
        }
    }
}

fn ended() -> End {
    End::Close(close::EXITED, "both sides have ended".to_owned())
}

fn broken(error: &io::Error) -> End {
    let reason = format!("the connection to the port broke: {error}");
    End::Close(close::AGENT_UNREACHABLE, reason)
}
