//! Sessions: their states, what they are made from, and who drives them.
//!
//! Each session has one [`driver`], the only task that changes it; everybody else asks it, and
//! watches what it publishes. The [`registry`] finds drivers; [`reconcile`] makes them from what an
//! earlier server left.

mod activity;
mod driver;
mod reconcile;
mod record;
mod registry;
mod slots;
mod spec;
mod state;

pub use self::activity::Activity;
pub use self::driver::{Change, Command, CommandError};
pub use self::reconcile::ReconcileError;
pub use self::record::{Progress, Record, View};
pub use self::registry::{NewSession, Registry, RegistryError, Session};
pub use self::spec::{Network, Profile, Spec};
pub use self::state::State;
