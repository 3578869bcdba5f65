//! `/api/v1/sessions/{id}/terminals/{terminal}/commands`: what a shell has run.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shellport_wire::agent::{self as wire, Request, Response};
use utoipa::{IntoParams, ToSchema};

use super::{ask, nonsense};
use crate::http::App;
use crate::http::extract::{InPath, Names, Params};
use crate::http::problem::Problem;

/// Commands of a terminal, the oldest first.
#[derive(Serialize, ToSchema)]
pub struct CommandList {
    data: Vec<ShellCommand>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// A command that a shell has run in a terminal.
#[derive(Serialize, ToSchema)]
pub struct ShellCommand {
    /// The how many-th it is since the terminal's program was started, from 1 on.
    number: u64,
    /// Its line, as it stood on the screen; the first 2 KiB. Null when the shell does not say where it begins.
    text: Option<String>,
    /// Where it ran, as the shell says it (OSC 7): a file address.
    directory: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Milliseconds from its begin until its end, or until now.
    duration_ms: u64,
    /// Whether it runs.
    running: bool,
    /// Its exit code, when the shell says it.
    exit_code: Option<i32>,
    /// The offset of its first byte of output.
    from: u64,
    /// The offset behind its last; null while it runs.
    to: Option<u64>,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CommandParams {
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<u64>,
}

/// Lists the last 128 commands that a shell has run in a terminal.
///
/// It has to mark its prompts and commands (OSC 133) for that, which bash, fish and zsh do when they are told to.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/terminals/{terminal}/commands", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal"), CommandParams),
    responses(
        (status = 200, body = CommandList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    InPath(session): InPath,
    Names { terminal, .. }: Names,
    Params(params): Params<CommandParams>,
) -> Result<Json<CommandList>, Problem> {
    let after = params.cursor.unwrap_or_default();
    let request = Request::Commands { terminal, after };
    let Response::Commands { commands, more } = ask(&app, &session, &request, None).await? else {
        return Err(nonsense());
    };
    let last = commands.last().filter(|_| more);
    Ok(Json(CommandList {
        next_cursor: last.map(|command| command.number.to_string()),
        data: commands.into_iter().map(ShellCommand::from).collect(),
    }))
}

impl From<wire::Command> for ShellCommand {
    fn from(command: wire::Command) -> Self {
        let started = i64::try_from(command.started_ms).map(Timestamp::from_millisecond);
        Self {
            number: command.number,
            text: command.text,
            directory: command.directory,
            started_at: started.ok().and_then(Result::ok).unwrap_or_default(),
            duration_ms: command.duration_ms,
            running: command.to.is_none(),
            exit_code: command.code,
            from: command.from,
            to: command.to,
        }
    }
}
