//! A session as it is stored and shown.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shellport_wire::agent::MainProcess;

use super::spec::Spec;
use super::state::State;
use crate::id::SessionId;
use crate::runtime::Limitation;

/// What is known of a session for as long as it exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub id: SessionId,
    /// A name its owner gave it.
    pub name: Option<String>,
    /// The caller that created it.
    pub owner: String,
    /// Words its owner finds it by.
    pub labels: BTreeMap<String, String>,
    /// What its sandbox was made from.
    pub spec: Spec,
    /// Which runtime made it.
    pub runtime: String,
    /// Where it is in its life.
    pub state: State,
    /// A stable word for why.
    pub reason: Option<String>,
    /// A sentence for people.
    pub message: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its sandbox last began to run.
    pub started_at: Option<Timestamp>,
    /// When its sandbox last ended.
    pub ended_at: Option<Timestamp>,
    /// When it is deleted.
    pub expires_at: Option<Timestamp>,
    /// After how long without a viewer or exec it is stopped.
    pub idle_timeout: Option<Duration>,
    /// Grows with every change; the `ETag`.
    pub version: u64,
}

/// A session at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What is stored.
    pub record: Record,
    /// How far its making is.
    pub progress: Option<Progress>,
    /// The image's own command, when it runs beside the terminals.
    pub main: Option<MainProcess>,
    /// What its runtime cannot do for it.
    pub limitations: Vec<Limitation>,
    /// Whether it has been deleted; nothing comes after.
    pub deleted: bool,
}

/// How far the making of a sandbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// A stable word, such as `pulling_image`.
    pub step: &'static str,
    /// A sentence for people.
    pub message: String,
    /// Bytes done.
    pub current: u64,
    /// Bytes to do, as far as known.
    pub total: Option<u64>,
}
