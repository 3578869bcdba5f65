//! Watching a terminal without showing it to anybody, and typing into it.

use bytes::{Bytes, BytesMut};
use shellport_wire::agent::{Attach, Request};
use shellport_wire::exit::Exit;
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use shellport_wire::viewer::{ClientMessage, Hello, INPUT_WINDOW, ServerMessage, Size, WINDOW};
use tokio::time::timeout;

use super::link::{AgentError, Link};
use super::refusal;
use crate::runtime::Stream;

/// After how much output it is acknowledged, so that the window never closes.
const STEP: u64 = WINDOW / 4;

/// The most bytes of any snapshot.
const MAX_SNAPSHOT: u64 = 64 * 1024 * 1024;

/// The most bytes that a snapshot has for a cell, for all that cells share, and for so many lines that have scrolled
/// off.
const CELL: u64 = 64;
const SHARED: u64 = 8 * 1024 * 1024;
const HISTORY: u64 = 1000;

/// One who watches a terminal.
pub struct Watch {
    link: Link,
    /// How it began.
    pub hello: Hello,
    /// The offset behind what has come.
    pub offset: u64,
    acknowledged: u64,
    /// How much of this client's input has been applied.
    applied: u64,
}

/// What comes from a terminal.
#[derive(Debug)]
pub enum News {
    /// Its screen, as bytes that draw it on an empty one of this size.
    Screen(Size, BytesMut),
    /// It has another size from here on.
    Size(Size),
    /// It has put out this, which begins at the offset.
    Output(u64, Bytes),
    /// It has put out so many bytes that nobody kept.
    Gap(u64),
    /// More of this client's input has been applied.
    Applied,
    /// Its program has ended; nothing follows.
    Exit(Exit),
    /// Nothing that matters here.
    Nothing,
}

impl Watch {
    /// Joins a terminal.
    ///
    /// # Errors
    /// A refusal, a broken connection, or no answer in time.
    pub async fn join(stream: Box<dyn Stream>, attach: Attach) -> Result<Self, AgentError> {
        let mut link = Link::new(stream);
        let hello = timeout(super::ANSWER, async {
            link.writer.message(&Request::Attach(attach)).await?;
            let bytes = link.reader.next().await?.ok_or(AgentError::Closed)?;
            match decode(&bytes)? {
                Frame::Message(text) => match message(&text)? {
                    ServerMessage::Hello(hello) => {
                        sized(hello.size)?;
                        Ok(hello)
                    }
                    _ => Err(nonsense("no hello")),
                },
                Frame::Bytes { .. } => Err(nonsense("no hello")),
            }
        });
        let hello = hello.await.map_err(|_| AgentError::Silent)??;
        Ok(Self {
            link,
            offset: hello.offset,
            acknowledged: hello.offset,
            applied: hello.sequence,
            hello,
        })
    }

    /// What comes next. Not safe to cancel within a snapshot.
    ///
    /// # Errors
    /// A broken connection, and what makes no sense.
    pub async fn next(&mut self) -> Result<News, AgentError> {
        let bytes = self.link.reader.next().await?;
        let bytes = bytes.ok_or(AgentError::Closed)?.freeze();
        let text = match decode(&bytes)? {
            Frame::Bytes {
                kind: Kind::Output,
                position,
                payload,
            } => {
                let payload = bytes.slice_ref(&payload);
                self.offset = position.saturating_add(payload.len() as u64);
                self.acknowledge().await?;
                return Ok(News::Output(position, payload));
            }
            Frame::Bytes { .. } => return Err(nonsense("bytes of another kind")),
            Frame::Message(text) => text,
        };
        Ok(match message(&text)? {
            ServerMessage::Snapshot {
                offset,
                size,
                length,
            } => {
                let size = sized(size)?;
                let drawn = self.snapshot(size, length).await?;
                self.offset = offset;
                self.acknowledge().await?;
                News::Screen(size, drawn)
            }
            ServerMessage::Resize { size, .. } => News::Size(sized(size)?),
            ServerMessage::Gap { from, to } => {
                self.offset = to;
                self.acknowledge().await?;
                News::Gap(to.saturating_sub(from))
            }
            ServerMessage::Ack { sequence } => {
                self.applied = self.applied.max(sequence);
                News::Applied
            }
            ServerMessage::Exit { exit, .. } => News::Exit(exit),
            ServerMessage::Hello(_)
            | ServerMessage::Viewers { .. }
            | ServerMessage::Line(_)
            | ServerMessage::Notice { .. }
            | ServerMessage::Pong { .. } => News::Nothing,
        })
    }

