//! `/api/v1/sessions/{id}/execs`.

mod run;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use shellport_wire::agent::Program;
use utoipa::ToSchema;

use self::run::{Ended, Run};
use super::App;
use super::extract::{Body, InPath};
use super::model::{Duration as DurationText, Exit};
use super::problem::Problem;
use crate::policy::{check_cwd, check_env, resolve_time};

/// The most bytes of each stream in an answer.
const MAX_OUTPUT: usize = 1024 * 1024;

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
    let program = Program {
        argv,
        env: wish.env,
        cwd: wish.cwd,
        user: wish.user,
    };
    let (cut, tasks) = (app.cut.clone(), app.connections.clone());
    let run = Run::new(app, session, program, wish.stdin, limit, MAX_OUTPUT);
    // In a task of its own, so that the agent hears of it when the client goes.
    let gone = cut.child_token();
    let _here = gone.clone().drop_guard();
    let ran = tasks.spawn(run.until_end(gone)).await;
    let ended = ran.map_err(|panic| Problem::internal(&panic))??;
    Ok(Json(outcome(ended)))
}

fn outcome(ended: Ended) -> ExecOutcome {
    let Ended {
        name,
        collected,
        exit,
    } = ended;
    let truncated = collected.is_cut();
    let (stdout, stderr) = collected.into_bytes();
    let (encoding, stdout, stderr) = match (text(&stdout, truncated), text(&stderr, truncated)) {
        (Some(stdout), Some(stderr)) => ("utf-8", stdout.to_owned(), stderr.to_owned()),
        _ => ("base64", BASE64.encode(&stdout), BASE64.encode(&stderr)),
    };
    ExecOutcome {
        id: name,
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
