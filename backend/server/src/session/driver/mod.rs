//! The task that drives one session: the only one that changes its record, and the only one that
//! makes, stops and removes its sandbox.

mod bring_up;
mod end;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shellport_wire::agent::Happened;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::record::{Progress, Record, View};
use super::slots::Slot;
use super::state::{Event, NoTransition, State};
use crate::agent::{Heard, Lifeline, Link};
use crate::events::{Log, Valve, What};
use crate::runtime::{Runtime, RuntimeError};
use crate::store::{Store, StoreError};

/// For how long a sandbox that tells too much is not listened to.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an agent's last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often the progress of a making is told to those who follow events.
const PROGRESS: Duration = Duration::from_millis(500);

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
    pub lifeline: Option<Lifeline>,
    /// Where what happens is told.
    pub events: Arc<Log>,
    /// How much of that may come from the sandbox.
    pub valve: Valve,
    /// What was told last of the making, and when.
    pub told: Option<(&'static str, Instant)>,
    /// Its place among the sessions that are allowed; given up when it is deleted.
    pub slot: Option<Slot>,
    /// Cancelled when the server ends; the sandbox goes on without a driver.
    pub closing: CancellationToken,
}

impl Driver {
    /// Drives the session until it is deleted or the server ends. A session in `creating` is made
    /// first; one that is taken over may have a connection to its agent.
    pub(super) async fn run(mut self, link: Option<Link>) {
        if self.state() == State::Creating && !self.bring_up(true).await {
            return;
        }
        if let Some(link) = link {
            self.listen(link).await;
        }
        if self.state() == State::Running && self.lifeline.is_none() {
            // Taken over, but its agent could not be reached at once.
            self.settle().await;
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
                heard = Self::heard(&mut self.lifeline), if self.valve.is_open() => {
                    self.valve.take();
                    if !self.note(heard) {
                        self.settle().await;
                    }
                }
                () = sleep(PAUSE), if !self.valve.is_open() => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    if !self.expire().await {
                        return;
                    }
                }
                () = self.activity.changed() => {}
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
        let what = What::State {
            state: record.state,
            reason: reason.to_owned(),
            message: record.message.clone(),
        };
        let id = record.id.clone();
        let saved = self.save(record).await;
        self.events.tell(&id, now, what);
        saved
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

    /// Publishes how far the making is, and tells of it now and then.
    fn progress(&mut self, progress: Option<Progress>) {
        if let Some(Progress {
            step,
            current,
            total,
            ..
        }) = progress
        {
            let now = Instant::now();
            let is_known = |(told, at): &(&str, Instant)| *told == step && now - *at < PROGRESS;
            if !self.told.as_ref().is_some_and(is_known) {
                self.told = Some((step, now));
                let what = What::Progress {
                    step,
                    current,
                    total,
                };
                self.tell(Timestamp::now(), what);
            }
        }
        self.publish(|view| view.progress = progress);
    }

    fn tell(&self, at: Timestamp, what: What) {
        self.events.tell(&self.view.borrow().record.id, at, what);
    }

    /// Follows the agent from now on.
    async fn listen(&mut self, link: Link) {
        let mut lifeline = Lifeline::new(link).await;
        let status = lifeline.status().await;
        self.lifeline = Some(lifeline);
        if let Some(status) = status {
            self.note(Heard::Status(status));
        }
    }

    /// What the agent says next; never anything when there is none.
    async fn heard(lifeline: &mut Option<Lifeline>) -> Heard {
        match lifeline {
            Some(lifeline) => lifeline.next().await,
            None => std::future::pending().await,
        }
    }

    /// Notes what the agent says; false when it has ended.
    fn note(&mut self, heard: Heard) -> bool {
        match heard {
            Heard::Status(status) => {
                if self.view.borrow().main != status.main {
                    self.publish(|view| view.main = status.main);
                }
            }
            Heard::Event(at_ms, happened) => {
                if let Happened::MainEnded { exit } = &happened {
                    let exit = exit.clone();
                    self.publish(|view| {
                        if let Some(main) = &mut view.main {
                            main.exit = Some(exit);
                        }
                    });
                }
                let at = i64::try_from(at_ms).map(Timestamp::from_millisecond);
                let at = at.ok().and_then(Result::ok).unwrap_or_else(Timestamp::now);
                self.tell(at, What::inside(happened));
            }
            Heard::Missed(count) => self.tell(Timestamp::now(), What::Dropped(count)),
            Heard::Ended => {
                self.lifeline = None;
                return false;
            }
        }
        true
    }

    /// Listens to the agent while `work` goes on, and for a while after it, so that its last words are heard.
    async fn listening<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                heard = Self::heard(&mut self.lifeline) => drop(self.note(heard)),
            }
        };
        let last = async {
            while self.lifeline.is_some() {
                let heard = Self::heard(&mut self.lifeline).await;
                self.note(heard);
            }
        };
        let _ = timeout(LAST_WORDS, last).await;
        done
    }
}
