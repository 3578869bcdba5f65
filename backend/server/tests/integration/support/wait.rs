//! Waiting for a condition, never longer than a bound.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that is not the thing under test.
pub const LONG: Duration = Duration::from_mins(1);

/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// What `probe` finds, once it finds something.
pub async fn until<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        sleep(POLL).await;
    }
}

/// What `work` comes to, within the bound.
pub async fn within<T>(what: &str, limit: Duration, work: impl Future<Output = T>) -> T {
    match timeout(limit, work).await {
        Ok(done) => done,
        Err(tokio::time::error::Elapsed { .. }) => panic!("not within {limit:?}: {what}"),
    }
}

/// The value of a result, or a panic that says what was tried.
pub fn ok<T, E: Debug>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}
