//! The sessions that there are, and the way to their drivers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Activity;
use super::driver::{Command, CommandError, Driver};
use super::record::{Record, View};
use super::slots::{Slot, Slots};
use super::spec::Spec;
use super::state::State;
use crate::agent::Link;
use crate::events::{Log, Valve, What};
use crate::id::SessionId;
use crate::runtime::Runtime;
use crate::store::{Store, StoreError};

/// The most commands that wait for one session.
const MAX_COMMANDS: usize = 16;

/// How much longer than its grace a stop may take.
const STOP: Duration = Duration::from_secs(20);

/// A session to create.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// What its sandbox is made from.
    pub spec: Spec,
    /// See [`Record`].
    pub name: Option<String>,
    /// See [`Record`].
    pub owner: String,
    /// See [`Record`].
    pub labels: BTreeMap<String, String>,
    /// How long it lives.
    pub ttl: Option<Duration>,
    /// See [`Record`].
    pub idle_timeout: Option<Duration>,
    /// The caller's idempotency key, and a digest of the request it stands for.
    pub key: Option<(String, String)>,
}

/// Why a session was not created.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There are as many as are allowed.
    #[error("there are {0} sessions already, which is the most that are allowed here")]
    TooMany(usize),
    /// The key came with another request before.
    #[error("this Idempotency-Key came with a different request before")]
    KeyReused,
    /// The session that the key made has been deleted.
    #[error("the session that this Idempotency-Key made has been deleted")]
    KeySpent,
    /// A request with this key is being worked on.
    #[error("a request with this Idempotency-Key is being worked on")]
    KeyBusy,
    /// The server is ending.
    #[error("the server is shutting down")]
    Closing,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A session that can be asked and watched.
#[derive(Clone)]
pub struct Session {
    commands: mpsc::Sender<(Command, oneshot::Sender<Result<Record, CommandError>>)>,
    view: watch::Receiver<View>,
    activity: Arc<Activity>,
}

impl Session {
    /// The session at this moment.
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Tells every change from now on.
    pub fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Who uses it.
    pub fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Asks its driver for something, and returns the record after it.
    ///
    /// # Errors
    /// The driver's answer.
    pub async fn ask(&self, command: Command) -> Result<Record, CommandError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send((command, reply)).await;
        sent.map_err(|_| CommandError::Gone)?;
        answer.await.unwrap_or(Err(CommandError::Gone))
    }
}

/// Every session of this server.
pub struct Registry {
    runtime: Arc<dyn Runtime>,
    store: Store,
    max_sessions: usize,
    slots: Slots,
    stop_grace: Duration,
    events: Arc<Log>,
    sessions: RwLock<HashMap<SessionId, Session>>,
    /// The idempotency keys that are being worked on.
    keys: std::sync::Mutex<std::collections::HashSet<(String, String)>>,
    /// One of them no longer is.
    released: Notify,
    drivers: TaskTracker,
    closing: CancellationToken,
}

