//! A command that is run to its end, over as many connections to its agent as it takes.

use std::time::Duration;

use bytes::Bytes;
use shellport_wire::agent::{Exec, Program, RefusalCode, Request};
use shellport_wire::exit::Exit;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::agent::{self, AgentError, Collected};
use crate::http::App;
use crate::http::problem::Problem;
use crate::http::terminals::running;
use crate::id::random_tag;
use crate::runtime::Stream;
use crate::session::Session;

/// How much longer than its time a command may take to be ended.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long an agent whose connection broke may be away.
const AWAY: Duration = Duration::from_secs(10);

/// Between tries to reach it.
const RETRY: Duration = Duration::from_millis(200);

/// How long a command waits for the server to come back.
const LINGER: Duration = Duration::from_secs(20);

/// Between asking a command to end, whose client has gone, and killing it.
const GRACE: Duration = Duration::from_secs(2);

/// A command and what has come of it.
pub struct Run {
    app: App,
    session: Session,
    exec: Exec,
    stdin: Bytes,
    limit: Duration,
    collected: Collected,
}

/// A command that has ended.
pub struct Ended {
    /// Its name.
    pub name: String,
    /// What it wrote.
    pub collected: Collected,
    /// How it ended.
    pub exit: Exit,
}

impl Run {
    /// Of `program`, which gets `stdin` and may take as long as `limit`. At most `max` bytes of
    /// each stream are collected.
    pub fn new(
        app: App,
        session: Session,
        program: Program,
        stdin: Option<String>,
        limit: Duration,
        max: usize,
    ) -> Self {
        Self {
            app,
            session,
            exec: Exec {
                exec: random_tag(),
                program,
                stdin: stdin.is_some(),
                timeout_ms: Some(milliseconds(limit)),
                linger_ms: Some(milliseconds(LINGER)),
            },
            stdin: stdin.unwrap_or_default().into(),
            limit,
            collected: Collected::new(max),
        }
    }

    /// Runs the command until it ends; stops it when `gone` is cancelled.
    ///
    /// # Errors
    /// When it did not run, or its end was not seen.
    pub async fn until_end(mut self, gone: CancellationToken) -> Result<Ended, Problem> {
        let _in_use = self.session.activity().begin();
        let stream = self.connect().await?;
        self.app.metrics.execs.inc();
        // The agent ends the command when its time is over; one that does not is not waited for.
        let limit = self.limit.saturating_add(PATIENCE);
        let followed = tokio::select! {
            followed = timeout(limit, self.follow(stream)) => followed.ok(),
            () = gone.cancelled() => None,
        };
        let Some(exit) = followed else {
            self.stop().await;
            return Err(AgentError::Silent.into());
        };
        Ok(Ended {
            name: self.exec.exec,
            collected: self.collected,
            exit: exit?,
        })
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Problem> {
        let id = running(&self.session)?;
        Ok(self.app.registry.runtime().connect(&id).await?)
    }

    /// Follows the command, on one connection after another if need be.
    async fn follow(&mut self, mut stream: Box<dyn Stream>) -> Result<Exit, AgentError> {
        let mut request = Request::Exec(self.exec.clone());
        let mut broken = None;
        loop {
            match agent::follow(stream, &request, &self.stdin, &mut self.collected).await {
                Err(error) if error.is_broken() => {
                    let Some(again) = self.reconnect().await else {
                        return Err(error);
                    };
                    stream = again;
                    broken = Some(error);
                }
                // It was known before, so the agent is another one, and the end was not seen.
                Err(AgentError::Refused(refusal)) if refusal.code == RefusalCode::NotFound => {
                    return Err(broken.unwrap_or(AgentError::Refused(refusal)));
                }
                result => return result,
            }
            request = self.collected.next(&self.exec.exec);
        }
    }

    /// Another connection, if the agent comes back in time.
    async fn reconnect(&self) -> Option<Box<dyn Stream>> {
        let deadline = Instant::now() + AWAY;
        while Instant::now() < deadline {
            sleep(RETRY).await;
            running(&self.session).ok()?;
            if let Ok(stream) = self.connect().await {
                return Some(stream);
            }
        }
        None
    }

    async fn stop(&self) {
        let request = Request::StopExec {
            exec: self.exec.exec.clone(),
            grace_ms: milliseconds(GRACE),
        };
        if let Ok(stream) = self.connect().await {
            // One that cannot be told ends by itself, when nobody follows it.
            let _ = agent::ask(stream, &request, None).await;
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
