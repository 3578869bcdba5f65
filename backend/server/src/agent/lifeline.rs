//! The connection whose end says that the agent has ended, and which tells what happens until then.

use std::time::Duration;

use shellport_wire::agent::{Happened, Request, Response, Status};
use tokio::time::timeout;

use super::link::{AgentError, Link};

/// How long the first word of an agent is waited for. It may come later.
const FIRST: Duration = Duration::from_secs(2);

/// Such a connection.
pub struct Lifeline(Link);

/// What is heard on it.
pub enum Heard {
    /// How the agent does.
    Status(Status),
    /// Something has happened, so many milliseconds after 1970.
    Event(u64, Happened),
    /// So many events are not told.
    Missed(u64),
    /// The agent has closed it, or says what was not asked for.
    Ended,
}

impl Lifeline {
    /// Asks how the agent does, and to be told what happens after that. A connection that is broken says so when it is
    /// listened to.
    pub async fn new(mut link: Link) -> Self {
        let _ = timeout(FIRST, link.writer.message(&Request::Events)).await;
        Self(link)
    }

    /// How the agent does, if it says so soon and first, as it should.
    pub async fn status(&mut self) -> Option<Status> {
        match timeout(FIRST, self.next()).await {
            Ok(Heard::Status(status)) => Some(status),
            _ => None,
        }
    }

    /// What is heard next. Safe to cancel.
    pub async fn next(&mut self) -> Heard {
        loop {
            match self.0.reader.response().await {
                Ok(Response::Status(status)) => return Heard::Status(status),
                Ok(Response::Event { at_ms, happened }) => return Heard::Event(at_ms, happened),
                Ok(Response::Missed { count }) => return Heard::Missed(count),
                // One of an older version. Its end is heard all the same.
                Err(AgentError::Refused(_)) => {}
                _ => return Heard::Ended,
            }
        }
    }
}
