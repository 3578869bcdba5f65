//! An exec over a WebSocket: its events out, its input in.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use shellport_wire::agent::Request;
use shellport_wire::close;
use tokio::time::{Instant, interval_at, sleep};

use super::event::{ExecEvent, Teller, events};
use super::run::Run;
use super::stdin;
use super::{PutParams, exec_problem as problem};
use crate::agent::Feeder;
use crate::http::App;
use crate::http::attach::connection::{End, Ended, Heard, PING, Sink, Source, send};
use crate::http::attach::{MAX_PLAIN, READ_BUFFER, place, websocket_needed};
use crate::http::extract::{InPath, Names, Params};
use crate::http::problem::Problem;
use crate::http::stream::Item;
use crate::http::terminals::ask;
use crate::session::Session;

/// How often a client that waits for the command to read is excused.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long the events may tell more than that input cannot be given.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// What a client says, as text.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a JSON object whose type is stdin, end or signal"
)]
enum Said {
    /// Input.
    Stdin { data: String },
    /// The end of it.
    End {},
    /// A signal for the program's process group.
    Signal { signal: String },
}

/// Attaches to an exec: its events come as JSON text, from the offsets on; binary messages are its input, as is
/// `{"type":"stdin","data":"…"}`. `{"type":"end"}` ends the input, `{"type":"signal","signal":"SIGINT"}` signals
/// the process group.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/execs/{exec}/attach", tag = "execs",
    params(("id" = String, Path, description = "The session"), ("exec" = String, Path, description = "The exec"), PutParams),
    responses(
        (status = 101, description = "A WebSocket"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn attach(
    State(app): State<App>,
    InPath(session): InPath,
    Names { exec, .. }: Names,
    Params(params): Params<PutParams>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(websocket_needed)?;
    let place = place(&app)?;
    let since = params.places();
    let (feeder, _) = stdin::connect(&app, &session, &exec).await?;
    let run = Run::follow(&app, &session, exec.clone(), since);
    let (started, told) = run.begin().await?;
    let events = events(Teller::new(exec.clone(), since), &started, told);
    let upgrade = upgrade
        .max_message_size(MAX_PLAIN)
        .max_frame_size(MAX_PLAIN)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0);
    let tracker = app.connections.clone();
    Ok(upgrade.on_upgrade(move |socket| {
        tracker.track_future(async move {
            let attached = Attached {
                app,
                session,
                exec,
                feeder,
            };
            attached.serve(socket, events).await;
            drop(place);
        })
    }))
}

struct Attached {
    app: App,
    session: Session,
    exec: String,
    feeder: Feeder,
}

impl Attached {
    async fn serve(mut self, socket: WebSocket, events: impl Stream<Item = Item<ExecEvent>>) {
        let _in_use = self.session.activity().begin();
        let (mut sink, stream) = socket.split();
        let heard = Heard::new();
        let mut source = Source {
            stream,
            heard: &heard,
        };
        let draining = self.app.draining.clone();
        let end = tokio::select! {
            end = downstream(events, &mut sink) => end,
            end = self.upstream(&mut source) => end,
            () = draining.cancelled() => End::draining(),
            end = heard.silence() => end,
        };
        end.tell(sink, source).await;
    }

    /// Takes what the client says, until it goes.
    async fn upstream(&mut self, source: &mut Source<'_>) -> End {
        loop {
            let said = match source.next().await {
                Ok(Message::Binary(bytes)) => self.give(bytes, source.heard).await,
                Ok(Message::Text(text)) => match serde_json::from_str(&text) {
                    Ok(Said::Stdin { data }) => self.give(data.into(), source.heard).await,
                    Ok(Said::End {}) => self.finish().await,
                    Ok(Said::Signal { signal }) => {
                        let exec = self.exec.clone();
                        let request = Request::SignalExec { exec, signal };
                        let sent = ask(&self.app, &self.session, &request, None).await;
                        sent.map(drop)
                    }
                    Err(error) => return End::Close(close::PROTOCOL_ERROR, error.to_string()),
                },
                Ok(_) => Ok(()),
                Err(end) => return end,
            };
            match said {
                Ok(()) => {}
                // Of a command that has ended its events tell more.
                Err(problem) if problem.code == "exec_ended" => {}
                Err(problem) if problem.status < 500 => {
                    return End::Close(close::PROTOCOL_ERROR, problem.detail);
                }
                Err(problem) => {
                    sleep(LAST_EVENTS).await;
                    return End::Close(close::AGENT_UNREACHABLE, problem.detail);
                }
            }
        }
    }

    /// The end has arrived when this returns, even if the client goes then.
    async fn finish(&mut self) -> Result<(), Problem> {
        self.feeder.end().await.map_err(problem)?;
        self.feeder.sync().await.map_err(problem)?;
        Ok(())
    }

    async fn give(&mut self, bytes: Bytes, heard: &Heard) -> Result<(), Problem> {
        if !self.feeder.is_open() {
            return Ok(());
        }
        let mut given = std::pin::pin!(self.feeder.send(bytes));
        loop {
            tokio::select! {
                given = &mut given => return given.map_err(problem),
                // It is the command that does not read, not the client that does not answer.
                () = sleep(PATIENCE) => heard.now(),
            }
        }
    }
}

/// Tells the client what happens, up to the end.
async fn downstream(events: impl Stream<Item = Item<ExecEvent>>, sink: &mut Sink) -> End {
    let mut events = std::pin::pin!(events);
    let mut pings = interval_at(Instant::now() + PING, PING);
    let mut end = End::Close(close::EXITED, "the command has ended".to_owned());
    loop {
        let message = tokio::select! {
            item = events.next() => match item {
                None => return end,
                Some(item) => {
                    if let ExecEvent::ProcessError { detail, .. } = &item.value {
                        end = End::Close(close::AGENT_UNREACHABLE, detail.clone());
                    }
                    let text = serde_json::to_string(&item.value);
                    Message::text(text.expect("events are plain data"))
                }
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        if let Err(Ended::Client(end)) = send(sink, message).await {
            return end;
        }
    }
}
