//! A connection to an agent as the server makes it, for what the API does not show.

use std::time::Duration;

use serde_json::{Value, json};
use shellport::agent::{Link, LinkReader, LinkWriter};
use shellport_wire::agent::EXEC_JOURNAL;
use shellport_wire::frame::{Frame, Kind};
use tokio::net::UnixStream;

use super::server::TestServer;
use super::wait::{LONG, ok, within};

/// How much comes before it is acknowledged.
const STEP: u64 = EXEC_JOURNAL / 4;

/// What an agent sends.
#[derive(Debug)]
pub enum Sent {
    /// A piece of an exec's output.
    Bytes(Kind, u64, Vec<u8>),
    /// A message.
    Message(Value),
    /// The connection's end.
    End,
}

/// A connection to the agent of a session.
pub struct Agent {
    reader: LinkReader,
    writer: LinkWriter,
}

impl Agent {
    /// Connects, and makes `request`.
    pub async fn ask(server: &TestServer, session: &str, request: Value) -> Self {
        let path = server.path().join("run").join(session).join("agent.sock");
        let stream = ok("connecting", UnixStream::connect(path).await);
        let Link { reader, writer } = Link::new(Box::new(stream));
        let mut agent = Self { reader, writer };
        agent.say(&request).await;
        agent
    }

    /// Sends a message.
    pub async fn say(&mut self, message: &Value) {
        ok("a message", self.writer.message(message).await);
    }

    /// Sends input.
    pub async fn input(&mut self, position: u64, bytes: &[u8]) {
        let frame = Frame::bytes(Kind::Input, position, bytes).encode();
        ok("input", self.writer.frame(frame.into()).await);
    }

    /// Whatever comes next.
    pub async fn next(&mut self) -> Sent {
        let bytes = ok("a frame", within("a frame", LONG, self.reader.next()).await);
        let Some(bytes) = bytes else {
            return Sent::End;
        };
        match ok("decoding", Frame::decode(&bytes)) {
            Frame::Bytes {
                kind,
                position,
                payload,
            } => Sent::Bytes(kind, position, payload.into_owned()),
            Frame::Message(text) => Sent::Message(ok("JSON", serde_json::from_str(&text))),
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Value {
        match self.next().await {
            Sent::Message(message) => message,
            other => panic!("not a message: {other:?}"),
        }
    }
}

/// What one who follows an exec has of it.
#[derive(Debug, Default)]
pub struct Followed {
    /// Standard output, from where it was first followed.
    pub stdout: Vec<u8>,
    /// The gaps in it.
    pub gaps: Vec<Value>,
    next: u64,
    stderr: u64,
    acknowledged: u64,
}

impl Followed {
    /// The request for what comes next.
    pub fn request(&self, exec: &str) -> Value {
        json!({"request": "follow", "exec": exec, "stdout": self.next, "stderr": self.stderr})
    }

    /// Takes in standard output until there are so many bytes of it, or until the exec's end, which
    /// is returned. Each byte has to be at its place.
    pub async fn until(&mut self, agent: &mut Agent, length: usize) -> Option<Value> {
        while self.stdout.len() < length {
            match agent.next().await {
                Sent::Bytes(Kind::Output, position, bytes) => {
                    assert_eq!(position, self.next);
                    self.next += bytes.len() as u64;
                    self.stdout.extend(bytes);
                }
                Sent::Bytes(Kind::Stderr, _, bytes) => self.stderr += bytes.len() as u64,
                Sent::Message(message) => match message["response"].as_str() {
                    Some("following" | "alive" | "room") => {}
                    Some("gap") => {
                        assert_eq!(message["from"], self.next);
                        self.next = message["to"].as_u64().unwrap();
                        self.gaps.push(message);
                    }
                    Some("exec_exit") => {
                        assert_eq!(message["stdout"], self.next);
                        return Some(message);
                    }
                    _ => panic!("{message}"),
                },
                other => panic!("{other:?}"),
            }
            let come = self.next + self.stderr;
            if come - self.acknowledged >= STEP {
                self.acknowledged = come;
                let ack = json!({"type": "ack", "stdout": self.next, "stderr": self.stderr});
                // The agent may have told the end and closed.
                let _ = agent.writer.message(&ack).await;
            }
        }
        None
    }

    /// Takes in the rest, slowly if there is a pause, and returns the end.
    pub async fn rest(&mut self, agent: &mut Agent, pause: Duration) -> Value {
        loop {
            let more = self.stdout.len() + 64 * 1024;
            if let Some(end) = self.until(agent, more).await {
                return end;
            }
            tokio::time::sleep(pause).await;
        }
    }
}
