//! `/api/v1/sessions/{id}/execs`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use shellport_wire::agent::{Exec, Program};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::App;
use super::extract::{Body, InPath};
use super::model::{Duration as DurationText, Exit};
use super::problem::Problem;
use super::terminals::running;
use crate::agent::{self, AgentError, ExecResult};
use crate::id::random_tag;
use crate::policy::{check_cwd, check_env, resolve_time};

/// The most bytes of each stream in an answer.
const MAX_OUTPUT: usize = 1024 * 1024;

/// How much longer than its time a command may take to be ended.
const PATIENCE: Duration = Duration::from_secs(15);

/// A command to run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunExec {
    /// The argument vector. Either this or `shell`.
    #[serde(default)]
    argv: Vec<String>,
    /// A line for `/bin/sh -c`. Either this or `argv`.
    #[schema(example = "make test")]
    shell: Option<String>,
    /// Variables on top of the session's.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The working directory.
    cwd: Option<String>,
    /// The user; the session's when absent.
    user: Option<String>,
    /// What it reads from its standard input; nothing when absent.
    stdin: Option<String>,
    /// After how long it is ended.
    timeout: Option<DurationText>,
}

/// How a command went.
#[derive(Serialize, ToSchema)]
pub struct ExecOutcome {
    /// Under which it is in the server's log.
    id: String,
    /// What it wrote to standard output, at most 1 MiB.
    stdout: String,
    /// What it wrote to standard error, at most 1 MiB.
    stderr: String,
    /// `base64` when the streams are not both UTF-8, else `utf-8`.
    encoding: &'static str,
    /// How it ended.
    exit: Exit,
    /// Whether it wrote more than is told here.
    truncated: bool,
}

/// Runs a command to its end. When the client goes first, the command is ended.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/execs", tag = "execs",
    params(("id" = String, Path, description = "The session")),
    request_body = RunExec,
    responses(
        (status = 200, description = "It ran and has ended, however", body = ExecOutcome),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn run(
    State(app): State<App>,
    InPath(session): InPath,
    body: Body<RunExec>,
) -> Result<Json<ExecOutcome>, Problem> {
    let wish = body.value;
    check_env(&wish.env)?;
    check_cwd(wish.cwd.as_deref())?;
    let argv = match (wish.argv.is_empty(), wish.shell) {
        (false, None) => wish.argv,
        (true, Some(line)) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line],
        _ => {
            let detail = "argv: give either an argument vector or a line for the shell";
            return Err(Problem::invalid(detail).with_field("argv"));
        }
    };
    let longest = app.limits.max_exec;
    let limit = resolve_time("timeout", wish.timeout.map(|it| it.0), Some(longest))?;
    let limit = limit.unwrap_or(longest);
    let exec = Exec {
        program: Program {
            argv,
            env: wish.env,
            cwd: wish.cwd,
            user: wish.user,
        },
        stdin: wish.stdin.is_some(),
        timeout_ms: Some(milliseconds(limit)),
    };
    let id = random_tag();
    let stream = app.registry.runtime().connect(&running(&session)?).await?;
    let _in_use = session.activity().begin();
    app.metrics.execs.inc();
    let stdin = wish.stdin.unwrap_or_default().into();
    // The agent ends the command when its time is over; one that does not is not waited for.
    let result = timeout(
        limit + PATIENCE,
        agent::exec(stream, exec, stdin, MAX_OUTPUT),
    )
    .await
    .map_err(|_| AgentError::Silent)??;
    Ok(Json(outcome(id, result)))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn outcome(id: String, result: ExecResult) -> ExecOutcome {
    let ExecResult {
        stdout,
        stderr,
        truncated,
        exit,
    } = result;
    let (encoding, stdout, stderr) = match (text(&stdout, truncated), text(&stderr, truncated)) {
        (Some(stdout), Some(stderr)) => ("utf-8", stdout.to_owned(), stderr.to_owned()),
        _ => ("base64", BASE64.encode(&stdout), BASE64.encode(&stderr)),
    };
    ExecOutcome {
        id,
        stdout,
        stderr,
        encoding,
        exit: exit.into(),
        truncated,
    }
}

/// Output as text, if it is. What was cut may end within a character, which is left out.
fn text(bytes: &[u8], truncated: bool) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if truncated && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_cut_character_is_left_out_and_other_bytes_are_no_text() {
        assert_eq!(text("aé".as_bytes(), false), Some("aé"));
        assert_eq!(text(b"a\xc3", true), Some("a"));
        assert_eq!(text(b"a\xc3", false), None);
        assert_eq!(text(b"a\xff", true), None);
    }
}
