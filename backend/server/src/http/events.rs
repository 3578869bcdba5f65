//! `/api/v1/events` and `/api/v1/sessions/{id}/events`: what happens to sessions and in them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shellport_wire::agent::Happened;
use tokio::time::{Instant, sleep_until, timeout_at};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::execs::{Places, wait};
use super::extract::{InPath, Params};
use super::model::Exit;
use super::problem::Problem;
use super::stream::{Form, Item};
use crate::events::{self, Log, What};
use crate::id::SessionId;
use crate::session::{Session, State as Life};

/// How often a stream that has nothing to tell says so.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How many events are taken out of the log at once.
const BATCH: usize = 64;

/// Events in an answer, unless the caller says.
const PAGE: usize = 100;

/// The most of them.
const MAX_PAGE: usize = 1000;

/// The types that may be asked for.
const TYPES: [&str; 11] = [
    "session_created",
    "session_state",
    "session_progress",
    "session_deleted",
    "main_ended",
    "exec_started",
    "exec_ended",
    "terminal_opened",
    "terminal_ended",
    "terminal_closed",
    "dropped",
];

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// Those behind this one, from `id` or `next`. Without, a stream begins now, and a page with the oldest that is kept.
    since: Option<String>,
    /// Of these types only, with commas between them.
    types: Option<String>,
    /// Of JSON: at most so many, 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Of JSON: how long to wait when there is nothing yet, such as `30s`; at most `1m`, not at all when absent.
    wait: Option<String>,
}

/// Something that has happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionEvent {
    /// Its id; `since` for what comes after it. Null for what is told in passing.
    id: Option<String>,
    /// When it happened.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// To which session.
    #[schema(value_type = Option<String>)]
    session: Option<SessionId>,
    /// What it was.
    #[serde(flatten)]
    what: SessionEventKind,
}

/// What has happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SessionEventKind {
    /// A session was asked for.
    SessionCreated,
    /// It has come to this state.
    SessionState {
        /// Which.
        state: Life,
        /// A stable word for why.
        reason: String,
        /// A sentence for people.
        message: Option<String>,
    },
    /// Its making goes on; with the step `pulling_image`, bytes of the image.
    SessionProgress {
        /// A stable word.
        step: &'static str,
        /// Bytes done.
        current: u64,
        /// Bytes to do, as far as known.
        total: Option<u64>,
    },
    /// It is gone, and nothing comes after.
    SessionDeleted,
    /// The image's own command has ended.
    MainEnded {
        /// How.
        exit: Exit,
    },
    /// An exec has been started.
    ExecStarted {
        /// Its name.
        exec: String,
        /// What runs, the beginning of it.
        argv: Vec<String>,
    },
    /// An exec has ended.
    ExecEnded {
        /// Its name.
        exec: String,
        /// How.
        exit: Exit,
        /// What it has written.
        ends: Places,
    },
    /// A terminal has been opened, or its program started again.
    TerminalOpened {
        /// Its name.
        terminal: String,
        /// What runs in it, the beginning of it.
        argv: Vec<String>,
    },
    /// A terminal's program has ended.
    TerminalEnded {
        /// Its name.
        terminal: String,
        /// How.
        exit: Exit,
    },
    /// A terminal has been closed.
    TerminalClosed {
        /// Its name.
        terminal: String,
    },
    /// More has happened in the session than was told.
    Dropped {
        /// How many events.
        count: u64,
    },
    /// Events are no longer kept that came after the one that was named.
    Gap {
        /// How many; null when they are those of a server before this one.
        missed: Option<u64>,
    },
    /// Nothing happens.
    Heartbeat,
}

/// What has happened, the oldest first.
#[derive(Serialize, ToSchema)]
pub struct EventPage {
    data: Vec<SessionEvent>,
    /// `since` for what comes after.
    next: String,
}

