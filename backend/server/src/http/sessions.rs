//! `/api/v1/sessions`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{Body, InPath, Params};
use super::model::{Duration as DurationText, Session as Shown, Size};
use super::problem::Problem;
use crate::auth::Caller;
use crate::config::Limits;
use crate::id::SessionId;
use crate::policy::{Wish, resolve, resolve_time};
use crate::session::{Change, Command, Network, NewSession, Profile, Session, State as Life, View};

/// The longest that a create waits for the session.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// The longest that a stop may give the processes.
const MAX_GRACE: Duration = Duration::from_mins(1);

/// A session to create. Everything may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// The image to make the sandbox from.
    #[schema(example = "debian:stable-slim")]
    pub(super) image: Option<String>,
    /// A name for people.
    pub(super) name: Option<String>,
    /// Overrides the image's command. A shell runs in the terminals, anything else beside them.
    #[schema(min_items = 1)]
    pub(super) command: Option<Vec<String>>,
    /// Variables on top of the image's.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// The working directory, an absolute path.
    pub(super) cwd: Option<String>,
    /// The user: a name or number, with or without a group behind a colon.
    pub(super) user: Option<String>,
    /// How many CPUs' worth of time.
    #[schema(example = 1.5)]
    pub(super) cpus: Option<f64>,
    /// How much memory.
    pub(super) memory: Option<Size>,
    /// The most processes and threads.
    pub(super) pids: Option<u32>,
    /// What it can reach.
    pub(super) network: Option<Network>,
    /// How much it may do.
    pub(super) profile: Option<Profile>,
    /// Words to find it by.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// How long it lives before it is deleted.
    pub(super) ttl: Option<DurationText>,
    /// How long it may be without a viewer or exec before it is stopped.
    pub(super) idle_timeout: Option<DurationText>,
}

/// How a create answers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CreateParams {
    /// `running`: answer when the session runs, or cannot.
    wait: Option<Wait>,
}

/// What a create waits for.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The session runs, or its making has failed.
    Running,
}

/// Creates a session.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions",
    params(CreateParams, ("Idempotency-Key" = Option<String>, Header, description = "The same key and request give the same session for 24 hours")),
    request_body = CreateSession,
    responses(
        (status = 201, body = Shown, headers(("Location" = String), ("ETag" = String))),
        (status = 200, description = "The session that this Idempotency-Key made", body = Shown),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<CreateParams>,
    headers: HeaderMap,
    body: Body<CreateSession>,
) -> Result<Response, Problem> {
    let mut new = plan(body.value, caller, &app.limits)?;
    // A digest: the request may hold secrets, which are not stored.
    new.key = idempotency_key(&headers)?.map(|key| (key, digest(&body.text)));
    let (session, fresh) = app.registry.create(new).await?;
    answer(&app, &session, fresh, params.wait).await
}

/// What a caller asks for, as far as it is allowed.
pub(super) fn plan(
    wish: CreateSession,
    caller: Caller,
    limits: &Limits,
) -> Result<NewSession, Problem> {
    check_name(wish.name.as_deref())?;
    check_labels(&wish.labels)?;
    let ttl = resolve_time("ttl", wish.ttl.map(|it| it.0), limits.max_ttl)?;
    let idle = wish.idle_timeout.map(|it| it.0);
    let idle_timeout = resolve_time("idle_timeout", idle, limits.max_idle)?;
    let spec = resolve(
        Wish {
            image: wish.image,
            profile: wish.profile,
            network: wish.network,
            command: wish.command,
            env: wish.env,
            cwd: wish.cwd,
            user: wish.user,
            cpus: wish.cpus,
            memory: wish.memory.map(|size| size.0),
            pids: wish.pids,
        },
        limits,
    )?;
    Ok(NewSession {
        spec,
        name: wish.name,
        owner: caller.0,
        labels: wish.labels,
        ttl,
        idle_timeout,
        key: None,
    })
}

