//! What an exec has written: again, from any offset, and as it goes on.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shellport_wire::agent::{self as wire, EXEC_JOURNAL};
use tokio::time::{Instant, timeout_at};
use utoipa::{IntoParams, ToSchema};

use super::event::{ExecEvent, Places, Teller, events};
use super::run::{Run, Told};
use crate::agent::{Event, Started};
use crate::http::App;
use crate::http::extract::{InPath, Names, Params};
use crate::http::problem::Problem;
use crate::http::stream::Form;
use crate::units::parse_duration;

/// Bytes of output after which a page ends, unless the caller says. Whoever asks for the next one has this one; until
/// then the sandbox keeps it.
const PAGE: u64 = EXEC_JOURNAL;

/// The most of them.
const MAX_PAGE: u64 = 4 * 1024 * 1024;

/// The longest that a page may wait for something to be on it.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// From where to read, and how much.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OutputParams {
    /// The offset in standard output; 0 when absent.
    stdout: Option<u64>,
    /// The offset in standard error; 0 when absent.
    stderr: Option<u64>,
    /// Of JSON: after how many bytes of output the page ends, 1 to 4194304; 262144 when absent.
    #[param(minimum = 1, maximum = 4_194_304)]
    limit: Option<u64>,
    /// Of JSON: how long to wait when there is nothing yet, such as `30s`; at most `1m`, not at all when absent.
    wait: Option<String>,
}

/// A part of what a command has written.
#[derive(Serialize, ToSchema)]
pub struct OutputPage {
    /// What has happened, in order. When the command has ended and everything is told, the last is
    /// `process_end`.
    data: Vec<ExecEvent>,
    /// Where the next page begins: its `stdout` and `stderr`.
    next: Places,
    /// Whether the command has ended and there is no next page.
    ended: bool,
}

/// Reads what an exec has written, from any offset that is kept.
///
/// With `Accept: application/x-ndjson` or `text/event-stream` the events come as they happen, up to the end; a
/// browser's `EventSource` goes on where it was. With `application/json` the answer is one page of what is
/// there. A command that waits for whoever reads it goes on as pages are read, and a page of at most 262144 bytes that
/// did not arrive is still there.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/execs/{exec}/output", tag = "execs",
    params(("id" = String, Path, description = "The session"), ("exec" = String, Path, description = "The exec"), OutputParams),
    responses(
        (status = 200, content(
            (OutputPage = "application/json"),
            (ExecEvent = "application/x-ndjson"),
            (ExecEvent = "text/event-stream"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn read(
    State(app): State<App>,
    InPath(session): InPath,
    Names { exec, .. }: Names,
    Params(params): Params<OutputParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::of(&headers)?;
    let limit = params.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit: it is {limit}; allowed are 1 to {MAX_PAGE}");
        return Err(Problem::invalid(detail).with_field("limit"));
    }
    let wait = wait(params.wait.as_deref())?;
    let last = last_event(&headers)?;
    let since = last.unwrap_or_else(|| wire::Places {
        stdout: params.stdout.unwrap_or_default(),
        stderr: params.stderr.unwrap_or_default(),
    });
    let mut run = Run::follow(&app, &session, exec.clone(), since);
    if form == Form::Json && limit <= PAGE {
        run = run.repeatable();
    }
    let (started, told) = run.begin().await?;
    let teller = Teller::new(exec, since);
    if form == Form::Json {
        return Ok(Json(page(teller, &started, told, limit, wait).await?).into_response());
    }
    Ok(form.respond(events(teller, &started, told)))
}

/// Reads a page: what is there, up to so much output or to the end; or, when nothing is, what comes first.
async fn page(
    mut teller: Teller,
    started: &Started,
    mut told: Told,
    limit: u64,
    wait: Duration,
) -> Result<OutputPage, Problem> {
    let until = Instant::now() + wait;
    let mut data = Vec::new();
    let (mut come, mut seen) = (0, teller.places());
    let mut ended = false;
    while !ended && come < limit {
        let Places { stdout, stderr } = seen;
        let behind = stdout < started.ends.stdout || stderr < started.ends.stderr || started.ended;
        let next = if behind {
            told.recv().await
        } else if data.is_empty() {
            timeout_at(until, told.recv()).await.unwrap_or_default()
        } else {
            None
        };
        let Some(next) = next else { break };
        let event = next?;
        match &event {
            Event::Output {
                stream,
                offset,
                bytes,
            } => {
                come += bytes.len() as u64;
                *seen.of(*stream) = offset + bytes.len() as u64;
            }
            Event::Gap { stream, to, .. } => *seen.of(*stream) = *to,
            Event::Ended(_) => ended = true,
            Event::Alive | Event::Started(_) => continue,
        }
        data.extend(teller.tell(Ok(event)));
    }
    Ok(OutputPage {
        data,
        next: teller.places(),
        ended,
    })
}

/// How long a page may wait, as a caller says.
pub fn wait(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    let refuse = |what: String| Problem::invalid(format!("wait: {what}")).with_field("wait");
    let wait = parse_duration(text).map_err(|error| refuse(error.to_string()))?;
    if wait > MAX_WAIT {
        return Err(refuse(format!(
            "{text} is longer than the 1m that are allowed"
        )));
    }
    Ok(wait)
}

/// The places after the last event that a client has seen, when it comes back.
fn last_event(headers: &HeaderMap) -> Result<Option<wire::Places>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let places = value.to_str().ok().and_then(|id| {
        let (stdout, stderr) = id.split_once('-')?;
        Some(wire::Places {
            stdout: stdout.parse().ok()?,
            stderr: stderr.parse().ok()?,
        })
    });
    let detail = "Last-Event-ID: it is not an id of these events, such as 120-0";
    places.map(Some).ok_or_else(|| Problem::invalid(detail))
}
