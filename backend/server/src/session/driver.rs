//! The task that drives one session: the only one that changes its record, and the only one that
//! makes, stops and removes its sandbox.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shellport_wire::agent::Request;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::record::{Progress, Record, View};
use super::state::{Event, NoTransition, State};
use crate::agent::{self, Link};
use crate::id::SessionId;
use crate::runtime::{ProgressSink, Runtime, RuntimeError, SandboxState};
use crate::store::{Store, StoreError};

/// How long a new sandbox's agent may take to answer.
const AGENT_START: Duration = Duration::from_secs(20);

/// How often the agent of a new sandbox is tried.
const AGENT_POLL: Duration = Duration::from_millis(10);

/// How long an engine may take to notice that a sandbox has ended.
const SETTLE: Duration = Duration::from_secs(10);

/// How often the image's own command is asked after.
const MAIN_POLL: Duration = Duration::from_secs(2);

/// What a session can be asked for.
#[derive(Debug)]
pub enum Command {
    /// End its processes; it can be started again.
    Stop(Option<Duration>),
    /// Start it again.
    Start,
    /// End and forget it.
    Delete,
    /// Change what its owner may change, if the record has this version.
    Change(Change, Option<u64>),
}

/// What an owner may change. The outer `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The name.
    pub name: Option<Option<String>>,
    /// The labels, all of them.
    pub labels: Option<BTreeMap<String, String>>,
    /// How long it lives from now on.
    pub ttl: Option<Option<Duration>>,
    /// How long it may be idle.
    pub idle_timeout: Option<Option<Duration>>,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It makes no sense in the session's state.
    #[error("the session is {}, so this cannot be done", .0.as_str())]
    State(State),
    /// The record has changed in the meantime.
    #[error("the session has changed: it has version {0} now")]
    Version(u64),
    /// The runtime failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session was deleted, or the server is ending.
    #[error("the session is gone")]
    Gone,
}

pub(super) type Reply = oneshot::Sender<Result<Record, CommandError>>;

/// What a driver works with.
pub(super) struct Driver {
    pub runtime: Arc<dyn Runtime>,
    pub store: Store,
    pub activity: Arc<Activity>,
    pub commands: mpsc::Receiver<(Command, Reply)>,
    pub view: watch::Sender<View>,
    pub stop_grace: Duration,
    /// The connection whose end says that the agent has ended.
    pub lifeline: Option<Link>,
    /// Cancelled when the server ends; the sandbox goes on without a driver.
    pub closing: CancellationToken,
}

/// Why a create or start ended without a running sandbox.
enum Interrupted {
    Failed(RuntimeError),
    Deleted(Reply),
    /// The server ends. What is half made is found and removed at the next start.
    Closing,
}

