//! The most memory while something happens.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::super::processes::Processes;
use super::super::wait::Result;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Does the work, and says by how many bytes the processes' private memory had grown at its most.
pub async fn growth_during<T>(
    processes: &Processes,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, u64)> {
    let before = processes.memory()?.private;
    let mut most = before;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            done = &mut work => break done?,
            _ = look.tick() => most = most.max(processes.memory()?.private),
        }
    };
    most = most.max(processes.memory()?.private);
    Ok((done, most - before))
}
