//! A program of ours that the agent runs in a sandbox, for what concerns its files and processes.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use shellport_wire::agent::{Exec, Places, Program, Stream as Which};
use shellport_wire::exit::Exit;

use super::App;
use super::execs::{LINGER, Run, Told, connect_input, discard, milliseconds};
use super::problem::Problem;
use crate::agent::{Ended, Event, Feeder};
use crate::id::random_tag;
use crate::session::Session;

/// What the agent becomes when it is run by its own.
const PROGRAM: &str = "/proc/self/exe";

/// The most bytes of an answer, which is a line: a page of a directory.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// The most of what the program says of an accident.
const MAX_SAID: usize = 1024;

/// Who does it, and how long it may take.
pub struct Terms {
    /// The session's user when absent.
    pub user: Option<String>,
    /// After which it is ended.
    pub limit: Duration,
}

/// One that works; it ends when this is dropped.
pub struct Tool {
    app: App,
    session: Session,
    name: String,
    told: Told,
    /// What has come and was not taken.
    rest: BytesMut,
    said: BytesMut,
}

impl Tool {
    /// Begins what the agent has under this name, with a request. It reads what [`Self::give`] gives it, or
    /// nothing.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub async fn begin(
        app: &App,
        session: &Session,
        (which, request): (&str, &impl Serialize),
        terms: Terms,
        reads: bool,
    ) -> Result<Self, Problem> {
        let text = serde_json::to_string(request).map_err(|error| Problem::internal(&error))?;
        let name = random_tag();
        let exec = Exec {
            exec: name.clone(),
            program: Program {
                argv: vec![PROGRAM.to_owned(), which.to_owned(), text],
                cwd: Some("/".to_owned()),
                user: terms.user,
                ..Program::default()
            },
            stdin: reads,
            timeout_ms: Some(milliseconds(terms.limit)),
            grace_ms: Some(0),
            linger_ms: Some(milliseconds(LINGER)),
            private: true,
            fingerprint: Some(name.clone()),
            since: Places::default(),
        };
        let run = Run::start(app, session, exec).with_stop(Some(Duration::ZERO));
        let (_, told) = run.begin().await?;
        Ok(Self {
            app: app.clone(),
            session: session.clone(),
            name,
            told,
            rest: BytesMut::new(),
            said: BytesMut::new(),
        })
    }

    /// Gives it a body to read, and waits for its first line, which may come before all has been read.
    ///
    /// # Errors
    /// When it was not done, or the body did not come whole: nothing is done then.
    pub async fn give(mut self, body: Body) -> Result<Bytes, Problem> {
        let connected = connect_input(&self.app, &self.session, &self.name).await;
        let mut parts = body.into_data_stream();
        let answer = match connected {
            Ok((feeder, _)) => tokio::select! {
                fed = feed(feeder, &mut parts) => {
                    fed?;
                    return self.first().await;
                }
                answer = self.first() => answer,
            },
            // It did not wait for its input.
            Err(problem) if problem.code == "exec_not_found" => self.first().await,
            Err(problem) => return Err(problem),
        };
        // The client would not see the answer as long as it writes.
        discard(parts).await;
        answer
    }

    /// The first line of what it writes, which has to come.
    ///
    /// # Errors
    /// When it has ended otherwise.
    pub async fn first(&mut self) -> Result<Bytes, Problem> {
        let line = self.line().await?;
        line.ok_or_else(|| nonsense("it has ended without an answer"))
    }

    /// The next line of what it writes; none at the end.
    ///
    /// # Errors
    /// When it has ended as it should not, or a line has no end.
    pub async fn line(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.rest.split_to(end + 1).freeze()));
            }
            if self.rest.len() > MAX_LINE {
                return Err(nonsense("its answer has no end"));
            }
            match self.next().await? {
                Some(bytes) => self.rest.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    /// What it writes next; none when it has ended well.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            match self.told.recv().await {
                Some(Ok(Event::Output {
                    stream: Which::Stdout,
                    bytes,
                    ..
                })) => return Ok(Some(bytes)),
                Some(Ok(Event::Output { bytes, .. })) => {
                    let room = MAX_SAID.saturating_sub(self.said.len());
                    self.said.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Some(Ok(Event::Ended(Ended { exit, .. }))) => {
                    // One that has answered that it failed says so by its code, too.
                    let answers = self.rest.contains(&b'\n');
                    return match exit {
                        Exit { code: Some(0), .. } => Ok(None),
                        Exit { code: Some(1), .. } if answers => Ok(None),
                        exit => Err(self.ended(&exit)),
                    };
                }
                Some(Ok(Event::Gap { .. })) | None => return Err(nonsense("it is gone")),
                Some(Ok(Event::Started(_) | Event::Alive)) => {}
                Some(Err(problem)) => return Err(problem),
            }
        }
    }

    fn ended(&self, exit: &Exit) -> Problem {
        let said = String::from_utf8_lossy(&self.said);
        nonsense(&format!("it has ended as {exit:?} and said {said:?}"))
    }

    /// What comes behind the lines that were taken, up to its end. An error when that is not the end of all.
    pub fn content(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::unfold(Some(self), async |tool| {
            let mut tool = tool?;
            if !tool.rest.is_empty() {
                let rest = tool.rest.split().freeze();
                return Some((Ok(rest), Some(tool)));
            }
            match tool.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(tool))),
                Ok(None) => None,
                Err(problem) => Some((Err(io::Error::other(problem.detail)), None)),
            }
        })
    }
}

/// Gives the program a body, and the end of it only when that has come whole. One that does not take it any
/// more says why in its answer.
async fn feed(
    mut feeder: Feeder,
    parts: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin),
) -> Result<(), Problem> {
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| {
            let detail = format!("the body: it did not come whole: {error}");
            Problem::invalid(detail)
        })?;
        if feeder.send(part).await.is_err() {
            return Ok(());
        }
    }
    // The connection stays until the end has arrived.
    if feeder.end().await.is_ok() {
        let _ = feeder.sync().await;
    }
    Ok(())
}

/// What a program of ours says that makes no sense.
pub fn nonsense(what: &str) -> Problem {
    let detail = format!("our own program in the sandbox: {what}");
    Problem::new(axum::http::StatusCode::BAD_GATEWAY, "agent_error", detail)
}