    /// Types `input`, which begins at this sequence, and returns when the terminal has taken it: it waits as
    /// long as the program reads nothing. The exit, when the program has ended first.
    ///
    /// # Errors
    /// A broken connection, and what makes no sense.
    pub async fn type_in(
        &mut self,
        input: &[u8],
        sequence: u64,
    ) -> Result<Option<Exit>, AgentError> {
        let end = sequence + input.len() as u64;
        let mut sent = self.applied.max(sequence);
        while self.applied < end {
            while sent < end.min(self.applied + INPUT_WINDOW) {
                let most = (self.applied + INPUT_WINDOW - sent).min(MAX_PAYLOAD as u64 / 4);
                let to = end.min(sent + most);
                let [from, until] = [sent, to].map(|it| usize::try_from(it - sequence));
                let part = from
                    .ok()
                    .zip(until.ok())
                    .and_then(|(from, to)| input.get(from..to));
                let frame = Frame::bytes(Kind::Input, sent, part.unwrap_or_default());
                // An agent that has said its last word does not read any more, and that word is still to come.
                let _ = self.link.writer.frame(frame.encode().into()).await;
                sent = to;
            }
            if let News::Exit(exit) = self.next().await? {
                return Ok(Some(exit));
            }
        }
        Ok(None)
    }

    async fn snapshot(&mut self, size: Size, length: u64) -> Result<BytesMut, AgentError> {
        let cells = u64::from(size.cols) * (u64::from(size.rows) + HISTORY);
        if length > MAX_SNAPSHOT.min(SHARED + cells * CELL) {
            return Err(nonsense(&format!("a snapshot of {length} bytes")));
        }
        let mut drawn = BytesMut::new();
        while (drawn.len() as u64) < length {
            let bytes = self.link.reader.next().await?.ok_or(AgentError::Closed)?;
            match decode(&bytes)? {
                Frame::Bytes {
                    kind: Kind::Snapshot,
                    payload,
                    ..
                } => drawn.extend_from_slice(&payload),
                _ => return Err(nonsense("something else within a snapshot")),
            }
        }
        Ok(drawn)
    }

    async fn acknowledge(&mut self) -> Result<(), AgentError> {
        let offset = self.offset;
        if offset >= self.acknowledged + STEP {
            self.acknowledged = offset;
            let message = ClientMessage::Ack { offset };
            // As above.
            let _ = self.link.writer.message(&message).await;
        }
        Ok(())
    }
}

fn decode(bytes: &[u8]) -> Result<Frame<'_>, AgentError> {
    Frame::decode(bytes).map_err(|error| nonsense(&error.to_string()))
}

fn message(text: &str) -> Result<ServerMessage, AgentError> {
    if let Some(refusal) = refusal(text) {
        return Err(AgentError::Refused(refusal));
    }
    serde_json::from_str(text).map_err(|error| nonsense(&error.to_string()))
}

fn sized(size: Size) -> Result<Size, AgentError> {
    size.checked().map_err(|error| nonsense(&error.to_string()))
}

fn nonsense(what: &str) -> AgentError {
    AgentError::Nonsense(what.to_owned())
}

#[cfg(test)]
mod tests {
    use shellport_wire::link::encode_length;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    /// What comes of an agent that says this.
    async fn heard(said: &[String]) -> Result<News, AgentError> {
        let (ours, mut theirs) = duplex(64 * 1024);
        for message in said {
            theirs
                .write_all(&encode_length(message.len()))
                .await
                .unwrap();
            theirs.write_all(message.as_bytes()).await.unwrap();
        }
        Watch::join(Box::new(ours), Attach::looking("main"))
            .await?
            .next()
            .await
    }

    fn hello(cols: u16) -> String {
        format!(
            r#"{{"type":"hello","terminal":"main","role":"reader","cols":{cols},"rows":24,"run":"r","offset":0,"start":"snapshot","sequence":0,"window":1}}"#
        )
    }

    #[tokio::test]
    async fn what_a_hostile_agent_says_is_bounded() {
        let huge = heard(&[hello(65_535)]).await;
        assert!(matches!(huge, Err(AgentError::Nonsense(_))), "{huge:?}");
        let snapshot = |cols: u16, length: u64| {
            format!(r#"{{"type":"snapshot","offset":0,"cols":{cols},"rows":24,"length":{length}}}"#)
        };
        for message in [
            snapshot(65_535, 0),
            snapshot(80, 32 << 20),
            snapshot(1000, u64::MAX),
        ] {
            let heard = heard(&[hello(80), message.clone()]).await;
            assert!(
                matches!(heard, Err(AgentError::Nonsense(_))),
                "{message}: {heard:?}"
            );
        }
        let fine = heard(&[hello(80), snapshot(80, 0)]).await;
        assert!(matches!(fine, Ok(News::Screen(..))), "{fine:?}");
    }
}
