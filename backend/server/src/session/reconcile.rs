//! What a server finds when it starts: its records, and the sandboxes that an earlier one made.

use std::sync::Arc;

use jiff::Timestamp;

use super::record::Record;
use super::registry::Registry;
use super::state::State;
use crate::agent::Link;
use crate::runtime::{RuntimeError, SandboxState};
use crate::store::StoreError;

/// Why a server cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The engine.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Registry {
    /// Takes over the sessions of an earlier server: goes on with those whose sandboxes run, says of
    /// the others what became of them, and removes sandboxes without a record. What belongs to
    /// another instance is not even listed.
    ///
    /// # Errors
    /// When the engine or the store cannot be read. Nothing has been removed then.
    pub async fn reconcile(self: &Arc<Self>) -> Result<(), ReconcileError> {
        let (records, unreadable) = self.store().load().await?;
        let sandboxes = self.runtime().list().await?;
        for id in &sandboxes {
            let known = records.iter().any(|record| record.id == *id);
            // What a newer server has written is not taken for nothing.
            if !known && !unreadable.iter().any(|it| it == id.as_str()) {
                tracing::info!(session.id = %id, "a sandbox without a session is removed");
                if let Err(error) = self.runtime().remove(id).await {
                    tracing::error!(session.id = %id, %error, "it cannot be removed");
                }
            }
        }
        for record in records {
            let (record, link) = self.adopt(record).await?;
            self.take_over(record, link);
        }
        Ok(())
    }

    async fn adopt(&self, mut record: Record) -> Result<(Record, Option<Link>), ReconcileError> {
        let before = record.state;
        let mut link = None;
        let found = self.runtime().inspect(&record.id).await?;
        let now = |state, reason: &str, message: &str| {
            (state, Some(reason.to_owned()), Some(message.to_owned()))
        };
        let half_made = before == State::Creating && record.started_at.is_none();
        if half_made && found != SandboxState::Missing {
            // What there is of it is of no use.
            self.runtime().remove(&record.id).await?;
        }
        let (state, reason, message) = match (before, found) {
            (State::Creating, _) if half_made => now(
                State::Failed,
                "interrupted",
                "the server ended while it made the sandbox",
            ),
            (State::Failed, _)
            | (State::Stopped, SandboxState::Exited { .. })
            | (State::Lost, SandboxState::Missing) => (before, record.reason, record.message),
            (_, SandboxState::Running) => {
                link = self.runtime().connect(&record.id).await.ok().map(Link::new);
                if before == State::Running {
                    (before, record.reason, record.message)
                } else {
                    (State::Running, Some("found".to_owned()), None)
                }
            }
            (_, SandboxState::Exited { oom: true, .. }) => now(
                State::Failed,
                "oom",
                "the sandbox ran out of memory while the server was away",
            ),
            (_, SandboxState::Exited { .. }) => now(
                State::Stopped,
                "exited",
                "the sandbox ended while the server was away",
            ),
            (_, SandboxState::Missing) => now(
                State::Lost,
                "sandbox_missing",
                "the sandbox is no longer there",
            ),
        };
        (record.state, record.reason, record.message) = (state, reason, message);
        if state != before {
            if !state.is_live() {
                record.ended_at = Some(Timestamp::now());
            }
            record.version += 1;
            self.store().update(&record).await?;
        }
        tracing::info!(session.id = %record.id, state = state.as_str(), "taken over");
        Ok((record, link))
    }
}
