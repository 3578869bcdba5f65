//! `/api/v1/sessions/{id}/stats`: what a sandbox uses.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shellport_wire::process::{self as wire, Answer, Request};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::execs::milliseconds;
use super::extract::{InPath, Params};
use super::files::model::problem;
use super::model::Duration as DurationText;
use super::problem::Problem;
use super::processes::{ask, parse};
use super::stream::{Form, Item};
use super::tool::nonsense;

/// How often a stream tells, unless the caller says.
const INTERVAL: Duration = Duration::from_secs(2);

/// The most often.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// What a sandbox uses.
#[derive(Serialize, ToSchema)]
pub struct Stats {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Milliseconds of CPU time that it has used.
    cpu_ms: u64,
    /// Bytes of memory in use.
    memory: u64,
    /// The most bytes of memory; null where there is no limit.
    memory_limit: Option<u64>,
    /// Processes and threads.
    pids: u64,
    /// The most of them; null where there is no limit.
    pids_limit: Option<u64>,
    /// Bytes used on the file system that its root is on.
    disk_used: u64,
    /// Bytes of that file system.
    disk_total: u64,
    /// Bytes read from disks; null where the kernel does not count them.
    disk_read: Option<u64>,
    /// Bytes written to disks.
    disk_written: Option<u64>,
    /// Bytes received over the network; null where it has none of its own.
    network_received: Option<u64>,
    /// Bytes sent.
    network_sent: Option<u64>,
}

/// How often.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatsParams {
    /// How often a stream tells: `100ms` at least, `2s` when absent.
    #[param(value_type = Option<String>)]
    interval: Option<DurationText>,
}

/// Tells what a session uses: once, or with `application/x-ndjson` or `text/event-stream` again and again.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/stats", tag = "processes",
    params(("id" = String, Path, description = "The session"), StatsParams),
    responses(
        (status = 200, content(
            (Stats = "application/json"),
            (Stats = "application/x-ndjson"),
            (Stats = "text/event-stream"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn stats(
    State(app): State<App>,
    InPath(session): InPath,
    Params(params): Params<StatsParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::of(&headers)?;
    let interval = params.interval.map_or(INTERVAL, |it| it.0);
    if interval < LEAST_INTERVAL {
        let detail = format!("interval: it is {interval:?}; the least is {LEAST_INTERVAL:?}");
        return Err(Problem::invalid(detail).with_field("interval"));
    }
    let follow = form != Form::Json;
    let request = Request::Stats {
        every_ms: follow.then(|| milliseconds(interval)),
    };
    let limit = follow.then_some(app.limits.max_exec);
    let mut tool = ask(&app, &session, &request, limit).await?;
    let first = told(parse(&tool.first().await?)?)?;
    if !follow {
        return Ok(Json(first).into_response());
    }
    let in_use = session.activity().begin();
    let items = stream::unfold((tool, Some(first)), async |(mut tool, first)| {
        let stats = match first {
            Some(first) => first,
            None => told(parse(&tool.line().await.ok()??).ok()?).ok()?,
        };
        Some((stats, (tool, None)))
    });
    let items = items.map(move |value| {
        let _ = &in_use;
        Item { value, id: None }
    });
    Ok(form.respond(items))
}

fn told(answer: Answer) -> Result<Stats, Problem> {
    match answer {
        Answer::Stats(stats) => Ok(stats.into()),
        Answer::Failed(failure) => Err(problem(failure)),
        _ => Err(nonsense("not what a sandbox uses")),
    }
}

impl From<wire::Stats> for Stats {
    fn from(stats: wire::Stats) -> Self {
        Self {
            at: Timestamp::now(),
            cpu_ms: stats.cpu_ms,
            memory: stats.memory,
            memory_limit: stats.memory_limit,
            pids: stats.pids,
            pids_limit: stats.pids_limit,
            disk_used: stats.disk_used,
            disk_total: stats.disk_total,
            disk_read: stats.read,
            disk_written: stats.written,
            network_received: stats.received,
            network_sent: stats.sent,
        }
    }
}
