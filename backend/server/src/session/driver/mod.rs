//! The task that drives one session: the only one that changes its record, and the only one that
//! makes, stops and removes its sandbox.

mod bring_up;
mod end;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::record::{Record, View};
use super::slots::Slot;
use super::state::{Event, NoTransition, State};
use crate::agent::{self, Link};
use crate::runtime::{Runtime, RuntimeError};
use crate::store::{Store, StoreError};

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
    /// Its place among the sessions that are allowed; given up when it is deleted.
    pub slot: Option<Slot>,
    /// Cancelled when the server ends; the sandbox goes on without a driver.
    pub closing: CancellationToken,
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
