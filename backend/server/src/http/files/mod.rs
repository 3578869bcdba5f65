//! `/api/v1/sessions/{id}/files/{path}`: the session's files, as its user may work on them.
//!
//! - [`read`]: looking at files and directories, reading them, and watching.
//! - [`write`]: writing, and everything else that changes them.

pub mod model;
pub mod read;
pub mod write;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use shellport_wire::file::{Answer, RawPath, Request};

use self::model::problem;
use super::App;
use super::extract::find_session;
use super::problem::Problem;
use super::tool::{Terms, Tool, nonsense as tool_nonsense};
use crate::session::Session;

/// The agent's program for files.
const FILE: &str = "file";

/// How long work may take that moves no content.
const SHORT: Duration = Duration::from_mins(1);

/// The session and the path in the address, which is bytes and need not be UTF-8.
pub struct InSession {
    session: Session,
    path: RawPath,
}

impl FromRequestParts<App> for InSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let uri = OriginalUri::from_request_parts(parts, app).await;
        let OriginalUri(uri) = uri.unwrap_or_else(|never| match never {});
        // `/api/v1/sessions/{id}/files/{path}`.
        let mut parts = uri.path().splitn(7, '/').skip(4);
        let (id, encoded) = (parts.next(), parts.nth(1).unwrap_or_default());
        Ok(Self {
            session: find_session(app, id.unwrap_or_default())?,
            path: path("path", &format!("/{encoded}"))?,
        })
    }
}

/// A path as it is written in a URL.
fn path(field: &'static str, encoded: &str) -> Result<RawPath, Problem> {
    let decoded = RawPath::decode(encoded).filter(|path| !path.0.contains(&0));
    let decoded = decoded.ok_or_else(|| {
        let detail = format!("{field}: {encoded:?} is not a path as it is written in a URL");
        Problem::invalid(detail).with_field(field)
    })?;
    if decoded.0.starts_with(b"/") {
        return Ok(decoded);
    }
    let detail = format!("{field}: {encoded:?} is not an absolute path");
    Err(Problem::invalid(detail).with_field(field))
}

/// For work that moves no content.
fn short(user: Option<String>) -> Terms {
    Terms { user, limit: SHORT }
}

/// For work that takes as long as its content does.
fn long(app: &App, user: Option<String>) -> Terms {
    let limit = app.limits.max_exec;
    Terms { user, limit }
}

/// Asks for work on files, and waits for the answer; what comes behind it is the tool's.
async fn ask(
    app: &App,
    session: &Session,
    request: &Request,
    terms: Terms,
) -> Result<(Answer, Tool), Problem> {
    let mut tool = Tool::begin(app, session, (FILE, request), terms, false).await?;
    let answer = parse(&tool.first().await?)?;
    Ok((answer, tool))
}

/// Asks for work on files that reads a body.
async fn give(
    app: &App,
    session: &Session,
    request: &Request,
    terms: Terms,
    body: Body,
) -> Result<Answer, Problem> {
    let tool = Tool::begin(app, session, (FILE, request), terms, true).await?;
    parse(&tool.give(body).await?)
}

fn parse(line: &[u8]) -> Result<Answer, Problem> {
    match serde_json::from_slice(line) {
        Ok(Answer::Failed(failure)) => Err(problem(failure)),
        Ok(answer) => Ok(answer),
        Err(_) => Err(tool_nonsense("what it says is no answer")),
    }
}

fn nonsense() -> Problem {
    crate::agent::AgentError::Nonsense("the answer to something else".to_owned()).into()
}
