//! A reader that takes so much a second, as a browser does that draws what it gets.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::statistics::number;

/// Shorter debts are not slept off one by one: a timer's grain is a millisecond.
const GRAIN: Duration = Duration::from_millis(2);

/// Says when the next bytes may be taken.
pub struct Pace {
    bytes_per_second: f64,
    due: Instant,
}

impl Pace {
    /// Of so many bytes a second.
    pub fn new(bytes_per_second: f64) -> Self {
        Self {
            bytes_per_second,
            due: Instant::now(),
        }
    }

    /// Waits as long as so many bytes take.
    pub async fn take(&mut self, count: usize) {
        let takes = Duration::from_secs_f64(number(count) / self.bytes_per_second);
        self.due = self.due.max(Instant::now()) + takes;
        if self.due > Instant::now() + GRAIN {
            sleep_until(self.due).await;
        }
    }
}