/// Tells what happens to all sessions and in them: a page, or a stream of what happens from now on.
///
/// What happened while the server was not there is not told; `GET /sessions` has what became of them.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(EventParams, ("Last-Event-ID" = Option<String>, Header, description = "As `since`, from a browser that comes back")),
    responses(
        (status = 200, content(
            (EventPage = "application/json"),
            (SessionEvent = "application/x-ndjson"),
            (SessionEvent = "text/event-stream"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn all(
    State(app): State<App>,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    tell(&app, None, params, &headers).await
}

/// Tells what happens to one session and in it, as `/events` does. A stream ends with the session.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/events", tag = "events",
    params(
        ("id" = String, Path, description = "The session"), EventParams,
        ("Last-Event-ID" = Option<String>, Header, description = "As `since`, from a browser that comes back"),
    ),
    responses(
        (status = 200, content(
            (EventPage = "application/json"),
            (SessionEvent = "application/x-ndjson"),
            (SessionEvent = "text/event-stream"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn of_session(
    State(app): State<App>,
    InPath(session): InPath,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    tell(&app, Some(session), params, &headers).await
}

async fn tell(
    app: &App,
    session: Option<Session>,
    params: EventParams,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::of(headers)?;
    let limit = params.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit: it is {limit}; allowed are 1 to {MAX_PAGE}");
        return Err(Problem::invalid(detail).with_field("limit"));
    }
    let wait = wait(params.wait.as_deref())?;
    let log = Arc::clone(app.registry.events());
    let last = headers
        .get("last-event-id")
        .map(|it| it.to_str().unwrap_or("?"));
    let since = match last.or(params.since.as_deref()) {
        None => None,
        Some(id) => Some(log.number(id).map_err(|error| {
            let detail = format!("since: {id:?}: {error}");
            Problem::invalid(detail).with_field("since")
        })?),
    };
    let types = params.types.as_deref().map(types).transpose()?;
    let mut reading = Reading {
        log,
        session: session.as_ref().map(|session| session.view().record.id),
        gone: session,
        types,
        next: 0,
        gap: None,
        is_over: false,
    };
    match since {
        Some(Some(number)) => reading.next = number,
        // Of a server before this one.
        Some(None) => reading.gap = Some(None),
        None if form != Form::Json => reading.next = reading.log.last(),
        None => reading.next = reading.log.first(),
    }
    if form == Form::Json {
        return Ok(Json(reading.page(limit, wait).await).into_response());
    }
    let draining = app.draining.clone();
    let items = reading.stream().map(|event| Item {
        id: event.id.clone(),
        value: event,
    });
    Ok(form.respond(items.take_until(draining.cancelled_owned())))
}

/// The types that a caller names.
fn types(text: &str) -> Result<Vec<&'static str>, Problem> {
    let known = |name: &str| TYPES.into_iter().find(|known| *known == name);
    text.split(',')
        .map(|name| {
            known(name).ok_or_else(|| {
                let all = TYPES.join(", ");
                let detail = format!("types: there is no {name:?}; there are {all}");
                Problem::invalid(detail).with_field("types")
            })
        })
        .collect()
}

/// A place in the log, and what is wanted from there on.
struct Reading {
    log: Arc<Log>,
    session: Option<SessionId>,
    types: Option<Vec<&'static str>>,
    /// The number of the last event that was looked at.
    next: u64,
    /// What is to be told of as missing.
    gap: Option<Option<u64>>,
    /// The session itself, which says when it is gone.
    gone: Option<Session>,
    /// Nothing comes any more.
    is_over: bool,
}

impl Reading {
    /// What there is, at most so many; nothing when there is nothing yet.
    fn take(&mut self, most: usize) -> Vec<SessionEvent> {
        let mut told = Vec::new();
        loop {
            let (events, missed) = self.log.after(self.next, BATCH);
            if events.is_empty() {
                self.miss(missed);
                told.extend(self.gap());
                return told;
            }
            for event in events {
                if self.is_over {
                    return told;
                }
                self.miss(event.number - 1 - self.next);
                told.extend(self.gap());
                if told.len() >= most {
                    return told;
                }
                self.next = event.number;
                if self.session.as_ref().is_none_or(|id| *id == event.session) {
                    self.is_over = self.session.is_some() && event.what == What::Deleted;
                    let event = SessionEvent::new(&self.log, &event);
                    if self.wants(&event) {
                        told.push(event);
                    }
                }
            }
        }
    }

    /// So many events that come next are no longer kept.
    fn miss(&mut self, count: u64) {
        self.next += count;
        if count > 0 && self.gap.is_none() {
            self.gap = Some(Some(count));
        }
    }

    /// What is to be told of as missing, once.
    fn gap(&mut self) -> Option<SessionEvent> {
        let missed = self.gap.take()?;
        Some(SessionEvent::passing(SessionEventKind::Gap { missed }))
    }

    fn wants(&self, event: &SessionEvent) -> bool {
        let Some(types) = &self.types else {
            return true;
        };
        let value = serde_json::to_value(&event.what).unwrap_or_default();
        types.iter().any(|wanted| value["type"] == **wanted)
    }

    async fn page(mut self, limit: usize, wait: Duration) -> EventPage {
        let until = Instant::now() + wait;
        let mut news = self.log.news();
        let mut data = self.take(limit);
        while data.is_empty() && timeout_at(until, news.changed()).await.is_ok() {
            data = self.take(limit);
        }
        EventPage {
            next: self.log.id(self.next),
            data,
        }
    }

    fn stream(self) -> impl Stream<Item = SessionEvent> + Send {
        let news = self.log.news();
        let steps = stream::unfold((self, news), async |(mut reading, mut news)| {
            let heartbeat = Instant::now() + HEARTBEAT;
            loop {
                if reading.is_over {
                    return None;
                }
                // Looked at before what there is: when it is gone, that is in there, unless it is no longer kept.
                let is_gone = reading
                    .gone
                    .as_ref()
                    .is_some_and(|session| session.view().deleted);
                news.mark_unchanged();
                let told = reading.take(BATCH);
                if !told.is_empty() {
                    return Some((stream::iter(told), (reading, news)));
                }
                reading.is_over |= is_gone;
                if reading.is_over {
                    return None;
                }
                tokio::select! {
                    _ = news.changed() => {}
                    () = sleep_until(heartbeat) => {
                        let beat = SessionEvent::passing(SessionEventKind::Heartbeat);
                        return Some((stream::iter(vec![beat]), (reading, news)));
                    }
                }
            }
        });
        steps.flatten()
    }
}

impl SessionEvent {
    fn passing(what: SessionEventKind) -> Self {
        Self {
            id: None,
            at: None,
            session: None,
            what,
        }
    }

    fn new(log: &Log, event: &events::Event) -> Self {
        Self {
            id: Some(log.id(event.number)),
            at: Some(event.at),
            session: Some(event.session.clone()),
            what: event.what.clone().into(),
        }
    }
}

impl From<What> for SessionEventKind {
    fn from(what: What) -> Self {
        match what {
            What::Created => Self::SessionCreated,
            What::State {
                state,
                reason,
                message,
            } => Self::SessionState {
                state,
                reason,
                message,
            },
            What::Progress {
                step,
                current,
                total,
            } => Self::SessionProgress {
                step,
                current,
                total,
            },
            What::Deleted => Self::SessionDeleted,
            What::Dropped(count) => Self::Dropped { count },
            What::Inside(happened) => match happened {
                Happened::MainEnded { exit } => Self::MainEnded { exit: exit.into() },
                Happened::ExecStarted { exec, argv } => Self::ExecStarted { exec, argv },
                Happened::ExecEnded { exec, exit, ends } => Self::ExecEnded {
                    exec,
                    exit: exit.into(),
                    ends: ends.into(),
                },
                Happened::TerminalOpened { terminal, argv } => {
                    Self::TerminalOpened { terminal, argv }
                }
                Happened::TerminalEnded { terminal, exit } => Self::TerminalEnded {
                    terminal,
                    exit: exit.into(),
                },
                Happened::TerminalClosed { terminal } => Self::TerminalClosed { terminal },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn pages_get_on_over_what_is_missing() {
        let log = Arc::new(Log::default());
        let [quiet, loud] = [SessionId::random(), SessionId::random()];
        log.tell(&quiet, Timestamp::now(), What::Created);
        for _ in 0..20_000 {
            log.tell(&loud, Timestamp::now(), What::Created);
        }
        log.tell(&quiet, Timestamp::now(), What::Deleted);
        let mut reading = Reading {
            log: Arc::clone(&log),
            session: Some(quiet),
            types: None,
            next: 0,
            gap: None,
            gone: None,
            is_over: false,
        };
        let mut told = Vec::new();
        for _ in 0..3 {
            told.extend(reading.take(1));
        }
        let [created, gap, deleted] = <[SessionEvent; 3]>::try_from(told).unwrap();
        assert!(matches!(created.what, SessionEventKind::SessionCreated));
        assert!(
            matches!(gap.what, SessionEventKind::Gap { missed: Some(1..) }),
            "{gap:?}"
        );
        assert!(matches!(deleted.what, SessionEventKind::SessionDeleted));
        assert_eq!((reading.next, reading.is_over), (log.last(), true));
    }

    #[test]
    fn what_may_be_asked_for_is_what_there_is() {
        let schema = serde_json::to_string(&SessionEventKind::schema()).unwrap();
        let tags = schema.matches(r#""enum":[""#).count();
        // A gap and a heartbeat are told to everyone.
        assert_eq!(tags, TYPES.len() + 2, "{schema}");
        for name in TYPES {
            assert!(
                schema.contains(&format!(r#""enum":["{name}"]"#)),
                "{name}: {schema}"
            );
        }
        assert_eq!(
            types("exec_ended,dropped").unwrap(),
            ["exec_ended", "dropped"]
        );
        let problem = types("exec_ended,exec_end").unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("types"));
        assert!(
            problem.detail.contains("\"exec_end\""),
            "{}",
            problem.detail
        );
    }
}
