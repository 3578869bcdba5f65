//! Containers without a daemon.
//!
//! A [`Container`](container::Container) says what one is made from; it is kept in a
//! [`Directory`](directory::Directory). A [`monitor`] of its own, a process that outlives whoever
//! started it, mounts its root, writes its bundle, has an [`engine`] make it, waits for its end and
//! cleans up. Everyone else talks to the monitor.

pub mod account;
mod bundle;
pub mod cgroup;
pub mod container;
pub mod directory;
pub mod disk;
pub mod embedded;
pub mod engine;
pub mod host;
pub mod monitor;
pub mod network;
pub mod remains;
pub mod root;
mod seccomp;
