//! Following an exec, on as many connections as it takes.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use shellport_wire::agent::{
    ALIVE, EXEC_JOURNAL, Follow, Follower, Request, Response, Stream as Which,
};
use shellport_wire::exit::Exit;
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use tokio::sync::watch;
use tokio::time::timeout;

use super::link::{self, AgentError, Link, LinkReader, LinkWriter};
use crate::runtime::Stream;

/// How long an agent may say nothing before its connection counts as broken.
const SILENCE: Duration = ALIVE.saturating_mul(4);

/// How much may come before it is acknowledged.
const STEP: u64 = EXEC_JOURNAL / 4;

/// What has come of one of an exec's streams.
#[derive(Debug, Default)]
struct Output {
    /// Its first bytes.
    bytes: Vec<u8>,
    /// How many there were.
    seen: u64,
    /// Whether there were more than are kept.
    cut: bool,
}

/// What an exec has written, as far as it is wanted and has come.
#[derive(Debug)]
pub struct Collected {
    max: usize,
    stdout: Output,
    stderr: Output,
}

impl Collected {
    /// Nothing yet, and at most `max` bytes of each stream.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            stdout: Output::default(),
            stderr: Output::default(),
        }
    }

    /// The request for what comes next of the exec called `name`.
    pub fn next(&self, name: &str) -> Request {
        Request::Follow(Follow {
            exec: name.to_owned(),
            stdout: self.stdout.seen,
            stderr: self.stderr.seen,
        })
    }

    fn places(&self) -> [u64; 2] {
        [self.stdout.seen, self.stderr.seen]
    }

    /// Whether there was more than is kept.
    pub fn is_cut(&self) -> bool {
        self.stdout.cut || self.stderr.cut
    }

    /// The bytes of standard output and standard error.
    pub fn into_bytes(self) -> (Vec<u8>, Vec<u8>) {
        (self.stdout.bytes, self.stderr.bytes)
    }

    fn stream(&mut self, which: Which) -> &mut Output {
        match which {
            Which::Stdout => &mut self.stdout,
            Which::Stderr => &mut self.stderr,
        }
    }

    fn take(&mut self, kind: Kind, position: u64, payload: &[u8]) -> Result<(), AgentError> {
        let max = self.max;
        let output = match kind {
            Kind::Output => &mut self.stdout,
            Kind::Stderr => &mut self.stderr,
            Kind::Input | Kind::Snapshot => {
                return Err(AgentError::Nonsense(format!("{kind:?} from an exec")));
            }
        };
        if position != output.seen {
            let message = format!("{kind:?} at {position}; expected {}", output.seen);
            return Err(AgentError::Nonsense(message));
        }
        output.seen += payload.len() as u64;
        // Behind a cut, what comes would stand in the wrong place.
        let room = if output.cut {
            0
        } else {
            max - output.bytes.len()
        };
        output.cut |= payload.len() > room;
        output
            .bytes
            .extend_from_slice(&payload[..payload.len().min(room)]);
        Ok(())
    }

    fn skip(&mut self, which: Which, from: u64, to: u64) -> Result<(), AgentError> {
        let output = self.stream(which);
        if from != output.seen || to <= from {
            let message = format!("a gap from {from} to {to} at {}", output.seen);
            return Err(AgentError::Nonsense(message));
        }
        output.seen = to;
        output.cut = true;
        Ok(())
    }
}

/// What the agent has said that the other half of a connection has to know.
#[derive(Clone, Copy)]
struct Heard {
    /// Up to where input may be sent.
    until: u64,
    /// What has come of the streams.
    places: [u64; 2],
}

/// Makes `request`, which is for an exec, gives that its input as far as it has not got it, and
/// collects what it writes until its end. What has come before a connection broke is kept, so that
/// another can go on from there. More output than is wanted is read and dropped.
///
/// # Errors
/// A refusal, or a connection that broke: the end is then not known.
pub async fn follow(
    stream: Box<dyn Stream>,
    request: &Request,
    stdin: &Bytes,
    collected: &mut Collected,
) -> Result<Exit, AgentError> {
    let Link {
        mut reader,
        mut writer,
    } = Link::new(stream);
    let answer = async {
        writer.message(request).await?;
        reader.response().await
    };
    let Ok(answer) = timeout(super::ANSWER, answer).await else {
        return Err(AgentError::Silent);
    };
    let Response::Following {
        stdin: arrived,
        until,
    } = answer?
    else {
        return Err(AgentError::Nonsense("not about an exec".to_owned()));
    };
    let (heard, listening) = watch::channel(Heard {
        until,
        places: collected.places(),
    });
    tokio::select! {
        result = collect(&mut reader, collected, &heard) => result,
        // A command may end before it has read its input, and the agent closes then. That is no
        // error, and what came before is still to be read.
        never = async {
            let _said = say(&mut writer, stdin, arrived, listening).await;
            pending::<Infallible>().await
        } => match never {},
    }
}

/// Sends the input as there is room for it, and acknowledges the output.
async fn say(
    writer: &mut LinkWriter,
    stdin: &Bytes,
    arrived: u64,
    mut listening: watch::Receiver<Heard>,
) -> std::io::Result<()> {
    let all = stdin.len() as u64;
    let mut position = arrived;
    let mut has_ended = false;
    let mut acknowledged = listening.borrow().places;
    loop {
        let heard = *listening.borrow_and_update();
        let come: u64 = heard
            .places
            .iter()
            .zip(acknowledged)
            .map(|(to, from)| to - from)
            .sum();
        let end = all
            .min(heard.until)
            .min(position.saturating_add(MAX_PAYLOAD as u64));
        if come >= STEP {
            acknowledged = heard.places;
            let [stdout, stderr] = acknowledged;
            writer.message(&Follower::Ack { stdout, stderr }).await?;
        } else if position < end {
            let range = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let part = &stdin[range(position)..range(end)];
            let frame = Frame::bytes(Kind::Input, position, part);
            writer.frame(frame.encode().into()).await?;
            position = end;
        } else if position >= all && !has_ended {
            writer.message(&Follower::End).await?;
            has_ended = true;
        } else if listening.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn collect(
    reader: &mut LinkReader,
    collected: &mut Collected,
    heard: &watch::Sender<Heard>,
) -> Result<Exit, AgentError> {
    loop {
        let next = timeout(SILENCE, reader.next()).await;
        let bytes = next.map_err(|_| AgentError::Silent)??;
        let bytes = bytes.ok_or(AgentError::Closed)?;
        match Frame::decode(&bytes).map_err(|error| AgentError::Nonsense(error.to_string()))? {
            Frame::Bytes {
                kind,
                position,
                payload,
            } => collected.take(kind, position, &payload)?,
            Frame::Message(text) => match link::parse(&text)? {
                Response::Alive => {}
                Response::Room { until } => heard.send_modify(|heard| heard.until = until),
                Response::Gap { stream, from, to } => collected.skip(stream, from, to)?,
                Response::ExecExit { exit, .. } => return Ok(exit),
                Response::Error(refusal) => return Err(AgentError::Refused(refusal)),
                _ => return Err(AgentError::Nonsense("not about an exec".to_owned())),
            },
        }
        let places = collected.places();
        heard.send_if_modified(|heard| std::mem::replace(&mut heard.places, places) != places);
    }
}