impl Driver {
    /// Drives the session until it is deleted or the server ends. A session in `creating` is made
    /// first.
    pub(super) async fn run(mut self) {
        if self.state() == State::Creating && !self.bring_up(true).await {
            return;
        }
        match self.lifeline {
            Some(_) => self.ask_main().await,
            // Taken over, but its agent did not answer at once.
            None if self.state() == State::Running => self.settle().await,
            None => {}
        }
        loop {
            let deadline = self.deadline();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some((command, reply)) => {
                        if !self.obey(command, reply).await {
                            return;
                        }
                    }
                    None => return,
                },
                () = self.closing.cancelled() => return,
                () = Self::ended(&mut self.lifeline) => self.settle().await,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    if !self.expire().await {
                        return;
                    }
                }
                () = self.activity.changed() => {}
                () = sleep(MAIN_POLL), if self.has_main() => self.ask_main().await,
            }
        }
    }

    fn state(&self) -> State {
        self.view.borrow().record.state
    }

    fn record(&self) -> Record {
        self.view.borrow().record.clone()
    }

    /// Carries out a command; false when the session is gone after it.
    async fn obey(&mut self, command: Command, reply: Reply) -> bool {
        match command {
            Command::Delete => return !self.delete(Some(reply)).await,
            Command::Stop(grace) => {
                let result = match self
                    .apply(Event::StopRequested, "stop_requested", None)
                    .await
                {
                    // Stopping what has stopped is no error.
                    Err(CommandError::State(State::Stopped)) => Ok(()),
                    result => result,
                };
                let stops = result.is_ok() && self.state() == State::Stopping;
                let _ = reply.send(result.map(|()| self.record()));
                if stops {
                    self.stop(grace.unwrap_or(self.stop_grace), "stopped", None)
                        .await;
                }
            }
            Command::Start => {
                if self.state() == State::Running {
                    let _ = reply.send(Ok(self.record()));
                    return true;
                }
                let result = self.apply(Event::StartRequested, "starting", None).await;
                let starts = result.is_ok();
                let _ = reply.send(result.map(|()| self.record()));
                if starts {
                    return self.bring_up(false).await;
                }
            }
            Command::Change(change, version) => {
                let result = self.change(change, version).await;
                let _ = reply.send(result.map(|()| self.record()));
            }
        }
        true
    }

    /// Makes or starts the sandbox; false when the session was deleted meanwhile.
    async fn bring_up(&mut self, create: bool) -> bool {
        match self.try_bring_up(create).await {
            Ok(link) => {
                self.lifeline = Some(link);
                self.publish(|view| view.progress = None);
                let started = self.apply(Event::Started, "ready", None).await;
                if let Err(error) = started {
                    tracing::error!(session.id = %self.record().id, %error, "cannot be recorded");
                }
                self.ask_main().await;
                true
            }
            Err(Interrupted::Failed(error)) => {
                let id = self.record().id;
                tracing::warn!(session.id = %id, %error, "the sandbox cannot be made");
                if create && let Err(error) = self.runtime.remove(&id).await {
                    tracing::error!(session.id = %id, %error, "its remains cannot be removed");
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
        self.publish(|view| {
            view.progress = Some(Progress {
                step: "starting_sandbox",
                message: message.to_owned(),
                current: 0,
                total: None,
            });
        });
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
                    self.publish(|view| view.progress = latest);
                }
            }
        }
    }

    /// Waits for the agent of a new sandbox.
    async fn greet(runtime: &Arc<dyn Runtime>, record: &Record) -> Result<Link, RuntimeError> {
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

    /// Ends the processes of a session that is `stopping`.
    async fn stop(&mut self, grace: Duration, reason: &'static str, message: Option<String>) {
        let id = self.record().id;
        if let Ok(stream) = self.runtime.connect(&id).await {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            let request = Request::Shutdown { grace_ms };
            let limit = grace.saturating_add(Duration::from_secs(5));
            // It closes the connection when it is done; an answer is as good.
            let _ = agent::ask(stream, &request, Some(limit)).await;
        }
        self.lifeline = None;
        let state = match Self::wait_for_end(&self.runtime, &id).await {
            Ok(SandboxState::Running) => match self.runtime.kill(&id).await {
                Ok(()) => Self::wait_for_end(&self.runtime, &id).await,
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
    async fn settle(&mut self) {
        self.lifeline = None;
        let record = self.record();
        let (event, reason, message) = match Self::wait_for_end(&self.runtime, &record.id).await {
            Ok(SandboxState::Running) => {
                // Only the connection has ended, as when the engine was restarted.
                if let Ok(link) = Self::greet(&self.runtime, &record).await {
                    self.lifeline = Some(link);
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
    ) -> Result<SandboxState, RuntimeError> {
        let deadline = Instant::now() + SETTLE;
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
    async fn delete(&mut self, reply: Option<Reply>) -> bool {
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
            self.publish(|view| view.deleted = true);
        }
        if let Some(reply) = reply {
            let _ = reply.send(removed.map(|()| record));
        }
        done
    }

    /// When something is due: the end of the time to live, or of the idle time.
    fn deadline(&self) -> Option<Instant> {
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
    async fn expire(&mut self) -> bool {
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

    async fn change(&mut self, change: Change, version: Option<u64>) -> Result<(), CommandError> {
        let mut record = self.record();
        if version.is_some_and(|version| version != record.version) {
            return Err(CommandError::Version(record.version));
        }
        if let Some(name) = change.name {
            record.name = name;
        }
        if let Some(labels) = change.labels {
            record.labels = labels;
        }
        if let Some(ttl) = change.ttl {
            record.expires_at = ttl.map(|ttl| Timestamp::now() + ttl);
        }
        if let Some(idle_timeout) = change.idle_timeout {
            record.idle_timeout = idle_timeout;
        }
        self.save(record).await
    }

    /// Follows an event to the next state, and stores it.
    async fn apply(
        &mut self,
        event: Event,
        reason: &str,
        message: Option<String>,
    ) -> Result<(), CommandError> {
        let mut record = self.record();
        let before = record.state;
        record.state = before
            .after(event)
            .map_err(|_: NoTransition| CommandError::State(before))?;
        record.reason = Some(reason.to_owned());
        record.message = message;
        let now = Timestamp::now();
        match record.state {
            State::Running if before == State::Creating => {
                record.started_at = Some(now);
                record.ended_at = None;
            }
            State::Stopped | State::Failed | State::Lost => record.ended_at = Some(now),
            _ => {}
        }
        tracing::info!(
            session.id = %record.id,
            from = before.as_str(),
            to = record.state.as_str(),
            reason,
            "state"
        );
        self.save(record).await
    }

    /// Stores a record before anybody sees it.
    async fn save(&mut self, mut record: Record) -> Result<(), CommandError> {
        record.version += 1;
        let stored = self.store.update(&record).await;
        // What has happened has happened, whether or not it could be stored.
        self.publish(|view| view.record = record);
        Ok(stored?)
    }

    fn publish(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(change);
    }

    fn has_main(&self) -> bool {
        let view = self.view.borrow();
        let running = view.main.as_ref().is_some_and(|main| main.exit.is_none());
        running && self.lifeline.is_some()
    }

    /// Asks the agent how the image's own command does.
    async fn ask_main(&mut self) {
        let Some(link) = &mut self.lifeline else {
            return;
        };
        // When it does not answer, the end of the connection says so next.
        if let Ok(status) = agent::status(link).await
            && self.view.borrow().main != status.main
        {
            self.publish(|view| view.main = status.main);
        }
    }

    /// Returns when the agent has closed the connection, or says on it what was not asked for.
    async fn ended(lifeline: &mut Option<Link>) {
        match lifeline {
            Some(link) => drop(link.reader.next().await),
            None => std::future::pending().await,
        }
    }
}