/// A session that was made for a request, or was there.
pub(super) async fn answer(
    app: &App,
    session: &Session,
    fresh: bool,
    wait: Option<Wait>,
) -> Result<Response, Problem> {
    if fresh {
        app.metrics.sessions_created.inc();
    }
    let mut view = session.view();
    if let Some(Wait::Running) = wait {
        view = wait_for(session).await?;
    }
    let status = if fresh {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = (status, shown(&view)).into_response();
    if fresh {
        let location = format!("/api/v1/sessions/{}", view.record.id);
        let location = HeaderValue::try_from(location).expect("an id is plain text");
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The session once it is no longer being created. One that has failed is an answer, not an error:
/// it says why.
async fn wait_for(session: &Session) -> Result<View, Problem> {
    let mut watch = session.watch();
    let settled = watch.wait_for(|view| view.deleted || view.record.state != Life::Creating);
    match timeout(MAX_WAIT, settled).await {
        Ok(Ok(view)) => Ok(view.clone()),
        Ok(Err(_)) => Ok(session.view()),
        Err(_) => Err(Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the session is still being created; ask for it again",
        )),
    }
}

/// Which sessions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Go on after a page: its `next_cursor`.
    cursor: Option<String>,
    /// Only those in this state.
    state: Option<Life>,
    /// Only the one with this name.
    name: Option<String>,
    /// Only those with this label: `key=value`.
    label: Option<String>,
}

/// A page of sessions, the newest first.
#[derive(Serialize, ToSchema)]
pub struct SessionList {
    data: Vec<Shown>,
    /// What to ask for the next page with; null on the last.
    next_cursor: Option<String>,
}

/// Lists sessions.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "sessions", params(ListParams),
    responses(
        (status = 200, body = SessionList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<SessionList>, Problem> {
    let limit = params.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        let detail = format!("limit: {limit} is not allowed; it can be 1 to 200");
        return Err(Problem::invalid(detail).with_field("limit"));
    }
    let label = match params.label.as_deref().map(|label| label.split_once('=')) {
        None => None,
        Some(Some(label)) => Some(label),
        Some(None) => {
            return Err(Problem::invalid("label: write it as key=value").with_field("label"));
        }
    };
    let place = |view: &View| {
        let at = view.record.created_at.as_nanosecond();
        // As many digits each time, so that text sorts as the numbers do.
        format!("{at:030} {}", view.record.id)
    };
    let after = match &params.cursor {
        None => None,
        Some(cursor) => {
            let decoded = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
            let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let Some(text) = text.filter(|text| is_place(text)) else {
                let detail = "cursor: it is not the next_cursor of a page";
                return Err(Problem::invalid(detail).with_field("cursor"));
            };
            Some(text)
        }
    };
    let mut views = app.registry.list();
    views.retain(|view| {
        let record = &view.record;
        after.as_ref().is_none_or(|after| place(view) < *after)
            && params.state.is_none_or(|state| record.state == state)
            && (params.name.is_none() || record.name == params.name)
            && label.is_none_or(|(key, value)| record.labels.get(key).is_some_and(|it| it == value))
    });
    let more = views.len() > limit;
    views.truncate(limit);
    let next_cursor = match views.last() {
        Some(last) if more => Some(BASE64URL_NOPAD.encode(place(last).as_bytes())),
        _ => None,
    };
    Ok(Json(SessionList {
        data: views.iter().map(Shown::from).collect(),
        next_cursor,
    }))
}

/// Whether a cursor was made here: a time and an id.
fn is_place(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(at, id)| {
        at.len() == 30 && at.parse::<i128>().is_ok() && id.parse::<SessionId>().is_ok()
    })
}

/// Returns a session.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 200, body = Shown, headers(("ETag" = String))),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get(InPath(session): InPath) -> Response {
    shown(&session.view()).into_response()
}

/// What to change; what is absent stays as it is, and null removes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSession {
    /// The name.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// The labels, all of them.
    labels: Option<BTreeMap<String, String>>,
    /// How long it lives from now on.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<DurationText>)]
    ttl: Option<Option<DurationText>>,
    /// How long it may be idle.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<DurationText>)]
    idle_timeout: Option<Option<DurationText>>,
}

fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Changes a session's name, labels and deadlines.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(
        ("id" = String, Path, description = "The session"),
        ("If-Match" = Option<String>, Header, description = "The ETag that the session must have"),
    ),
    request_body = ChangeSession,
    responses(
        (status = 200, body = Shown, headers(("ETag" = String))),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn change(
    State(app): State<App>,
    InPath(session): InPath,
    headers: HeaderMap,
    body: Body<ChangeSession>,
) -> Result<Response, Problem> {
    let wish = body.value;
    check_name(wish.name.as_ref().and_then(|name| name.as_deref()))?;
    check_labels(wish.labels.as_ref().unwrap_or(&BTreeMap::new()))?;
    let time = |field, wish: Option<Option<DurationText>>, longest| match wish {
        None => Ok(None),
        Some(wish) => resolve_time(field, wish.map(|it| it.0), longest).map(Some),
    };
    let change = Change {
        ttl: time("ttl", wish.ttl, app.limits.max_ttl)?,
        idle_timeout: time("idle_timeout", wish.idle_timeout, app.limits.max_idle)?,
        name: wish.name,
        labels: wish.labels,
    };
    let version = if_match(&headers)?;
    session.ask(Command::Change(change, version)).await?;
    Ok(shown(&session.view()).into_response())
}

/// Ends everything in a session and forgets it.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 204, description = "It and its sandbox are gone"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(InPath(session): InPath) -> Result<StatusCode, Problem> {
    session.ask(Command::Delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How to stop.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopSession {
    /// How long processes may take to end before they are killed, at most 60 s.
    grace: Option<DurationText>,
}

/// Ends a session's processes. Its files stay, and it can be started again.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/stop", tag = "sessions",
    params(("id" = String, Path, description = "The session")),
    request_body = StopSession,
    responses(
        (status = 202, description = "It is stopping, or has stopped", body = Shown),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn stop(InPath(session): InPath, body: Body<StopSession>) -> Result<Response, Problem> {
    let grace = resolve_time("grace", body.value.grace.map(|it| it.0), Some(MAX_GRACE));
    let asked = body.value.grace.is_some();
    let grace = grace?.filter(|_| asked);
    session.ask(Command::Stop(grace)).await?;
    Ok((StatusCode::ACCEPTED, shown(&session.view())).into_response())
}

/// Starts a stopped session again.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/start", tag = "sessions",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 202, description = "It is starting, or runs", body = Shown),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn start(InPath(session): InPath) -> Result<Response, Problem> {
    session.ask(Command::Start).await?;
    Ok((StatusCode::ACCEPTED, shown(&session.view())).into_response())
}

fn shown(view: &View) -> impl IntoResponse {
    let etag = format!("\"{}\"", view.record.version);
    ([(header::ETAG, etag)], Json(Shown::from(view)))
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.trim_matches('"').parse();
    version.map(Some).map_err(|_| {
        Problem::invalid("If-Match: send the ETag of the session as it was given, such as \"3\"")
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=200).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::invalid(
            "Idempotency-Key: it has 1 to 200 printable characters",
        )),
    }
}

fn digest(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}

fn check_name(name: Option<&str>) -> Result<(), Problem> {
    match name {
        Some(name)
            if name.is_empty()
                || name.chars().count() > 100
                || name.chars().any(char::is_control) =>
        {
            let detail = "name: it has 1 to 100 characters, and no control characters";
            Err(Problem::invalid(detail).with_field("name"))
        }
        _ => Ok(()),
    }
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    let fits = |(key, value): (&String, &String)| {
        !key.is_empty() && !key.contains('=') && key.len() <= 100 && value.len() <= 1000
    };
    if labels.len() > 50 || !labels.iter().all(fits) {
        let detail = "labels: at most 50, with keys of 1 to 100 bytes without =, and values of at \
                      most 1000 bytes";
        return Err(Problem::invalid(detail).with_field("labels"));
    }
    Ok(())
}
