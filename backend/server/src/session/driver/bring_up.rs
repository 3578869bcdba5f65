//! Making and starting a sandbox, which a delete may interrupt.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Command, CommandError, Driver, Reply};
use crate::agent::{self, Link};
use crate::runtime::{ProgressSink, Runtime, RuntimeError, SandboxState};
use crate::session::record::{Progress, Record};
use crate::session::state::{Event, State};

/// How long a new sandbox's agent may take to answer.
const AGENT_START: Duration = Duration::from_secs(20);

/// How often the agent of a new sandbox is tried.
const AGENT_POLL: Duration = Duration::from_millis(10);

/// Why a create or start ended without a running sandbox.
enum Interrupted {
    Failed(RuntimeError),
    Deleted(Reply),
    /// The server ends. What is half made is found and removed at the next start.
    Closing,
}

impl Driver {
    /// Makes or starts the sandbox; false when the session was deleted meanwhile.
    pub(super) async fn bring_up(&mut self, create: bool) -> bool {
        match self.try_bring_up(create).await {
            Ok(link) => {
                self.listen(link).await;
                self.publish(|view| view.progress = None);
                let started = self.apply(Event::Started, "ready", None).await;
                if let Err(error) = started {
                    tracing::error!(session.id = %self.record().id, %error, "cannot be recorded");
                }
                true
            }
            Err(Interrupted::Failed(error)) => {
                let id = self.record().id;
                tracing::warn!(session.id = %id, %error, "the sandbox cannot be made");
                let ended = if create {
                    self.runtime.remove(&id).await
                } else {
                    self.runtime.kill(&id).await
                };
                if let Err(error) = ended {
                    tracing::error!(session.id = %id, %error, "what there is of it cannot be ended");
                }
                self.publish(|view| view.progress = None);
                let _ = self
                    .apply(Event::CreateFailed, error.code(), Some(error.to_string()))
                    .await;
                true
            }
            Err(Interrupted::Deleted(reply)) => !self.delete(Some(reply)).await,
            Err(Interrupted::Closing) => false,
        }
    }

    async fn try_bring_up(&mut self, create: bool) -> Result<Link, Interrupted> {
        let record = self.record();
        let runtime = Arc::clone(&self.runtime);
        let sink = watch::Sender::new(None);
        if create {
            let prepared = self.interruptible(&sink, runtime.prepare(&record.spec, &sink));
            prepared.await?;
        }
        let message = if create {
            "Making the sandbox"
        } else {
            "Starting the sandbox"
        };
        self.progress(Some(Progress {
            step: "starting_sandbox",
            message: message.to_owned(),
            current: 0,
            total: None,
        }));
        // An engine that has begun to make a container finishes it, whoever still listens. So this
        // is waited for, and a delete comes after it.
        let made = if create {
            runtime.create(&record.id, &record.spec).await
        } else {
            runtime.start(&record.id).await
        };
        made.map_err(Interrupted::Failed)?;
        let greeted = self.interruptible(&sink, Self::greet(&runtime, &record));
        greeted.await
    }

    /// Does `work`, unless the session is deleted meanwhile. Other commands are refused.
    async fn interruptible<T>(
        &mut self,
        sink: &ProgressSink,
        work: impl Future<Output = Result<T, RuntimeError>>,
    ) -> Result<T, Interrupted> {
        let mut progress = sink.subscribe();
        let closing = self.closing.clone();
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result.map_err(Interrupted::Failed),
                () = closing.cancelled() => return Err(Interrupted::Closing),
                Some((command, reply)) = self.commands.recv() => match command {
                    Command::Delete => return Err(Interrupted::Deleted(reply)),
                    Command::Change(change, version) => {
                        let result = self.change(change, version).await;
                        let _ = reply.send(result.map(|()| self.record()));
                    }
                    Command::Start => {
                        let _ = reply.send(Ok(self.record()));
                    }
                    Command::Stop(_) => {
                        let _ = reply.send(Err(CommandError::State(State::Creating)));
                    }
                },
                Ok(()) = progress.changed() => {
                    let latest = progress.borrow_and_update().clone();
                    self.progress(latest);
                }
            }
        }
    }

    /// Waits for the agent of a new sandbox.
    pub(super) async fn greet(
        runtime: &Arc<dyn Runtime>,
        record: &Record,
    ) -> Result<Link, RuntimeError> {
        let try_all = async {
            loop {
                if let Ok(stream) = runtime.connect(&record.id).await {
                    let mut link = Link::new(stream);
                    if agent::status(&mut link).await.is_ok() {
                        return Ok(link);
                    }
                }
                sleep(AGENT_POLL).await;
                if let SandboxState::Exited { oom, code } = runtime.inspect(&record.id).await? {
                    let cause = match (oom, code) {
                        (true, _) => "it ran out of memory".to_owned(),
                        (false, Some(code)) => format!("it ended with code {code} at once"),
                        (false, None) => continue,
                    };
                    return Err(RuntimeError::Engine {
                        step: "starting the sandbox",
                        cause,
                    });
                }
            }
        };
        timeout(AGENT_START, try_all)
            .await
            .unwrap_or(Err(RuntimeError::Timeout {
                step: "starting the agent",
                limit: AGENT_START,
            }))
    }
}
