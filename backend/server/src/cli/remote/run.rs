//! `shellport run --remote`: a program in a session of its own, which goes with it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::attach::{Attaching, Outcome};
use super::client::{Client, Session};
use super::exec::{Exec, ended, exec_in};
use super::sessions::{fields, made_ready};
use super::{RemoteError, ServerPlace};
use crate::cli::container::{CommandError, left};
use crate::cli::say;
use crate::cli::streams::Signals;
use crate::id::random_tag;

/// The label by which a session is found whose making was not answered.
const LABEL: &str = "shellport-run";

/// How long the making of a session that nobody wants any more is waited for. Then it is ended.
const SETTLING: Duration = Duration::from_secs(2);

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
    let mut signals = Signals::take().map_err(CommandError::host("being told of signals"))?;
    let tag = random_tag();
    let mut body = run.session.clone();
    // Its own command would run beside the one that is asked for.
    let command = match (run.detach, run.argv.is_empty()) {
        (true, true) => None,
        (true, false) => Some(run.argv.clone()),
        (false, _) => Some(vec!["/bin/sh".to_owned()]),
    };
    body.extend(fields([
        ("image", json!(run.image)),
        ("labels", json!({ LABEL: tag })),
        ("command", json!(command)),
    ]));
    let asked = client.post(&["sessions"]).json(&body);
    let mut making = std::pin::pin!(async {
        let made: Session = client.json(asked).await?;
        made_ready(&client, &made.id).await
    });
    let made = tokio::select! {
        made = &mut making => made,
        signal = signals.next() => {
            // What has been asked for is made, whether or not its answer is heard.
            let _ = timeout(SETTLING, making).await;
            remove(&client, &tag).await;
            return Ok(left(signal));
        }
    };
    let session = match made {
        Ok(session) => session,
        Err(error) => {
            remove(&client, &tag).await;
            return Err(error.into());
        }
    };
    let outcome = if run.detach {
        Ok(Outcome::Detached)
    } else {
        run_in(&client, &session.id, run, &mut signals).await
    };
    if let Ok(Outcome::Detached) = outcome {
        // Somebody has left it, to come back.
        say(&session.word());
    } else {
        remove(&client, &tag).await;
    }
    ended(outcome?)
}

async fn run_in(
    client: &Client,
    session: &str,
    run: Run,
    signals: &mut Signals,
) -> Result<Outcome, CommandError> {
    if run.argv.is_empty() {
        let attaching = Attaching::new(client.clone(), session, "main", run.interactive, signals)?;
        return attaching.relay().await;
    }
    let exec = Exec {
        interactive: run.interactive,
        tty: run.tty,
        argv: run.argv,
        env: BTreeMap::new(),
        user: None,
        cwd: None,
    };
    exec_in(client, session, exec, signals).await
}

/// Removes the session with this tag, as far as it was made. The program's own end counts for more than that.
async fn remove(client: &Client, tag: &str) {
    let removing = async {
        let label = format!("{LABEL}={tag}");
        let made: Vec<Session> = client.all(&["sessions"], &[("label", &label)]).await?;
        for session in made {
            let gone = client.request(Method::DELETE, &["sessions", &session.id]);
            match client.send(gone).await {
                Ok(_) | Err(RemoteError::Problem { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    if let Err(error) = removing.await {
        tracing::warn!("the session is left: {error}");
    }
}
