//! Talking to agents. What they answer is bounded and checked: they run beside the tenant's code.

mod binary;
mod link;

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use shellport_wire::agent::{Exec, ExecInput, Refusal, Request, Response, Status};
use shellport_wire::frame::{Frame, Kind, MAX_PAYLOAD};
use tokio::time::timeout;

pub use self::binary::{binary, install};
pub use self::link::{AgentError, Link, LinkReader, LinkWriter};
use crate::runtime::Stream;

/// How long an agent may take to answer a simple request. It does nothing but look at its state.
const ANSWER: Duration = Duration::from_secs(10);

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub struct ExecResult {
    /// Standard output, as much as was asked for.
    pub stdout: Vec<u8>,
    /// Standard error, as much as was asked for.
    pub stderr: Vec<u8>,
    /// Whether there was more of either.
    pub truncated: bool,
    /// How it ended.
    pub exit: shellport_wire::exit::Exit,
}

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

/// Runs a command to its end and collects at most `max` bytes of each stream; the rest is read and
/// dropped, so that the command goes on. When this is dropped, the command is ended.
///
/// # Errors
/// A refusal, or a connection that broke: the end is then not known.
pub async fn exec(
    stream: Box<dyn Stream>,
    exec: Exec,
    stdin: Bytes,
    max: usize,
) -> Result<ExecResult, AgentError> {
    let Link {
        mut reader,
        mut writer,
    } = Link::new(stream);
    writer.message(&Request::Exec(exec)).await?;
    let feed = async move {
        for (index, part) in stdin.chunks(MAX_PAYLOAD).enumerate() {
            let position = (index * MAX_PAYLOAD) as u64;
            let frame = Frame::bytes(Kind::Input, position, part);
            writer.frame(frame.encode().into()).await?;
        }
        writer.message(&ExecInput::End).await?;
        // The connection has to stay open for as long as the command runs.
        Ok::<_, std::io::Error>(writer)
    };
    tokio::select! {
        result = collect(&mut reader, max) => result,
        // A command may end before it has read its input, and the agent closes then. That is no
        // error, and what came before is still to be read.
        never = async {
            let _fed = feed.await;
            pending::<Infallible>().await
        } => match never {},
    }
}

async fn collect(reader: &mut LinkReader, max: usize) -> Result<ExecResult, AgentError> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut truncated = false;
    loop {
        let bytes = reader.next().await?.ok_or(AgentError::Closed)?;
        match Frame::decode(&bytes).map_err(|error| AgentError::Nonsense(error.to_string()))? {
            Frame::Bytes { kind, payload, .. } => {
                let stream = match kind {
                    Kind::Output => &mut stdout,
                    Kind::Stderr => &mut stderr,
                    Kind::Input | Kind::Snapshot => {
                        return Err(AgentError::Nonsense(format!("{kind:?} from an exec")));
                    }
                };
                let room = max - stream.len();
                truncated |= payload.len() > room;
                stream.extend_from_slice(&payload[..payload.len().min(room)]);
            }
            Frame::Message(text) => match link::parse(&text)? {
                Response::Alive => {}
                Response::ExecExit { exit, .. } => {
                    return Ok(ExecResult {
                        stdout,
                        stderr,
                        truncated,
                        exit,
                    });
                }
                Response::Error(refusal) => return Err(AgentError::Refused(refusal)),
                _ => return Err(AgentError::Nonsense("not about an exec".to_owned())),
            },
        }
    }
}

/// Reads a refusal out of a message of an attached connection, if it is one.
pub fn refusal(text: &str) -> Option<Refusal> {
    match serde_json::from_str(text) {
        Ok(Response::Error(refusal)) => Some(refusal),
        _ => None,
    }
}
