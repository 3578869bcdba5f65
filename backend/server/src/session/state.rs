//! The states of a session and what leads from one to another. No I/O.
//!
//! ```text
//!            ┌──────────┐ failed   ┌────────┐
//!   create ─►│ creating ├─────────►│ failed │
//!            └─▲──┬─────┘          └────────┘
//!        start │  │ started            ▲ exited by itself, with an error
//!              │  ▼                    │
//!              │ ┌─────────┐───────────┘
//!              │ │ running ├─────────────────────────┐ vanished
//!              │ └─┬───▲───┘ exited                  ▼
//!              │   │   │ found      ┌─────────┐   ┌──────┐
//!              │   │   └────────────┤ stopped ├──►│ lost │
//!              └───┼────────────────┤         │   └──────┘
//!             stop │                └────▲────┘
//!                  ▼                     │ exited
//!            ┌──────────┐                │
//!            │ stopping ├────────────────┘
//!            └──────────┘
//! ```
//!
//! A session may be deleted in any state, which is the end of it and no state. `paused` is part of
//! the API for runtimes that can pause; none does yet.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a session is in its life.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its sandbox is being made or started.
    Creating,
    /// Its sandbox runs.
    Running,
    /// Its sandbox is frozen.
    Paused,
    /// Its processes are being ended.
    Stopping,
    /// Its sandbox is there but does not run; it can be started again.
    Stopped,
    /// Its sandbox could not be made, or ended with an error. `state_reason` says which.
    Failed,
    /// Its sandbox is gone, and not by our doing.
    Lost,
}

/// What happens to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The sandbox runs and its agent answers.
    Started,
    /// Making or starting the sandbox went wrong.
    CreateFailed,
    /// Somebody, or a deadline, wants it stopped.
    StopRequested,
    /// Somebody wants it started again.
    StartRequested,
    /// The sandbox no longer runs.
    Exited {
        /// Whether that is an error: it ran out of memory, say.
        error: bool,
    },
    /// The sandbox is no longer there.
    Vanished,
    /// A sandbox that was believed to be stopped or lost runs.
    Found,
}

/// An event that has no meaning in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} does not happen to a session that is {state:?}")]
pub struct NoTransition {
    state: State,
    event: Event,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Creating,
        Self::Running,
        Self::Paused,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
        Self::Lost,
    ];

    /// The word for it in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// When the event has no meaning here; the state is then unchanged.
    pub fn after(self, event: Event) -> Result<Self, NoTransition> {
        use Event as E;
        Ok(match (self, event) {
            (Self::Creating, E::Started)
            | (Self::Stopped | Self::Lost | Self::Stopping, E::Found) => Self::Running,
            (Self::Creating, E::CreateFailed)
            | (Self::Running | Self::Paused, E::Exited { error: true }) => Self::Failed,
            (Self::Running | Self::Paused, E::StopRequested) => Self::Stopping,
            (Self::Stopped, E::StartRequested) => Self::Creating,
            (Self::Running | Self::Paused, E::Exited { error: false })
            | (Self::Stopping, E::Exited { .. }) => Self::Stopped,
            (Self::Running | Self::Paused | Self::Stopping | Self::Stopped, E::Vanished) => {
                Self::Lost
            }
            (state, event) => return Err(NoTransition { state, event }),
        })
    }

    /// Whether a sandbox may be running.
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::Creating | Self::Running | Self::Paused | Self::Stopping
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Started),
            Just(Event::CreateFailed),
            Just(Event::StopRequested),
            Just(Event::StartRequested),
            any::<bool>().prop_map(|error| Event::Exited { error }),
            Just(Event::Vanished),
            Just(Event::Found),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order.
        #[test]
        fn the_rules_hold(events in prop::collection::vec(event(), 0..50)) {
            let mut state = State::Creating;
            for event in events {
                let Ok(next) = state.after(event) else { continue };
                // A session runs only because its sandbox was seen to run.
                if next == State::Running {
                    prop_assert!(matches!(event, Event::Started | Event::Found));
                }
                // A failure is final.
                prop_assert_ne!(state, State::Failed);
                // What is lost comes back only by being found.
                if state == State::Lost {
                    prop_assert_eq!(event, Event::Found);
                }
                // Nothing stops by a wish alone.
                if next == State::Stopped {
                    let exited = matches!(event, Event::Exited { .. });
                    prop_assert!(exited);
                }
                // Every event changes something, or it is refused.
                prop_assert_ne!(next, state);
                state = next;
            }
        }
    }

    #[test]
    fn every_state_has_its_word() {
        for state in State::ALL {
            let json = serde_json::to_value(state).unwrap();
            assert_eq!(json, state.as_str());
        }
    }
}
