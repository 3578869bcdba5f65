//! Connections to ports in a sandbox.

use shellport_wire::agent::{Request, Response};
use tokio::time::timeout;

use super::link::{AgentError, Link};
use crate::runtime::Stream;

/// A connection to whoever listens on `port` in the sandbox.
///
/// # Errors
/// A refusal when nobody does, a broken connection, or no answer in time.
pub async fn dial(stream: Box<dyn Stream>, port: u16) -> Result<Box<dyn Stream>, AgentError> {
    let mut link = Link::new(stream);
    let answer = timeout(super::ANSWER, async {
        link.writer.message(&Request::Dial { port }).await?;
        link.reader.response().await
    });
    match answer.await.map_err(|_| AgentError::Silent)?? {
        Response::Done => Ok(link.into_bytes()),
        _ => Err(AgentError::Nonsense("not a connection".to_owned())),
    }
}
