//! What a session's sandbox is made from, after policy.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much a sandbox may do. The order is from loose to strict.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The image's user with the eight capabilities that a package manager needs.
    Standard,
    /// User 1000 without any capability, a read-only root, no network.
    Strict,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Strict];

    /// The word for it in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Strict => "strict",
        }
    }
}

/// What a sandbox can reach. The order is from loose to strict.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The machine's own, with all that listens on its loopback.
    Host,
    /// A network of its own, or one on which sandboxes do not reach each other.
    Bridge,
    /// Nothing but itself.
    None,
}

impl Network {
    /// The word for it in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Bridge => "bridge",
            Self::None => "none",
        }
    }
}

/// A sandbox to make. Every value has passed the policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// A reference such as `debian:stable-slim`.
    pub image: String,
    /// The profile.
    pub profile: Profile,
    /// The network.
    pub network: Network,
    /// Overrides the image's command, as Docker does it.
    pub command: Option<Vec<String>>,
    /// Variables on top of the image's. They are not stored: the sandbox keeps them.
    #[serde(skip)]
    pub env: BTreeMap<String, String>,
    /// A digest of them, by which they are told from others.
    #[serde(default)]
    pub env_digest: String,
    /// Overrides the image's working directory.
    pub cwd: Option<String>,
    /// Overrides the image's user.
    pub user: Option<String>,
    /// How many CPUs' worth of time.
    pub cpus: f64,
    /// Bytes of memory.
    pub memory: u64,
    /// The most processes and threads.
    pub pids: u32,
}
