//! Nothing is waited for without a bound.

use std::error::Error;
use std::time::Duration;

use tokio::time::timeout;

/// What can fail here fails the whole.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long a single step may take: making a container, a flood, an answer.
pub const STEP: Duration = Duration::from_mins(1);

/// What `work` comes to, within the bound.
pub async fn within<T>(what: &str, limit: Duration, work: impl Future<Output = T>) -> Result<T> {
    match timeout(limit, work).await {
        Ok(done) => Ok(done),
        Err(_) => Err(format!("not within {limit:?}: {what}").into()),
    }
}
