//! `shellport run --remote`: a program in a session of its own, which goes with it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::attach::{Attaching, Outcome};
use super::client::{Client, Session};
use super::exec::{Exec, exec_in};
use super::sessions::{fields, made_ready};
use super::{RemoteError, ServerPlace};
use crate::cli::container::{CommandError, code, left};
use crate::cli::say;
use crate::cli::streams::passed_on;

/// How long a session is left alone that nobody has removed.
const LEFTOVER: &str = "10m";

/// A session to make for a program.
#[derive(Debug)]
pub struct Run {
    /// What the API is asked for, beside the image.
    pub session: Map<String, Value>,
    /// What to make it from.
    pub image: String,
    /// Pass standard input on.
    pub interactive: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// Leave it there, and print what it is called.
    pub detach: bool,
    /// The program and its arguments; a shell, in a terminal, when absent.
    pub argv: Vec<String>,
}

/// Makes a session, runs the program in it, and removes it; the program's code.
///
/// # Errors
/// When it cannot be made, or the program not be started.
pub async fn run(place: &ServerPlace, run: Run) -> Result<ExitCode, CommandError> {
    if run.argv.is_empty() && !run.tty && !run.detach {
        let what = "without --tty or --detach, a program in a session needs to be named";
        return Err(CommandError::flag("COMMAND", what));
    }
    let client = place.client()?;
    let mut body = run.session;
    body.extend(fields([("image", json!(run.image))]));
    if run.detach {
        if !run.argv.is_empty() {
            body.extend(fields([("command", json!(run.argv))]));
        }
    } else {
        // Its own command would run beside this one.
        body.extend(fields([
            ("command", json!(["/bin/sh"])),
            ("idle_timeout", json!(LEFTOVER)),
        ]));
    }
    let mut signals = passed_on().map_err(CommandError::host("being told of signals"))?;
    let made: Session = client.json(client.post(&["sessions"]).json(&body)).await?;
    let ready = tokio::select! {
        ready = made_ready(&client, &made.id) => ready.map_err(CommandError::from),
        Some(signal) = signals.recv() => {
            gone(&client, &made).await?;
            return Ok(left(signal));
        }
    };
    let session = match ready {
        Ok(session) => session,
        Err(error) => {
            let _ = gone(&client, &made).await;
            return Err(error);
        }
    };
    drop(signals);
    if run.detach {
        say(&session.word());
        return Ok(ExitCode::SUCCESS);
    }
    let ended = if run.argv.is_empty() {
        let attaching = Attaching::new(client.clone(), &session.id, "main", run.interactive)?;
        attaching.relay().await.map(|outcome| match outcome {
            Outcome::Exited(exit) => (code(&exit), false),
            Outcome::Detached => (ExitCode::SUCCESS, true),
            Outcome::Left(signal) => (left(signal), false),
        })
    } else {
        let exec = Exec {
            interactive: run.interactive,
            tty: run.tty,
            argv: run.argv,
            env: BTreeMap::new(),
            user: None,
            cwd: None,
        };
        exec_in(&client, &session.id, exec)
            .await
            .map(|code| (code, false))
    };
    if let Ok((code, true)) = ended {
        // Somebody has left it, to come back.
        say(&session.word());
        return Ok(code);
    }
    let removed = gone(&client, &session).await;
    let (code, _) = ended?;
    removed?;
    Ok(code)
}

/// Removes the session.
async fn gone(client: &Client, session: &Session) -> Result<(), RemoteError> {
    let removing = client.request(Method::DELETE, &["sessions", &session.id]);
    client.send(removing).await.map(drop)
}
