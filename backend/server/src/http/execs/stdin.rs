//! Giving an exec input.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use utoipa::{IntoParams, ToSchema};

use super::exec_problem as problem;
use super::run::{CONNECTIONS, RETRY};
use crate::agent::{AgentError, Feeder, Started};
use crate::http::App;
use crate::http::extract::{InPath, Names, Params};
use crate::http::problem::Problem;
use crate::http::terminals::running;
use crate::session::Session;

/// The most of a body that is read only to be dropped.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;

/// And how long.
const DISCARDING: Duration = Duration::from_secs(5);

/// Where input begins, and whether it ends.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StdinParams {
    /// The offset of its first byte, so that a request which is made again gives nothing twice. Behind what has
    /// come when absent.
    offset: Option<u64>,
    /// `true`: nothing comes after it, and the command sees the end of its input.
    end: Option<bool>,
}

/// How far a command's input has come.
#[derive(Serialize, ToSchema)]
pub struct Stdin {
    /// How much has come: the offset of what comes next.
    stdin: u64,
    /// Whether more may come.
    stdin_open: bool,
}

/// Gives an exec input: the body, however long, as fast as the command reads it.
///
/// The answer comes when all of it has arrived at the sandbox. When a request broke, the exec tells in `stdin`
/// how much had arrived.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/execs/{exec}/stdin", tag = "execs",
    params(("id" = String, Path, description = "The session"), ("exec" = String, Path, description = "The exec"), StdinParams),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Stdin),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn give(
    State(app): State<App>,
    InPath(session): InPath,
    Names { exec, .. }: Names,
    Params(params): Params<StdinParams>,
    body: Body,
) -> Result<Json<Stdin>, Problem> {
    let _in_use = session.activity().begin();
    let (mut feeder, started) = connect(&app, &session, &exec).await?;
    let offset = params.offset.unwrap_or(started.stdin);
    let known = started.stdin.checked_sub(offset).ok_or_else(|| {
        let detail = format!("offset: it is {offset}, and the next is {}", started.stdin);
        Problem::new(StatusCode::CONFLICT, "wrong_offset", detail).with_field("offset")
    })?;
    let mut known = usize::try_from(known).unwrap_or(usize::MAX);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|error| {
            Problem::invalid(format!("the body: it did not come whole: {error}"))
        })?;
        // What had come before is passed over, even when nothing more is taken.
        let passed = known.min(part.len());
        known -= passed;
        let rest = part.split_off(passed);
        if rest.is_empty() {
            continue;
        }
        if !started.open {
            discard(parts).await;
            return Err(closed(&exec));
        }
        // A command that closes its input meanwhile has what it wants; the agent drops the rest.
        feeder.send(rest).await.map_err(problem)?;
    }
    if params.end == Some(true) {
        feeder.end().await.map_err(problem)?;
    }
    let started = feeder.sync().await.map_err(problem)?;
    Ok(Json(Stdin {
        stdin: started.stdin,
        stdin_open: started.open,
    }))
}

/// Reads the rest of a body, within bounds: closed with something unread, the kernel would reset the connection,
/// and the client might not see the answer.
pub(in crate::http) async fn discard(mut parts: BodyDataStream) {
    let discarding = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(part)) = parts.next().await {
            left = left.saturating_sub(part.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(DISCARDING, discarding).await;
}

/// Gives an exec all of its input, whoever waits for it.
pub(super) fn give_in_background(app: &App, session: &Session, exec: &str, all: Bytes) {
    let (app, session, exec) = (app.clone(), session.clone(), exec.to_owned());
    let tasks = app.connections.clone();
    tasks.spawn(async move {
        let given = async {
            let mut given = give_rest(&app, &session, &exec, &all).await;
            for _ in 1..CONNECTIONS {
                // A connection that broke, or an agent that cannot be reached just now.
                if !matches!(&given, Err(problem) if problem.status >= 500) {
                    break;
                }
                sleep(RETRY).await;
                given = give_rest(&app, &session, &exec, &all).await;
            }
            given
        };
        tokio::select! {
            given = given => if let Err(problem) = given {
                tracing::warn!(exec, problem = problem.detail, "an exec did not get all of its input");
            },
            () = app.cut.cancelled() => {}
        }
    });
}

/// Gives an exec what it has not got yet of its input, on one connection.
async fn give_rest(app: &App, session: &Session, exec: &str, all: &Bytes) -> Result<(), Problem> {
    let (mut feeder, started) = connect(app, session, exec).await?;
    let known = usize::try_from(started.stdin).unwrap_or(usize::MAX);
    let rest = all.slice(known.min(all.len())..);
    feeder.send(rest).await.map_err(problem)?;
    feeder.end().await.map_err(problem)?;
    // It has arrived when the agent says so: some engines drop what is under way on a connection that closes.
    feeder.sync().await.map_err(problem)?;
    Ok(())
}

/// A connection that gives it input.
pub(in crate::http) async fn connect(
    app: &App,
    session: &Session,
    exec: &str,
) -> Result<(Feeder, Started), Problem> {
    let id = running(session)?;
    let stream = app.registry.runtime().connect(&id).await?;
    let connected: Result<_, AgentError> = Feeder::connect(stream, exec).await;
    connected.map_err(problem)
}

fn closed(exec: &str) -> Problem {
    let detail = format!("the input of exec {exec:?} has ended, or it reads no more");
    Problem::new(StatusCode::CONFLICT, "stdin_closed", detail)
}
