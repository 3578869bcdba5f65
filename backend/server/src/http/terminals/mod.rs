//! `/api/v1/sessions/{id}/terminals`.
//!
//! - [`screen`]: what a terminal shows, and [`output`]: what it has put out.
//! - [`commands`]: what a shell has run in it.
//! - [`input`]: typing into it, with [`keys`].
//! - [`wait`]: until it shows something, or is done.

pub mod commands;
pub mod input;
mod keys;
pub mod output;
pub mod screen;
pub mod wait;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shellport_wire::agent::{
    self as wire, Attach, Behind, MAX_TERMINAL_JOURNAL, MIN_TERMINAL_JOURNAL, Open, Program,
    Request, Response,
};
use shellport_wire::viewer::Size;
use utoipa::ToSchema;

use super::App;
use super::extract::{Body, InPath, Names};
use super::model::{Size as Bytes, Terminal};
use super::problem::Problem;
use crate::agent::{self, AgentError, Watch};
use crate::id::random_tag;
use crate::policy::{check_cwd, check_env};
use crate::session::{Session, State as Life};

/// The longest that closing a terminal takes: its grace, and some.
const CLOSE: Duration = Duration::from_secs(10);

/// The terminals of a session.
#[derive(Serialize, ToSchema)]
pub struct TerminalList {
    data: Vec<Terminal>,
    /// Always null: there are never more than one page of them.
    next_cursor: Option<String>,
}

/// Lists a session's terminals.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/terminals", tag = "terminals",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 200, body = TerminalList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    InPath(session): InPath,
) -> Result<Json<TerminalList>, Problem> {
    match ask(&app, &session, &Request::Terminals, None).await? {
        Response::Terminals { terminals } => Ok(Json(TerminalList {
            data: terminals.into_iter().map(Terminal::from).collect(),
            next_cursor: None,
        })),
        _ => Err(nonsense()),
    }
}

/// A terminal to open.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenTerminal {
    /// Its name: letters, digits, dots, hyphens and underscores. One is made up when absent.
    name: Option<String>,
    /// Its width in cells; 80 when absent.
    #[schema(minimum = 2, maximum = 1000)]
    cols: Option<u16>,
    /// Its height in cells; 24 when absent.
    #[schema(minimum = 1, maximum = 1000)]
    rows: Option<u16>,
    /// What runs in it; the user's shell when absent.
    #[serde(default)]
    command: Vec<String>,
    /// The working directory.
    cwd: Option<String>,
    /// Variables on top of the session's.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The user; the session's when absent.
    user: Option<String>,
    /// How much output is kept for viewers that come back, such as `4Mi`: 512 KiB to 256 MiB of the
    /// session's own memory; 1 MiB when absent.
    journal: Option<Bytes>,
}

