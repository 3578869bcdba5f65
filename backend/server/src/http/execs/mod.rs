//! `/api/v1/sessions/{id}/execs`: commands without a terminal.

pub mod attach;
mod event;
pub mod one;
mod outcome;
pub mod output;
mod run;
pub mod stdin;
mod wish;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shellport_wire::agent::{self as wire, RefusalCode, Request};
use utoipa::{IntoParams, ToSchema};

use self::event::events;
pub(super) use self::event::{ExecEvent, Places, Teller};
use self::one::{Exec, look_at};
pub(super) use self::outcome::{ExecOutcome, collect};
pub(super) use self::output::wait;
pub(super) use self::run::{LINGER, Run, Told};
pub(super) use self::stdin::{connect as connect_input, discard};
pub(super) use self::wish::{RunExec, Wish, milliseconds};
use super::App;
use super::extract::{Body, InPath, Names, Params};
use super::problem::Problem;
use super::stream::Form;
use super::terminals::ask;
use crate::agent::AgentError;
use crate::id::random_tag;
use crate::session::Session;

/// Execs, the oldest first.
#[derive(Serialize, ToSchema)]
pub struct ExecList {
    data: Vec<Exec>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<u64>,
}

/// Lists a session's execs: those that run, and those that ended last.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/execs", tag = "execs",
    params(("id" = String, Path, description = "The session"), ListParams),
    responses(
        (status = 200, body = ExecList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    InPath(session): InPath,
    Params(params): Params<ListParams>,
) -> Result<Json<ExecList>, Problem> {
    let after = params.cursor.unwrap_or_default();
    let answer = ask(&app, &session, &Request::Execs { after }, None).await?;
    let wire::Response::Execs { execs, more } = answer else {
        return Err(nonsense());
    };
    let last = execs.last().filter(|_| more);
    Ok(Json(ExecList {
        next_cursor: last.map(|exec| exec.number.to_string()),
        data: execs.into_iter().map(Exec::from).collect(),
    }))
}

/// Runs a command.
///
/// With `Accept: application/json` the answer is its outcome, when it has ended; with `application/x-ndjson`
/// or `text/event-stream` it is events as they come. When the client goes first, the command is ended, unless
/// it may `linger`. One that runs in the `background` is answered with as soon as it has started.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/execs", tag = "execs",
    params(("id" = String, Path, description = "The session")),
    request_body = RunExec,
    responses(
        (status = 200, description = "It ran and has ended, however; or it is told as it goes on", content(
            (ExecOutcome = "application/json"),
            (ExecEvent = "application/x-ndjson"),
            (ExecEvent = "text/event-stream"),
        )),
        (status = 201, description = "It runs in the background", body = Exec),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn run(
    State(app): State<App>,
    InPath(session): InPath,
    headers: HeaderMap,
    body: Body<RunExec>,
) -> Result<Response, Problem> {
    let form = Form::of(&headers)?;
    let wish = Wish::new(body, random_tag(), wire::Places::default(), &app.limits)?;
    answer(&app, &session, form, wish).await
}

/// From where an exec is told that is there already.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PutParams {
    /// The offset in standard output.
    stdout: Option<u64>,
    /// The offset in standard error.
    stderr: Option<u64>,
}

impl PutParams {
    fn places(&self) -> wire::Places {
        wire::Places {
            stdout: self.stdout.unwrap_or_default(),
            stderr: self.stderr.unwrap_or_default(),
        }
    }
}

/// Runs a command under a name of the caller's, once.
///
/// The same request, made again, starts nothing: it is answered from the same command, whether that runs or has
/// ended. Another request for a name that is taken is refused. The answers are those of a POST to the
/// collection.
#[utoipa::path(
    put, path = "/api/v1/sessions/{id}/execs/{exec}", tag = "execs",
    params(
        ("id" = String, Path, description = "The session"),
        ("exec" = String, Path, description = "The exec's name: letters, digits, dots, hyphens and underscores, at most 64"),
        PutParams,
    ),
    request_body = RunExec,
    responses(
        (status = 200, description = "It ran and has ended, however; or it is told as it goes on", content(
            (ExecOutcome = "application/json"),
            (ExecEvent = "application/x-ndjson"),
            (ExecEvent = "text/event-stream"),
        )),
        (status = 201, description = "It runs in the background", body = Exec),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn put(
    State(app): State<App>,
    InPath(session): InPath,
    Names { exec, .. }: Names,
    Params(params): Params<PutParams>,
    headers: HeaderMap,
    body: Body<RunExec>,
) -> Result<Response, Problem> {
    let form = Form::of(&headers)?;
    let wish = Wish::new(body, exec, params.places(), &app.limits)?;
    answer(&app, &session, form, wish).await
}

async fn answer(app: &App, session: &Session, form: Form, wish: Wish) -> Result<Response, Problem> {
    let Wish {
        exec,
        stdin,
        background,
        stop,
    } = wish;
    let (name, since) = (exec.exec.clone(), exec.since);
    app.metrics.execs.inc();
    let run = Run::start(app, session, exec);
    let mut response = if background {
        drop(run.begin().await?);
        if let Some(stdin) = stdin {
            stdin::give_in_background(app, session, &name, stdin);
        }
        let exec = look_at(app, session, &name).await?;
        (StatusCode::CREATED, Json(exec)).into_response()
    } else {
        let (started, told) = run.with_stdin(stdin).with_stop(stop).begin().await?;
        if form == Form::Json {
            Json(collect(name.clone(), told).await?).into_response()
        } else {
            form.respond(events(Teller::new(name.clone(), since), &started, told))
        }
    };
    let id = session.view().record.id;
    let location = format!("/api/v1/sessions/{id}/execs/{name}");
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What is wrong with an exec.
fn exec_problem(error: AgentError) -> Problem {
    let code = match &error {
        AgentError::Refused(refusal) => refusal.code,
        _ => return error.into(),
    };
    let mut problem = Problem::from(error);
    match code {
        RefusalCode::NotFound => problem.code = "exec_not_found",
        RefusalCode::Exists => problem.code = "exec_exists",
        _ => {}
    }
    problem
}

fn nonsense() -> Problem {
    AgentError::Nonsense("the answer to something else".to_owned()).into()
}
