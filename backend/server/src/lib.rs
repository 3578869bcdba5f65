//! Shellport's server: a shell in a container of your own, from any browser or curl.
//!
//! [`server::Server`] is the whole. `ARCHITECTURE.md` in the repository is the map.

pub mod agent;
pub mod auth;
pub mod cli;
pub mod config;
pub mod console;
pub mod data_dir;
pub mod events;
pub mod http;
pub mod id;
pub mod image;
pub mod metrics;
pub mod oci;
pub mod overlay;
pub mod policy;
pub mod profile;
pub mod programs;
pub mod rootless;
pub mod runtime;
pub mod server;
pub mod session;
pub mod store;
pub mod system;
pub mod tree;
pub mod units;