/// Opens a terminal.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/terminals", tag = "terminals",
    params(("id" = String, Path, description = "The session")),
    request_body = OpenTerminal,
    responses(
        (status = 201, body = Terminal),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn open(
    State(app): State<App>,
    InPath(session): InPath,
    body: Body<OpenTerminal>,
) -> Result<(StatusCode, Json<Terminal>), Problem> {
    let wish = body.value;
    check_env(&wish.env)?;
    check_cwd(wish.cwd.as_deref())?;
    let size = Size {
        cols: wish.cols.unwrap_or(Size::DEFAULT.cols),
        rows: wish.rows.unwrap_or(Size::DEFAULT.rows),
    };
    let journal = wish.journal.map(|size| size.0);
    let allowed = MIN_TERMINAL_JOURNAL..=MAX_TERMINAL_JOURNAL;
    if let Some(bytes) = journal.filter(|bytes| !allowed.contains(bytes)) {
        let (least, most) = (allowed.start(), allowed.end());
        let detail = format!("journal: it is {bytes} bytes; allowed are {least} to {most}");
        return Err(Problem::invalid(detail).with_field("journal"));
    }
    let request = Request::Open(Open {
        journal,
        terminal: wish.name.unwrap_or_else(random_tag),
        size: checked(size)?,
        program: Program {
            argv: wish.command,
            env: wish.env,
            cwd: wish.cwd,
            user: wish.user,
        },
    });
    let terminal = one(ask(&app, &session, &request, None).await?)?;
    Ok((StatusCode::CREATED, terminal))
}

/// Returns a terminal.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/terminals/{terminal}", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal")),
    responses(
        (status = 200, body = Terminal),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get(
    State(app): State<App>,
    InPath(session): InPath,
    Names { terminal: name, .. }: Names,
) -> Result<Json<Terminal>, Problem> {
    let terminal = find(&app, &session, &name).await?;
    Ok(Json(terminal.into()))
}

/// The new size of a terminal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResizeTerminal {
    /// Its width in cells, 2 to 1000.
    #[schema(minimum = 2, maximum = 1000)]
    cols: u16,
    /// Its height in cells, 1 to 1000.
    #[schema(minimum = 1, maximum = 1000)]
    rows: u16,
}

/// Resizes a terminal. Its writer's next resize wins over this one.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{id}/terminals/{terminal}", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal")),
    request_body = ResizeTerminal,
    responses(
        (status = 200, body = Terminal),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn resize(
    State(app): State<App>,
    InPath(session): InPath,
    Names { terminal, .. }: Names,
    body: Body<ResizeTerminal>,
) -> Result<Json<Terminal>, Problem> {
    let ResizeTerminal { cols, rows } = body.value;
    let size = checked(Size { cols, rows })?;
    let request = Request::Resize { terminal, size };
    one(ask(&app, &session, &request, None).await?)
}

/// Ends everything in a terminal and forgets it.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}/terminals/{terminal}", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn close(
    State(app): State<App>,
    InPath(session): InPath,
    Names { terminal, .. }: Names,
) -> Result<StatusCode, Problem> {
    let request = Request::Close { terminal };
    match ask(&app, &session, &request, Some(CLOSE)).await? {
        Response::Done => Ok(StatusCode::NO_CONTENT),
        _ => Err(nonsense()),
    }
}

/// A size that a terminal can have.
pub(super) fn checked(size: Size) -> Result<Size, Problem> {
    size.checked()
        .map_err(|error| Problem::invalid(error.to_string()).with_field(error.field))
}

/// The id of a session that runs.
pub(super) fn running(session: &Session) -> Result<crate::id::SessionId, Problem> {
    let record = session.view().record;
    if record.state == Life::Running {
        return Ok(record.id);
    }
    let mut detail = format!("the session is {}, not running", record.state.as_str());
    if let Some(message) = record.message {
        detail = format!("{detail}: {message}");
    }
    Err(Problem::new(
        StatusCode::CONFLICT,
        "session_not_running",
        detail,
    ))
}

/// Asks the agent of a session that runs.
pub(super) async fn ask(
    app: &App,
    session: &Session,
    request: &Request,
    limit: Option<Duration>,
) -> Result<Response, Problem> {
    let id = running(session)?;
    let stream = app.registry.runtime().connect(&id).await?;
    Ok(agent::ask(stream, request, limit).await?)
}

/// A program that joins a terminal: a reader, which changes nothing for those who watch it.
struct Joining {
    attach: Attach,
}

impl Joining {
    /// At what the terminal shows now.
    fn new(terminal: &str) -> Self {
        Self {
            attach: Attach::looking(terminal),
        }
    }

    /// At this offset, if it is given.
    fn since(mut self, since: Option<u64>) -> Self {
        self.attach.since = since;
        // Whoever looks at the screen needs all of it, and whoever reads on from a place, what comes next.
        self.attach.behind = match since {
            Some(_) => Behind::Gap,
            None => Behind::Snapshot,
        };
        self
    }

    /// As one for whom the program does not wait.
    fn lagging(mut self) -> Self {
        self.attach.lags = true;
        self
    }

    /// To type, under this name if it is given.
    fn typing(mut self, client: Option<String>) -> Self {
        self.attach.types = true;
        self.attach.client = client;
        self
    }

    async fn join(self, app: &App, session: &Session) -> Result<Watch, Problem> {
        let id = running(session)?;
        let stream = app.registry.runtime().connect(&id).await?;
        Ok(Watch::join(stream, self.attach).await?)
    }
}

/// The terminal of this name. Looking starts none, as joining `main` would.
async fn find(app: &App, session: &Session, name: &str) -> Result<wire::Terminal, Problem> {
    let Response::Terminals { terminals } = ask(app, session, &Request::Terminals, None).await?
    else {
        return Err(nonsense());
    };
    let found = terminals.into_iter().find(|it| it.terminal == name);
    found.ok_or_else(|| {
        let detail = format!("there is no terminal {name:?}");
        Problem::new(StatusCode::NOT_FOUND, "terminal_not_found", detail)
    })
}

fn one(response: Response) -> Result<Json<Terminal>, Problem> {
    match response {
        Response::Terminal(terminal) => Ok(Json(terminal.into())),
        _ => Err(nonsense()),
    }
}

fn nonsense() -> Problem {
    AgentError::Nonsense("the answer to something else".to_owned()).into()
}
