//! The ends of a sandbox: asked for, by itself, by a deadline, or for good.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shellport_wire::agent::Request;
use tokio::time::{Instant, sleep};

use super::{CommandError, Driver, Reply};
use crate::agent;
use crate::events::What;
use crate::id::SessionId;
use crate::runtime::{Runtime, RuntimeError, SandboxState};
use crate::session::state::{Event, State};

/// How long after the end of a sandbox it may turn out to be gone altogether.
const REMOVAL: Duration = Duration::from_millis(300);

/// How long an engine may take to notice that a sandbox has ended.
const SETTLE: Duration = Duration::from_secs(10);

impl Driver {
    /// Ends the processes of a session that is `stopping`.
    pub(super) async fn stop(
        &mut self,
        grace: Duration,
        reason: &'static str,
        message: Option<String>,
    ) {
        let id = self.record().id;
        if let Ok(stream) = self.runtime.connect(&id).await {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            let request = Request::Shutdown { grace_ms };
            let limit = grace.saturating_add(Duration::from_secs(5));
            // It closes the connection when it is done; an answer is as good.
            let asked = agent::ask(stream, &request, Some(limit));
            let _ = self.listening(asked).await;
        }
        self.lifeline = None;
        // The connection may have ended before the processes have.
        let limit = grace.saturating_add(SETTLE);
        let state = match Self::wait_for_end(&self.runtime, &id, limit).await {
            Ok(SandboxState::Running) => match self.runtime.kill(&id).await {
                Ok(()) => Self::wait_for_end(&self.runtime, &id, SETTLE).await,
                Err(error) => Err(error),
            },
            state => state,
        };
        let result = match state {
            Ok(SandboxState::Missing) => {
                let message = "the sandbox is no longer there".to_owned();
                self.apply(Event::Vanished, "sandbox_missing", Some(message))
                    .await
            }
            Ok(_) => {
                self.apply(Event::Exited { error: false }, reason, message)
                    .await
            }
            Err(error) => {
                tracing::error!(session.id = %id, %error, "it cannot be stopped");
                self.apply(Event::Found, "stop_failed", Some(error.to_string()))
                    .await
            }
        };
        if let Err(error) = result {
            tracing::error!(session.id = %id, %error, "its stop cannot be recorded");
        }
    }

    /// The agent's connection has ended: finds out what became of the sandbox.
    pub(super) async fn settle(&mut self) {
        self.lifeline = None;
        let record = self.record();
        let mut state = Self::wait_for_end(&self.runtime, &record.id, SETTLE).await;
        if let Ok(SandboxState::Exited { .. }) = state {
            // Whoever removes a container kills it first.
            sleep(REMOVAL).await;
            state = self.runtime.inspect(&record.id).await;
        }
        let (event, reason, message) = match state {
            Ok(SandboxState::Running) => {
                // Only the connection has ended, as when the engine was restarted.
                if let Ok(link) = Self::greet(&self.runtime, &record).await {
                    self.listen(link).await;
                    return;
                }
                let killed = self.runtime.kill(&record.id).await;
                tracing::error!(session.id = %record.id, ?killed, "the agent no longer answers");
                let message = "the sandbox's agent no longer answered";
                (
                    Event::Exited { error: true },
                    "agent_lost",
                    message.to_owned(),
                )
            }
            Ok(SandboxState::Exited { oom: true, .. }) => {
                let message = "the sandbox ran out of memory".to_owned();
                (Event::Exited { error: true }, "oom", message)
            }
            Ok(SandboxState::Exited { code, .. }) => {
                let message = match code {
                    Some(code) => format!("the sandbox ended with code {code}"),
                    None => "the sandbox ended".to_owned(),
                };
                (Event::Exited { error: false }, "exited", message)
            }
            Ok(SandboxState::Missing) => {
                let message = "the sandbox is no longer there".to_owned();
                (Event::Vanished, "sandbox_missing", message)
            }
            Err(error) => {
                tracing::error!(session.id = %record.id, %error, "what became of it is not known");
                (Event::Vanished, "engine_unreachable", error.to_string())
            }
        };
        if let Err(error) = self.apply(event, reason, Some(message)).await {
            tracing::error!(session.id = %record.id, %error, "its end cannot be recorded");
        }
    }

    /// The sandbox's state once it no longer runs, or when that takes too long.
    async fn wait_for_end(
        runtime: &Arc<dyn Runtime>,
        id: &SessionId,
        limit: Duration,
    ) -> Result<SandboxState, RuntimeError> {
        let deadline = Instant::now() + limit;
        loop {
            let state = runtime.inspect(id).await;
            match state {
                Ok(SandboxState::Running) | Err(RuntimeError::Unreachable { .. })
                    if Instant::now() < deadline =>
                {
                    sleep(Duration::from_millis(50)).await;
                }
                state => return state,
            }
        }
    }

    /// Ends and forgets the session; false when that did not work, and it is still there.
    pub(super) async fn delete(&mut self, reply: Option<Reply>) -> bool {
        let record = self.record();
        self.lifeline = None;
        let removed = match self.runtime.remove(&record.id).await {
            Ok(()) => self.store.delete(&record.id).await.map_err(Into::into),
            Err(error) => Err(CommandError::from(error)),
        };
        let done = removed.is_ok();
        if let Err(error) = &removed {
            tracing::error!(session.id = %record.id, %error, "it cannot be deleted");
        } else {
            tracing::info!(session.id = %record.id, "deleted");
            self.slot = None;
            self.publish(|view| view.deleted = true);
            self.tell(Timestamp::now(), What::Deleted);
        }
        if let Some(reply) = reply {
            let _ = reply.send(removed.map(|()| record));
        }
        done
    }

    /// When something is due: the end of the time to live, or of the idle time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let record = self.record();
        let idle = match (
            record.state,
            record.idle_timeout,
            self.activity.idle_since(),
        ) {
            (State::Running, Some(limit), Some(since)) => Some(since + limit),
            _ => None,
        };
        let expiry = record.expires_at.map(|at| {
            let left = Timestamp::now().duration_until(at);
            Instant::now() + Duration::try_from(left).unwrap_or(Duration::ZERO)
        });
        idle.into_iter().chain(expiry).min()
    }

    /// Does what is due; false when the session is gone after it.
    pub(super) async fn expire(&mut self) -> bool {
        let record = self.record();
        let expired = record.expires_at.is_some_and(|at| at <= Timestamp::now());
        if expired {
            tracing::info!(session.id = %record.id, "its time to live is over");
            if record.state == State::Running
                && self
                    .apply(Event::StopRequested, "ttl_expired", None)
                    .await
                    .is_ok()
            {
                self.stop(self.stop_grace, "ttl_expired", None).await;
            }
            if self.delete(None).await {
                return false;
            }
            // The engine is away: again in a while.
            sleep(SETTLE).await;
        } else if self.deadline().is_some_and(|at| at <= Instant::now())
            && self
                .apply(Event::StopRequested, "idle_timeout", None)
                .await
                .is_ok()
        {
            tracing::info!(session.id = %record.id, "nobody used it for too long");
            let message = "nobody used it for longer than its idle time-out".to_owned();
            self.stop(self.stop_grace, "idle_timeout", Some(message))
                .await;
        }
        true
    }
}
