//! What is tried again: a network that is away for a moment.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::RemoteError;

/// The delays between attempts to connect again; docs/protocol.md asks for them.
pub const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest of them.
pub const LAST_DELAY: Duration = Duration::from_secs(10);

/// How often something is tried again that may pass.
pub struct Tries {
    patience: Duration,
    /// From the first failure on.
    until: Option<Instant>,
    delay: Duration,
}

impl Tries {
    /// For so long.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            until: None,
            delay: FIRST_DELAY,
        }
    }

    /// Waits for the next time; or gives up.
    ///
    /// # Errors
    /// `error`, when it will not pass, or has been there for too long.
    pub async fn again(&mut self, error: RemoteError) -> Result<(), RemoteError> {
        let until = *self
            .until
            .get_or_insert_with(|| Instant::now() + self.patience);
        if !may_pass(&error) || Instant::now() > until {
            return Err(error);
        }
        sleep(jittered(self.delay)).await;
        self.delay = (self.delay * 2).min(LAST_DELAY);
        Ok(())
    }
}

/// Half to all of a delay, so that clients of a server that was away do not come all at once.
pub fn jittered(delay: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    delay.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

/// Whether it may be otherwise at another time.
pub fn may_pass(error: &RemoteError) -> bool {
    match error {
        RemoteError::Unreachable { .. } => true,
        RemoteError::Problem {
            status, retryable, ..
        } => *retryable || *status >= 500,
        _ => false,
    }
}
