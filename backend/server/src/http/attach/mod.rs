//! `/api/v1/sessions/{id}/terminals/{terminal}/attach`: a viewer's WebSocket.
//!
//! - [`framed`]: the subprotocol `shellport.v1`, whose frames are forwarded as they are.
//! - [`plain`]: for clients that offer no subprotocol.
//! - [`connection`]: what both have in common.
//! - [`serve`]: a viewer, from the upgrade to the close.

pub(super) mod connection;
mod framed;
mod plain;
mod serve;

use axum::extract::State;
use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use shellport_wire::agent::{Attach, Behind, MAX_NAME};
use shellport_wire::viewer::{Role, SUBPROTOCOL, Size, TICKET_PREFIX};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::App;
use super::extract::{InPath, Names, Params};
use super::guard::bearer;
use super::problem::Problem;
use super::terminals::{checked, running};
use super::tickets::ViewerRole;

/// The most bytes of a message from a client that speaks frames.
const MAX_FRAMED: usize = shellport_wire::frame::MAX_FRAME;

/// The most bytes of a message from a plain client: a paste, in one piece.
pub(super) const MAX_PLAIN: usize = 8 * 1024 * 1024;

/// Bytes that are read from a client at a time. They are cleared before each read, so that a key pays for
/// all of them, and each viewer has them.
pub(super) const READ_BUFFER: usize = 4 * 1024;

/// The most bytes that wait to be written to one client. Each message is flushed before the next is
/// made, so it is never more than one frame and the answers to pings.
const MAX_WRITE_BUFFER: usize = 4 * MAX_FRAMED;

/// Where and how a viewer joins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttachParams {
    /// The viewer's width in cells.
    #[param(minimum = 2, maximum = 1000)]
    cols: Option<u16>,
    /// The viewer's height in cells.
    #[param(minimum = 1, maximum = 1000)]
    rows: Option<u16>,
    /// Go on from this offset.
    since: Option<u64>,
    /// The run of the program that `since` belongs to, from `hello`.
    run: Option<String>,
    /// Names this client across reconnects.
    client: Option<String>,
    /// What the viewer may do; with a ticket, what the ticket says.
    role: Option<ViewerRole>,
    /// Start the program again when it has ended.
    restart: Option<bool>,
    /// `true`: leave the writer's role to whom has it.
    #[serde(rename = "yield")]
    yields: Option<bool>,
}

/// Attaches to a terminal; see the description of the protocol.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/terminals/{terminal}/attach", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal"), AttachParams),
    responses(
        (status = 101, description = "A WebSocket, as docs/protocol.md defines it"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn attach(
    State(app): State<App>,
    Names { id, terminal, .. }: Names,
    Params(params): Params<AttachParams>,
    headers: HeaderMap,
    found: Result<InPath, Problem>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let offered = offered(&headers);
    let role = authorize(&app, &headers, &offered, (&id, &terminal), params.role)?;
    let InPath(session) = found?;
    let upgrade = upgrade.map_err(websocket_needed)?;
    let framed = offered.contains(&SUBPROTOCOL);
    if !framed && !offered.is_empty() {
        let detail = format!("of the subprotocols, only {SUBPROTOCOL} is spoken here");
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "unknown_subprotocol",
            detail,
        ));
    }
    let size = checked(Size {
        cols: params.cols.unwrap_or(Size::DEFAULT.cols),
        rows: params.rows.unwrap_or(Size::DEFAULT.rows),
    })?;
    check_client(params.client.as_deref())?;
    running(&session)?;
    let attach = Attach {
        terminal,
        role,
        size,
        since: params.since,
        run: params.run,
        client: params.client,
        behind: if framed {
            Behind::Snapshot
        } else {
            Behind::Gap
        },
        restart: params.restart.unwrap_or(false),
        yields: params.yields.unwrap_or(false),
        types: false,
        lags: false,
    };
    let max = if framed { MAX_FRAMED } else { MAX_PLAIN };
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(max)
        .max_frame_size(max)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER);
    let place = place(&app)?;
    let tracker = app.connections.clone();
    Ok(upgrade.on_upgrade(move |socket| {
        tracker.track_future(async move {
            serve::serve(app, session, attach, framed, socket).await;
            drop(place);
        })
    }))
}

/// A request that asks for no WebSocket where there is nothing else.
pub(super) fn websocket_needed(error: WebSocketUpgradeRejection) -> Problem {
    let detail = format!("this is the address of a WebSocket: {}", error.body_text());
    Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket_needed", detail)
}

/// A place for a WebSocket, which is free again when it is dropped.
pub(super) fn place(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&app.places).try_acquire_owned().map_err(|_| {
        let detail = "there are as many viewers as this server takes; try again later";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "too_many_viewers", detail)
    })
}

/// The subprotocols that the client offers.
fn offered(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// What the client may be: by a ticket for this terminal, or by the token. A page that was opened
/// without either gets nothing.
fn authorize(
    app: &App,
    headers: &HeaderMap,
    offered: &[&str],
    (session, terminal): (&str, &str),
    wish: Option<ViewerRole>,
) -> Result<Role, Problem> {
    let ticket = offered.iter().find_map(|it| it.strip_prefix(TICKET_PREFIX));
    let Some(ticket) = ticket else {
        bearer(app, headers)?;
        return Ok(wish.unwrap_or_default().into());
    };
    if !headers.contains_key(header::ORIGIN) {
        let detail = "a ticket is for browsers, which say where they come from; send the token";
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_origin", detail));
    }
    let grant = app
        .tickets
        .redeem(ticket)
        .filter(|grant| grant.session.as_str() == session && grant.terminal == terminal);
    grant.map(|grant| grant.role).ok_or_else(|| {
        let detail = "the ticket is used up, too old, or for another terminal; ask for a new one";
        Problem::new(StatusCode::UNAUTHORIZED, "bad_ticket", detail)
    })
}

/// A client's name, if it has one.
pub(super) fn check_client(client: Option<&str>) -> Result<(), Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match client {
        Some(name) if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(allowed) => {
            let detail = "client: it has 1 to 64 letters, digits, hyphens or underscores";
            Err(Problem::invalid(detail).with_field("client"))
        }
        _ => Ok(()),
    }
}
