//! Talking to agents. What they answer is bounded and checked: they run beside the tenant's code.

mod binary;
mod dial;
mod exec;
mod feed;
mod lifeline;
mod link;
mod watch;

use std::time::Duration;

use shellport_wire::agent::{Refusal, Request, Response, Status};
use tokio::time::timeout;

pub use self::binary::{binary, install};
pub use self::dial::dial;
pub use self::exec::{Ended, Event, Listener, Over, Progress, Started, follow};
pub use self::feed::Feeder;
pub use self::lifeline::{Heard, Lifeline};
pub use self::link::{AgentError, Link, LinkReader, LinkWriter};
pub use self::watch::{News, Watch};
use crate::runtime::Stream;

/// Everything of ours in a sandbox.
pub const AGENT_DIRECTORY: &str = "/.shellport";
/// The agent's program in a sandbox.
pub const AGENT: &str = "/.shellport/agent";
/// The directory of the agent's socket in a sandbox.
pub const SOCKETS: &str = "/.shellport/run";

/// How long an agent may take to answer a simple request. It does nothing but look at its state.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks one question, and returns the answer.
///
/// # Errors
/// A refusal, a broken connection, or no answer in time.
pub async fn ask(
    stream: Box<dyn Stream>,
    request: &Request,
    limit: Option<Duration>,
) -> Result<Response, AgentError> {
    let mut link = Link::new(stream);
    timeout(limit.unwrap_or(ANSWER), async {
        link.writer.message(request).await?;
        link.reader.response().await
    })
    .await
    .map_err(|_| AgentError::Silent)?
}

/// What an agent says of itself.
///
/// # Errors
/// As [`ask`], and an answer to something else.
pub async fn status(link: &mut Link) -> Result<Status, AgentError> {
    let answer = async {
        link.writer.message(&Request::Status).await?;
        link.reader.response().await
    };
    match timeout(ANSWER, answer).await {
        Ok(Ok(Response::Status(status))) => Ok(status),
        Ok(Ok(_)) => Err(AgentError::Nonsense("not a status".to_owned())),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(AgentError::Silent),
    }
}

/// Reads a refusal out of a message of an attached connection, if it is one.
pub fn refusal(text: &str) -> Option<Refusal> {
    match serde_json::from_str(text) {
        Ok(Response::Error(refusal)) => Some(refusal),
        _ => None,
    }
}
