//! Ports of sandboxes: what listens there, and how it is reached.
//!
//! - This file: the API, `/api/v1/sessions/{id}/ports`.
//! - [`tunnel`]: the bytes of a port over a WebSocket.
//! - [`gate`]: the host names that ports have, and who may pass there; [`enter`]: how a browser does.
//! - [`proxy`]: HTTP to a port.

mod enter;
pub mod gate;
mod proxy;
pub mod tunnel;

use std::collections::BTreeMap;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use shellport_wire::process::{Answer, Listener, Request};
use utoipa::ToSchema;

use super::App;
use super::execs::milliseconds;
use super::extract::{InPath, Names};
use super::files::model::problem;
use super::problem::Problem;
use super::processes::{ask, parse};
use super::stream::{Form, Item};
use super::terminals::running;
use super::tool::{Tool, nonsense};
use crate::agent;
use crate::auth::{Caller, PortGrant, TICKET_LIFETIME};
use crate::id::SessionId;
use crate::runtime::Stream as Connection;
use crate::session::Session;

/// The ports on which something listens in a session.
#[derive(Serialize, ToSchema)]
pub struct PortList {
    data: Vec<ListeningPort>,
    /// Always null: there is never more than one page of them.
    next_cursor: Option<String>,
}

/// A port on which something listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListeningPort {
    /// Its number.
    port: u16,
    /// The addresses.
    #[schema(example = json!(["127.0.0.1"]))]
    addresses: Vec<String>,
    /// The first of the processes that listen.
    pid: i32,
    /// Its name.
    process: String,
    /// Where it is reached.
    url: String,
}

/// A change of the ports on which something listens.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PortEvent {
    /// Something listens on it now.
    PortOpen(ListeningPort),
    /// Nothing does any more.
    PortClosed {
        /// Its number.
        port: u16,
    },
}

/// Lists the ports on which something listens.
///
/// With `application/x-ndjson` or `text/event-stream` the answer is a stream: of the ports that there are, and then of
/// what changes.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/ports", tag = "ports",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 200, content(
            (PortList = "application/json"),
            (PortEvent = "application/x-ndjson"),
            (PortEvent = "text/event-stream"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    InPath(session): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::of(&headers)?;
    let id = running(&session)?;
    let follow = form != Form::Json;
    let limit = follow.then_some(app.limits.max_exec);
    let mut tool = ask(&app, &session, &Request::Ports { follow }, limit).await?;
    let ports = ports(parse(&tool.first().await?)?)?;
    let tell = move |listener: Listener| told(&app, &id, listener);
    if form == Form::Json {
        return Ok(Json(PortList {
            data: ports.into_iter().map(tell).collect(),
            next_cursor: None,
        })
        .into_response());
    }
    let in_use = session.activity().begin();
    let events = changes(tool, ports, tell).map(move |value| {
        let _ = &in_use;
        Item { value, id: None }
    });
    Ok(form.respond(events))
}

/// What changes, beginning with the ports that there are.
fn changes(
    tool: Tool,
    first: Vec<Listener>,
    tell: impl Fn(Listener) -> ListeningPort + Send,
) -> impl Stream<Item = PortEvent> + Send {
    let known: BTreeMap<u16, ListeningPort> = BTreeMap::new();
    let begin = (tool, Some(first), known, tell);
    let steps = stream::unfold(begin, async |(mut tool, mut next, mut known, tell)| {
        let now = match next.take() {
            Some(first) => first,
            None => ports(parse(&tool.line().await.ok()??).ok()?).ok()?,
        };
        let now: BTreeMap<u16, ListeningPort> =
            now.into_iter().map(|it| (it.port, tell(it))).collect();
        let closed = known.keys().filter(|port| !now.contains_key(port));
        let mut events: Vec<PortEvent> = closed
            .map(|port| PortEvent::PortClosed { port: *port })
            .collect();
        let opened = now.iter().filter(|(port, it)| known.get(port) != Some(it));
        events.extend(opened.map(|(_, it)| PortEvent::PortOpen(it.clone())));
        known = now;
        Some((stream::iter(events), (tool, next, known, tell)))
    });
    steps.flatten()
}

fn ports(answer: Answer) -> Result<Vec<Listener>, Problem> {
    match answer {
        Answer::Ports { ports } => Ok(ports),
        Answer::Failed(failure) => Err(problem(failure)),
        _ => Err(nonsense("not the ports that were asked for")),
    }
}

fn told(app: &App, session: &SessionId, listener: Listener) -> ListeningPort {
    ListeningPort {
        port: listener.port,
        addresses: listener.addresses,
        pid: listener.pid,
        process: listener.name,
        url: app.ports.at(&gate::label(listener.port, session)),
    }
}

/// A ticket with which a browser can reach a port.
#[derive(Serialize, ToSchema)]
pub struct PortTicket {
    /// Where a browser goes; it is used up there, and takes the browser to the port's own page.
    url: String,
    /// Seconds for which it is valid.
    expires_in: u64,
}

/// Makes a ticket with which a browser can reach a port, once. The browser can reach it then for a day.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/ports/{port}/tickets", tag = "ports",
    params(("id" = String, Path, description = "The session"), ("port" = u16, Path, description = "The port")),
    responses(
        (status = 201, body = PortTicket),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn ticket(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    InPath(session): InPath,
    Names { port, .. }: Names,
) -> Result<(StatusCode, Json<PortTicket>), Problem> {
    let port = number(&port)?;
    let session = running(&session)?;
    let home = app.ports.at(&gate::label(port, &session));
    let ticket = app.port_tickets.issue(PortGrant {
        caller,
        session,
        port,
    });
    let ticket = PortTicket {
        // Behind the `#` it is sent to nobody.
        url: format!("{}{}#{ticket}", home.trim_end_matches('/'), enter::PATH),
        expires_in: milliseconds(TICKET_LIFETIME) / 1000,
    };
    Ok((StatusCode::CREATED, Json(ticket)))
}

/// A port in a path.
fn number(text: &str) -> Result<u16, Problem> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| {
        let detail = format!("port: {text:?} is not a number from 1 to 65535");
        Problem::invalid(detail).with_field("port")
    })
}

/// A connection to a port of a session that runs.
async fn connect(app: &App, session: &Session, port: u16) -> Result<Box<dyn Connection>, Problem> {
    let id = running(session)?;
    let stream = app.registry.runtime().connect(&id).await?;
    Ok(agent::dial(stream, port).await?)
}
