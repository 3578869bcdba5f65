//! `/api/v1/sessions/{id}/terminals/{terminal}/tickets`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use shellport_wire::viewer::Role;
use utoipa::ToSchema;

use super::App;
use super::extract::{Body, InPath, Names};
use super::problem::Problem;
use super::terminals::running;
use crate::auth::{Caller, Grant, TICKET_LIFETIME};

/// What a ticket is to be for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTicket {
    /// What its bearer may do; `writer` when absent.
    #[serde(default)]
    role: ViewerRole,
}

/// What a viewer may do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViewerRole {
    /// Types, and decides the size.
    #[default]
    Writer,
    /// Only looks.
    Reader,
}

impl From<ViewerRole> for Role {
    fn from(role: ViewerRole) -> Self {
        match role {
            ViewerRole::Writer => Self::Writer,
            ViewerRole::Reader => Self::Reader,
        }
    }
}

/// A ticket for one WebSocket.
#[derive(Serialize, ToSchema)]
pub struct Ticket {
    /// Goes into `Sec-WebSocket-Protocol`, behind `shellport.ticket.`.
    ticket: String,
    /// Seconds for which it is valid.
    expires_in: u64,
}

/// Makes a ticket with which a browser can attach to a terminal, once.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/terminals/{terminal}/tickets", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal")),
    request_body = CreateTicket,
    responses(
        (status = 201, body = Ticket),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    InPath(session): InPath,
    Names { terminal, .. }: Names,
    body: Body<CreateTicket>,
) -> Result<(StatusCode, Json<Ticket>), Problem> {
    let ticket = app.tickets.issue(Grant {
        caller,
        session: running(&session)?,
        terminal,
        role: body.value.role.into(),
    });
    let ticket = Ticket {
        ticket,
        expires_in: TICKET_LIFETIME.as_secs(),
    };
    Ok((StatusCode::CREATED, Json(ticket)))
}
