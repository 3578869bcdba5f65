//! A command that is run to its end, over as many connections to its agent as it takes.

use std::time::Duration;

use bytes::Bytes;
use shellport_wire::agent::{Exec, Program, RefusalCode, Request};
use shellport_wire::exit::Exit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::agent::{self, AgentError, Collected};
use crate::http::App;
use crate::http::problem::Problem;
use crate::http::terminals::running;
use crate::id::random_tag;
use crate::runtime::{RuntimeError, Stream};
use crate::session::Session;

/// How much longer than its time a command may take to be ended.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long an agent whose connection broke may be away.
const AWAY: Duration = Duration::from_secs(10);

/// The most connections to an agent for one command. Nothing breaks so often by itself.
const CONNECTIONS: usize = 16;

/// Between tries to reach it.
const RETRY: Duration = Duration::from_millis(200);

/// How long a command waits for the server to come back, which may take [`AWAY`] and an answer.
const LINGER: Duration = Duration::from_secs(30);

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
        match followed {
            Some(Ok(exit)) => Ok(Ended {
                name: self.exec.exec,
                collected: self.collected,
                exit,
            }),
            // It was not started.
            Some(Err(AgentError::Refused(refusal))) => Err(AgentError::Refused(refusal).into()),
            Some(Err(error)) => {
                self.stop();
                Err(error.into())
            }
            None => {
                self.stop();
                Err(AgentError::Silent.into())
            }
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Problem> {
        let id = running(&self.session)?;
        Ok(self.app.registry.runtime().connect(&id).await?)
    }

    /// Follows the command, on one connection after another if need be.
    async fn follow(&mut self, mut stream: Box<dyn Stream>) -> Result<Exit, AgentError> {
        let mut request = Request::Exec(self.exec.clone());
        let mut broken = None;
        for _ in 0..CONNECTIONS {
            match agent::follow(stream, &request, &self.stdin, &mut self.collected).await {
                Err(error) if error.is_broken() => {
                    let Ok(Some(again)) = timeout(AWAY, self.reconnect()).await else {
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
        Err(broken.unwrap_or(AgentError::Closed))
    }

    /// Another connection, once there is one; none when the session has ended.
    async fn reconnect(&self) -> Option<Box<dyn Stream>> {
        loop {
            sleep(RETRY).await;
            if self.session.view().deleted {
                return None;
            }
            let id = running(&self.session).ok()?;
            match self.app.registry.runtime().connect(&id).await {
                Ok(stream) => return Some(stream),
                Err(RuntimeError::Missing) => return None,
                Err(_) => {}
            }
        }
    }

    /// Has the command ended. One whose agent cannot be told ends by itself, when nobody follows it.
    fn stop(self) {
        let request = Request::StopExec {
            exec: self.exec.exec.clone(),
            grace_ms: milliseconds(GRACE),
        };
        let tracker = self.app.connections.clone();
        tracker.spawn(async move {
            if let Ok(stream) = self.connect().await {
                let _ = agent::ask(stream, &request, None).await;
            }
        });
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
