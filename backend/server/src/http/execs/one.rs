//! One exec: looking at it, signalling it, and ending it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shellport_wire::agent::{self as wire, ExecStatus, Request};
use utoipa::ToSchema;

use super::event::Places;
use super::wish::{MAX_GRACE, milliseconds};
use super::{exec_problem as problem, nonsense};
use crate::agent;
use crate::http::App;
use crate::http::extract::{Body, InPath, Names};
use crate::http::model::{Duration as DurationText, Exit};
use crate::http::problem::Problem;
use crate::http::terminals::running;
use crate::policy::resolve_time;
use crate::session::Session;

/// How much longer than its grace ending a command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command, running or ended.
#[derive(Serialize, ToSchema)]
pub struct Exec {
    /// Its name.
    id: String,
    /// What runs.
    argv: Vec<String>,
    /// Whether it runs.
    state: ExecState,
    /// Its process in the sandbox, while it runs.
    pid: Option<i32>,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Milliseconds from its start until its end, or until now.
    duration_ms: u64,
    /// The offsets of the oldest output that is kept.
    starts: Places,
    /// The offsets after the last output.
    ends: Places,
    /// How much input it has got: the offset of what comes next.
    stdin: u64,
    /// Whether it takes more input.
    stdin_open: bool,
    /// How it ended, when it has.
    exit: Option<Exit>,
}

/// Whether an exec's program runs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecState {
    /// It does.
    Running,
    /// It has ended; what it wrote can still be read.
    Exited,
}

impl From<ExecStatus> for Exec {
    fn from(status: ExecStatus) -> Self {
        let started = i64::try_from(status.started_ms).map(Timestamp::from_millisecond);
        Self {
            id: status.exec,
            argv: status.argv,
            state: match status.exit {
                None => ExecState::Running,
                Some(_) => ExecState::Exited,
            },
            pid: status.pid,
            started_at: started.ok().and_then(Result::ok).unwrap_or_default(),
            duration_ms: status.duration_ms,
            starts: status.starts.into(),
            ends: status.ends.into(),
            stdin: status.stdin,
            stdin_open: status.open,
            exit: status.exit.map(Into::into),
        }
    }
}

/// Returns an exec.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/execs/{exec}", tag = "execs",
    params(("id" = String, Path, description = "The session"), ("exec" = String, Path, description = "The exec")),
    responses(
        (status = 200, body = Exec),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get(
    State(app): State<App>,
    InPath(session): InPath,
    Names { exec, .. }: Names,
) -> Result<Json<Exec>, Problem> {
    Ok(Json(look_at(&app, &session, &exec).await?))
}

/// A signal to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Its name.
    #[schema(example = "SIGINT")]
    signal: String,
}

/// Signals the process group of an exec's program.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/execs/{exec}/signal", tag = "execs",
    params(("id" = String, Path, description = "The session"), ("exec" = String, Path, description = "The exec")),
    request_body = Signal,
    responses(
        (status = 204, description = "It was sent"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn signal(
    State(app): State<App>,
    InPath(session): InPath,
    Names { exec, .. }: Names,
    body: Body<Signal>,
) -> Result<StatusCode, Problem> {
    let signal = body.value.signal;
    let request = Request::SignalExec { exec, signal };
    done(&app, &session, &request, Duration::ZERO).await
}

/// How an exec is to be ended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopExec {
    /// How long its processes may take to end, before they are killed; `2s` when absent.
    grace: Option<DurationText>,
}

/// Ends an exec: its program, and everything that it has started, even what has made itself independent of it.
/// The answer comes when they have gone, and has the exec's end.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/execs/{exec}/stop", tag = "execs",
    params(("id" = String, Path, description = "The session"), ("exec" = String, Path, description = "The exec")),
    request_body = StopExec,
    responses(
        (status = 200, body = Exec),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn stop(
    State(app): State<App>,
    InPath(session): InPath,
    Names { exec, .. }: Names,
    body: Body<StopExec>,
) -> Result<Json<Exec>, Problem> {
    let grace = body.value.grace.map(|grace| grace.0);
    resolve_time("grace", grace, Some(MAX_GRACE))?;
    end(&app, &session, &exec, grace, false).await?;
    Ok(Json(look_at(&app, &session, &exec).await?))
}

/// Ends an exec and forgets it, with all that it wrote.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}/execs/{exec}", tag = "execs",
    params(("id" = String, Path, description = "The session"), ("exec" = String, Path, description = "The exec")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(
    State(app): State<App>,
    InPath(session): InPath,
    Names { exec, .. }: Names,
) -> Result<StatusCode, Problem> {
    end(&app, &session, &exec, None, true).await
}

async fn end(
    app: &App,
    session: &Session,
    exec: &str,
    grace: Option<Duration>,
    forget: bool,
) -> Result<StatusCode, Problem> {
    let grace = grace.unwrap_or(wire::GRACE);
    let request = Request::StopExec {
        exec: exec.to_owned(),
        grace_ms: milliseconds(grace),
        forget,
    };
    done(app, session, &request, grace).await
}

/// How an exec is now.
pub(super) async fn look_at(app: &App, session: &Session, exec: &str) -> Result<Exec, Problem> {
    let exec = exec.to_owned();
    let request = Request::LookAtExec { exec };
    match ask(app, session, &request, Duration::ZERO).await? {
        wire::Response::Execs { mut execs, .. } if execs.len() == 1 => Ok(execs.remove(0).into()),
        _ => Err(nonsense()),
    }
}

async fn done(
    app: &App,
    session: &Session,
    request: &Request,
    takes: Duration,
) -> Result<StatusCode, Problem> {
    match ask(app, session, request, takes).await? {
        wire::Response::Done => Ok(StatusCode::NO_CONTENT),
        _ => Err(nonsense()),
    }
}

async fn ask(
    app: &App,
    session: &Session,
    request: &Request,
    takes: Duration,
) -> Result<wire::Response, Problem> {
    let id = running(session)?;
    let stream = app.registry.runtime().connect(&id).await?;
    let limit = takes.saturating_add(PATIENCE);
    let answer = agent::ask(stream, request, Some(limit)).await;
    answer.map_err(problem)
}
