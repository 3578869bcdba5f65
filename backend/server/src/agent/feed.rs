//! Giving an exec input.

use bytes::Bytes;
use shellport_wire::agent::{Follower, Request, Response};
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use tokio::time::timeout;

use super::exec::{Started, started};
use super::link::{AgentError, Link};
use crate::runtime::Stream;

/// A connection on which an exec gets input.
pub struct Feeder {
    link: Link,
    /// How far the input has been sent.
    position: u64,
    /// And may be.
    until: u64,
}

impl Feeder {
    /// For the exec called `name`; how it is with that.
    ///
    /// # Errors
    /// When there is no such exec, and those of the connection.
    pub async fn connect(
        stream: Box<dyn Stream>,
        name: &str,
    ) -> Result<(Self, Started), AgentError> {
        let mut link = Link::new(stream);
        let request = Request::Feed {
            exec: name.to_owned(),
        };
        let answer = async {
            link.writer.message(&request).await?;
            link.reader.response().await
        };
        let answer = timeout(super::ANSWER, answer).await;
        let (started, until) = started(answer.map_err(|_| AgentError::Silent)??)?;
        let position = started.stdin;
        let feeder = Self {
            link,
            position,
            until,
        };
        Ok((feeder, started))
    }

    /// Sends `bytes`, and returns when they are on their way: it waits as long as the command does not read.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn send(&mut self, mut bytes: Bytes) -> Result<(), AgentError> {
        while !bytes.is_empty() {
            while self.position >= self.until {
                match self.link.reader.response().await? {
                    Response::Room { until } => self.until = until,
                    _ => return Err(AgentError::Nonsense("not about input".to_owned())),
                }
            }
            let room = usize::try_from(self.until - self.position).unwrap_or(usize::MAX);
            let part = bytes.split_to(bytes.len().min(room).min(MAX_PAYLOAD));
            let frame = Frame::bytes(Kind::Input, self.position, &part);
            self.link.writer.frame(frame.encode().into()).await?;
            self.position += part.len() as u64;
        }
        Ok(())
    }

    /// Whether the command may still read: it has not been seen to have closed its input.
    pub fn is_open(&self) -> bool {
        self.until != u64::MAX
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn end(&mut self) -> Result<(), AgentError> {
        Ok(self.link.writer.message(&Follower::End).await?)
    }

    /// How it is with the exec after what has been sent.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn sync(&mut self) -> Result<Started, AgentError> {
        self.link.writer.message(&Follower::Sync).await?;
        let answer = timeout(super::ANSWER, async {
            loop {
                match self.link.reader.response().await? {
                    Response::Room { .. } => {}
                    answer => return Ok::<_, AgentError>(started(answer)?.0),
                }
            }
        });
        answer.await.map_err(|_| AgentError::Silent)?
    }
}