impl Registry {
    /// An empty registry.
    pub fn new(
        runtime: Arc<dyn Runtime>,
        store: Store,
        max_sessions: usize,
        stop_grace: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            store,
            max_sessions,
            slots: Slots::default(),
            stop_grace,
            events: Arc::default(),
            sessions: RwLock::default(),
            keys: std::sync::Mutex::default(),
            released: Notify::new(),
            drivers: TaskTracker::new(),
            closing: CancellationToken::new(),
        })
    }

    /// What happens to its sessions.
    pub fn events(&self) -> &Arc<Log> {
        &self.events
    }

    /// What makes the sandboxes.
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Begins to create a session, or finds the one that its key has made; tells which.
    ///
    /// # Errors
    /// Too many sessions, or a key that stands for something else.
    pub async fn create(
        self: &Arc<Self>,
        new: NewSession,
    ) -> Result<(Session, bool), RegistryError> {
        let _working = match &new.key {
            None => None,
            Some((key, request)) => {
                let working = self.claim(&new.owner, key).ok_or(RegistryError::KeyBusy)?;
                if let Some(remembered) = self.store.remembered(&new.owner, key).await? {
                    if remembered.request != *request {
                        return Err(RegistryError::KeyReused);
                    }
                    let session = self.find(&remembered.session);
                    return session
                        .map(|session| (session, false))
                        .ok_or(RegistryError::KeySpent);
                }
                Some(working)
            }
        };
        if self.drivers.is_closed() {
            return Err(RegistryError::Closing);
        }
        let now = Timestamp::now();
        let record = Record {
            id: SessionId::random(),
            name: new.name,
            owner: new.owner,
            labels: new.labels,
            runtime: self.runtime.info().name.to_owned(),
            state: State::Creating,
            reason: Some("requested".to_owned()),
            message: None,
            created_at: now,
            started_at: None,
            ended_at: None,
            expires_at: new.ttl.map(|ttl| now + ttl),
            idle_timeout: new.idle_timeout,
            version: 1,
            spec: new.spec,
        };
        let slot = self
            .slots
            .take_below(self.max_sessions)
            .ok_or(RegistryError::TooMany(self.max_sessions))?;
        // In a task of its own: a client that goes now must not leave a record without a driver.
        let registry = Arc::clone(self);
        let created = tokio::spawn(async move {
            registry.store.insert(&record, new.key).await?;
            registry.events.tell(&record.id, now, What::Created);
            Ok(registry.drive(record, None, slot))
        });
        let session = created.await.unwrap_or(Err(RegistryError::Closing))?;
        Ok((session, true))
    }

    /// Takes over a session of a server before this one, however many there are.
    pub(super) fn take_over(self: &Arc<Self>, record: Record, link: Option<Link>) {
        let slot = self.slots.take();
        self.drive(record, link, slot);
    }

    /// Starts the driver of a session that is stored.
    fn drive(self: &Arc<Self>, record: Record, link: Option<Link>, slot: Slot) -> Session {
        let id = record.id.clone();
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let (view, watcher) = watch::channel(View {
            record,
            progress: None,
            main: None,
            limitations: self.runtime.info().limitations.clone(),
            deleted: false,
        });
        let activity = Activity::new();
        let session = Session {
            commands: sender,
            view: watcher,
            activity: Arc::clone(&activity),
        };
        let driver = Driver {
            runtime: Arc::clone(&self.runtime),
            store: self.store.clone(),
            activity,
            commands,
            view,
            stop_grace: self.stop_grace,
            lifeline: None,
            events: Arc::clone(&self.events),
            valve: Valve::default(),
            told: None,
            slot: Some(slot),
            closing: self.closing.clone(),
        };
        self.lock_write().insert(id.clone(), session.clone());
        let registry = Arc::clone(self);
        self.drivers.spawn(async move {
            driver.run(link).await;
            registry.lock_write().remove(&id);
        });
        session
    }

    /// The session with this id.
    pub fn find(&self, id: &SessionId) -> Option<Session> {
        self.lock_read().get(id).cloned()
    }

    /// The newest session of this owner with this name.
    pub fn named(&self, owner: &str, name: &str) -> Option<Session> {
        let sessions = self.lock_read();
        let theirs = sessions.values().filter(|session| {
            let view = session.view.borrow();
            let record = &view.record;
            !view.deleted && record.owner == owner && record.name.as_deref() == Some(name)
        });
        let newest = theirs.max_by_key(|session| session.view.borrow().record.created_at);
        newest.cloned()
    }

    /// Waits until nobody else works on the session of this owner with this name.
    pub async fn reserve_name(self: &Arc<Self>, owner: &str, name: &str) -> impl Drop + use<> {
        // No idempotency key has a control character.
        let key = format!("\n{name}");
        loop {
            let released = self.released.notified();
            if let Some(working) = self.claim(owner, &key) {
                return working;
            }
            released.await;
        }
    }

    /// Every session, the newest first.
    pub fn list(&self) -> Vec<View> {
        let mut views: Vec<View> = self.lock_read().values().map(Session::view).collect();
        views.retain(|view| !view.deleted);
        views.sort_by(|a, b| {
            let key = |view: &View| (view.record.created_at, view.record.id.clone());
            key(b).cmp(&key(a))
        });
        views
    }

    /// Lets drivers finish what they are in the middle of and end. Sandboxes go on, unless `stop`.
    pub async fn close(&self, stop: bool) {
        self.drivers.close();
        let sessions: Vec<Session> = self.lock_read().values().cloned().collect();
        if stop {
            let stops = sessions
                .iter()
                .map(|session| session.ask(Command::Stop(None)));
            futures_util::future::join_all(stops).await;
            let settle = async {
                for session in &sessions {
                    let settled = |view: &View| !view.record.state.is_live();
                    let _ = session.watch().wait_for(settled).await;
                }
            };
            if timeout(self.stop_grace + STOP, settle).await.is_err() {
                tracing::warn!("some sessions did not stop in time");
            }
        }
        self.closing.cancel();
        self.drivers.wait().await;
    }

    fn claim(self: &Arc<Self>, owner: &str, key: &str) -> Option<Working> {
        let key = (owner.to_owned(), key.to_owned());
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.clone()).then(|| Working {
            registry: Arc::clone(self),
            key,
        })
    }

    fn lock_read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<SessionId, Session>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<SessionId, Session>> {
        self.sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An idempotency key that is being worked on.
struct Working {
    registry: Arc<Registry>,
    key: (String, String),
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut keys = self
            .registry
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
        self.registry.released.notify_waiters();
    }
}
