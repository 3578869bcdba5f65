//! What callers get when they do not ask, and the most they may ask for.

use std::time::Duration;

use clap::Args;

use crate::session::{Network, Profile};
use crate::units;

/// Defaults and bounds of a session.
#[derive(Args, Clone, Debug)]
pub struct Limits {
    /// The image of a session that names none. `debian:stable-slim` when absent, and `host`, this
    /// machine's own programs, with the runtime `oci`.
    #[arg(long, env = "SHELLPORT_DEFAULT_IMAGE", value_name = "IMAGE")]
    pub default_image: Option<String>,

    /// The profile of a session that names none.
    #[arg(
        long,
        env = "SHELLPORT_DEFAULT_PROFILE",
        default_value = "standard",
        value_name = "PROFILE"
    )]
    pub default_profile: Profile,

    /// The loosest profile that a caller may have.
    #[arg(
        long,
        env = "SHELLPORT_LOOSEST_PROFILE",
        default_value = "standard",
        value_name = "PROFILE"
    )]
    pub loosest_profile: Profile,

    /// The network of a session that names none, and the loosest one that a caller may have: `none`
    /// forbids any other. `bridge`, unless the runtime cannot give one.
    #[arg(long, env = "SHELLPORT_NETWORK", value_name = "NETWORK")]
    pub network: Option<Network>,

    /// CPUs of a session that does not say.
    #[arg(
        long,
        env = "SHELLPORT_DEFAULT_CPUS",
        default_value_t = 1.0,
        value_name = "CPUS"
    )]
    pub default_cpus: f64,

    /// The most CPUs of a session.
    #[arg(
        long,
        env = "SHELLPORT_MAX_CPUS",
        default_value_t = 4.0,
        value_name = "CPUS"
    )]
    pub max_cpus: f64,

    /// Memory of a session that does not say.
    #[arg(long, env = "SHELLPORT_DEFAULT_MEMORY", default_value = "1g", value_parser = units::parse_size, value_name = "SIZE")]
    pub default_memory: u64,

    /// The most memory of a session.
    #[arg(long, env = "SHELLPORT_MAX_MEMORY", default_value = "8g", value_parser = units::parse_size, value_name = "SIZE")]
    pub max_memory: u64,

    /// Processes of a session that does not say.
    #[arg(
        long,
        env = "SHELLPORT_DEFAULT_PIDS",
        default_value_t = 512,
        value_name = "COUNT"
    )]
    pub default_pids: u32,

    /// The most processes of a session.
    #[arg(
        long,
        env = "SHELLPORT_MAX_PIDS",
        default_value_t = 4096,
        value_name = "COUNT"
    )]
    pub max_pids: u32,

    /// The most sessions at once.
    #[arg(
        long,
        env = "SHELLPORT_MAX_SESSIONS",
        default_value_t = 1024,
        value_name = "COUNT"
    )]
    pub max_sessions: usize,

    /// The longest time to live; also that of sessions that do not say. Unlimited when absent.
    #[arg(long, env = "SHELLPORT_MAX_TTL", value_parser = units::parse_duration, value_name = "DURATION")]
    pub max_ttl: Option<Duration>,

    /// The longest time without a viewer or exec before a session is stopped; also that of sessions
    /// that do not say. Unlimited when absent.
    #[arg(long, env = "SHELLPORT_MAX_IDLE", value_parser = units::parse_duration, value_name = "DURATION")]
    pub max_idle: Option<Duration>,

    /// The longest run of an exec; also that of execs that do not say.
    #[arg(long, env = "SHELLPORT_MAX_EXEC", default_value = "1h", value_parser = units::parse_duration, value_name = "DURATION")]
    pub max_exec: Duration,

    /// The most bytes of a file or archive that is written through the API.
    #[arg(long, env = "SHELLPORT_MAX_FILE", default_value = "4g", value_parser = units::parse_size, value_name = "SIZE")]
    pub max_file: u64,
}

impl Limits {
    /// The image of a session that names none.
    pub fn image(&self) -> &str {
        self.default_image
            .as_deref()
            .unwrap_or("debian:stable-slim")
    }

    /// The network of a session that names none, and the loosest one.
    pub fn loosest_network(&self) -> Network {
        self.network.unwrap_or(Network::Bridge)
    }
}
