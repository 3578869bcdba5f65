//! Whether anybody uses a session.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Counts the viewers and execs of a session.
#[derive(Debug)]
pub struct Activity {
    state: Mutex<(usize, Instant)>,
    changed: Notify,
}

impl Activity {
    /// Idle from now on.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new((0, Instant::now())),
            changed: Notify::new(),
        })
    }

    /// Since when the session is idle; none while it is used.
    pub fn idle_since(&self) -> Option<Instant> {
        let (active, since) = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (active == 0).then_some(since)
    }

    /// Returns when the session was idle and is used, or the other way round.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Counts one viewer or exec for as long as the result lives.
    pub fn begin(self: &Arc<Self>) -> InUse {
        self.step(|active| active + 1);
        InUse(Arc::clone(self))
    }

    fn step(&self, count: impl FnOnce(usize) -> usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (count(state.0), Instant::now());
        drop(state);
        self.changed.notify_one();
    }
}

/// See [`Activity::begin`].
#[derive(Debug)]
pub struct InUse(Arc<Activity>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.step(|active| active - 1);
    }
}
