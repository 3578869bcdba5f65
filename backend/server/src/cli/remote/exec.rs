//! `shellport exec @SESSION`: a further program in a session.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use nix::sys::signal::Signal;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use shellport_wire::exit::{Exit, Reason};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::attach::{Attaching, Outcome};
use super::client::Client;
use super::retry::Tries;
use super::sessions::running;
use super::{RemoteError, ServerPlace};
use crate::cli::container::{CommandError, code, left};
use crate::cli::streams::{Input, Output, Piece, Signals, Streams};
use crate::cli::terminal;
use crate::id::random_tag;

/// How long the command goes on without this client, and this client without the server.
const LINGER: Duration = Duration::from_secs(30);

/// How long a server may be away before anything has begun.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// How long a page waits for something to be on it.
const WAIT: &str = "20s";

/// How long a command may take to be stopped.
const STOPPING: Duration = Duration::from_secs(5);

/// How often Ctrl-C is for the program alone.
const INTERRUPTS: u32 = 3;

/// What is said where a gap is.
const LOST: &str = "\n[shellport: output was lost here]\n";

/// What processes have between being asked to end and being killed, when nobody wants their output any more.
const GRACE: &str = "2s";

/// A program to run.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// Pass standard input on.
    pub interactive: bool,
    /// Give it a terminal.
    pub tty: bool,
    /// Variables on top of the session's.
    pub env: BTreeMap<String, String>,
    /// The user; the session's when absent.
    pub user: Option<String>,
    /// Where it begins; where the session does when absent.
    pub cwd: Option<String>,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

/// Runs a program in the session of this name; the program's code.
///
/// # Errors
/// When there is no such session, it does not run, or the program cannot be started.
pub async fn exec(place: &ServerPlace, word: &str, exec: Exec) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    let mut signals = Signals::take().map_err(CommandError::host("being attached"))?;
    let session = running(&client, word).await?;
    ended(exec_in(&client, &session.id, exec, &mut signals).await?)
}

/// Runs a program in the session of this id.
pub(super) async fn exec_in(
    client: &Client,
    session: &str,
    exec: Exec,
    signals: &mut Signals,
) -> Result<Outcome, CommandError> {
    if exec.tty {
        in_terminal(client, session, exec, signals).await
    } else {
        Running::new(client, session).relay(exec, signals).await
    }
}

/// The code to end with.
pub(super) fn ended(outcome: Outcome) -> Result<ExitCode, CommandError> {
    match outcome {
        Outcome::Exited(exit) if exit.reason == Reason::Lost => {
            let what = "the session ended before the program did, or nobody saw its end".to_owned();
            Err(RemoteError::Session(what).into())
        }
        Outcome::Exited(exit) => Ok(code(&exit)),
        Outcome::Detached => Ok(ExitCode::SUCCESS),
        Outcome::Left(signal) => Ok(left(signal)),
    }
}

/// In a terminal of its own, which goes with it.
async fn in_terminal(
    client: &Client,
    session: &str,
    exec: Exec,
    signals: &mut Signals,
) -> Result<Outcome, CommandError> {
    let (cols, rows) = terminal::size();
    let name = random_tag();
    let terminals = ["sessions", session, "terminals"];
    let wish = json!({
        "name": name, "command": exec.argv, "cols": cols, "rows": rows,
        "env": exec.env, "cwd": exec.cwd, "user": exec.user,
    });
    let opening = client.json::<Value>(client.post(&terminals).json(&wish));
    let attached = async {
        tokio::select! {
            opened = opening => opened?,
            signal = signals.next() => return Ok(Outcome::Left(signal)),
        };
        let input = exec.interactive;
        let attaching = Attaching::new(client.clone(), session, &name, input, signals)?;
        attaching.relay().await
    };
    let outcome = attached.await;
    // Of one that was left, the program goes on.
    if !matches!(outcome, Ok(Outcome::Detached)) {
        let path = [&terminals[..], &[name.as_str()]].concat();
        let _ = client.send(client.request(Method::DELETE, &path)).await;
    }
    outcome
}

/// What has happened to a command since the page before.
#[derive(Deserialize)]
struct Page {
    data: Vec<Event>,
}

/// What happens to a command, as the API tells it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Output {
        stream: Stream,
        offset: u64,
        data: String,
        encoding: Option<String>,
    },
    Gap {
        stream: Stream,
        to: u64,
    },
    ProcessError {
        detail: String,
    },
    ProcessEnd(Exit),
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stream {
    Stdout,
    Stderr,
}

/// A command of a session, without a terminal.
struct Running<'a> {
    client: &'a Client,
    /// Below it everything of the command is.
    path: Vec<String>,
    /// How much of standard output and error has come.
    seen: [u64; 2],
    output: Output,
    written: CancellationToken,
}

impl<'a> Running<'a> {
    fn new(client: &'a Client, session: &str) -> Self {
        let (output, written) = Output::start();
        let path = ["sessions", session, "execs", &random_tag()].map(str::to_owned);
        Self {
            client,
            path: path.to_vec(),
            seen: [0; 2],
            output,
            written,
        }
    }

    /// Runs it to its end, over as many connections as it takes.
    async fn relay(mut self, exec: Exec, signals: &mut Signals) -> Result<Outcome, CommandError> {
        let outcome = self.run(&exec, signals).await;
        if !matches!(outcome, Ok(Outcome::Exited(_))) {
            // Nobody is there for it any more.
            let stop = self.client.post(&below(&self.path, "stop"));
            let stopping = self.client.send(stop.json(&json!({"grace": GRACE})));
            let _ = timeout(STOPPING, stopping).await;
        }
        drop(self.output);
        if matches!(outcome, Ok(Outcome::Exited(_))) {
            self.written.cancelled().await;
        }
        Ok(outcome?)
    }

    async fn run(&mut self, exec: &Exec, signals: &mut Signals) -> Result<Outcome, RemoteError> {
        tokio::select! {
            started = self.start(exec) => started?,
            signal = signals.next() => return Ok(Outcome::Left(signal)),
        }
        let (client, path) = (self.client.clone(), self.path.clone());
        let mut input = std::pin::pin!(async {
            if exec.interactive {
                give(&client, &path).await
            } else {
                Ok(())
            }
        });
        let mut following = std::pin::pin!(self.follow());
        let mut is_given = false;
        let mut interrupts = 0;
        loop {
            tokio::select! {
                outcome = &mut following => return outcome,
                given = &mut input, if !is_given => {
                    given?;
                    is_given = true;
                }
                signal = signals.next() => {
                    interrupts += u32::from(signal == Signal::SIGINT);
                    // Whoever asks again and again is not answered.
                    if signal == Signal::SIGHUP || interrupts >= INTERRUPTS {
                        return Ok(Outcome::Left(signal));
                    }
                    let said = client.post(&below(&path, "signal"));
                    let said = said.json(&json!({"signal": signal.as_str()}));
                    let client = client.clone();
                    // It may have ended just now.
                    tokio::spawn(async move { client.send(said).await.map(drop) });
                }
            }
        }
    }

    /// Starts it. To ask twice starts it once.
    async fn start(&self, exec: &Exec) -> Result<(), RemoteError> {
        let path: Vec<_> = self.path.iter().map(String::as_str).collect();
        // It waits for whoever reads it, and ends when nobody does.
        let wish = json!({
            "argv": exec.argv, "env": exec.env, "cwd": exec.cwd, "user": exec.user,
            "stdin_open": exec.interactive, "background": true, "linger": format!("{}s", LINGER.as_secs()),
        });
        let mut tries = Tries::new(FIRST_PATIENCE);
        loop {
            let started = self
                .client
                .send(self.client.request(Method::PUT, &path).json(&wish))
                .await;
            match started {
                Ok(_) => return Ok(()),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// Writes what it writes, until it ends. A page that did not arrive is read again.
    async fn follow(&mut self) -> Result<Outcome, RemoteError> {
        let mut tries = Tries::new(LINGER);
        loop {
            let request = self.client.get(&below(&self.path, "output")).query(&[
                ("stdout", self.seen[0].to_string()),
                ("stderr", self.seen[1].to_string()),
                ("wait", WAIT.to_owned()),
            ]);
            let page = tokio::select! {
                page = self.client.json::<Page>(request) => page,
                () = self.written.cancelled() => return Ok(Outcome::Left(Signal::SIGPIPE)),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    tries.again(error).await?;
                    continue;
                }
            };
            tries = Tries::new(LINGER);
            for event in page.data {
                match event {
                    Event::Output {
                        stream,
                        offset,
                        data,
                        encoding,
                    } => {
                        self.write(stream, offset, data, encoding.as_deref())
                            .await?;
                    }
                    Event::Gap { stream, to } => {
                        self.seen[stream as usize] = to;
                        self.output.send((2, LOST.into())).await;
                    }
                    Event::ProcessError { detail } => return Err(RemoteError::Session(detail)),
                    Event::ProcessEnd(exit) => return Ok(Outcome::Exited(exit)),
                    Event::Other => {}
                }
            }
        }
    }

    async fn write(
        &mut self,
        stream: Stream,
        offset: u64,
        data: String,
        encoding: Option<&str>,
    ) -> Result<(), RemoteError> {
        let bytes = match encoding {
            None => data.into_bytes(),
            Some(_) => BASE64
                .decode(data.as_bytes())
                .map_err(|error| RemoteError::Nonsense("the output", error.to_string()))?,
        };
        let seen = &mut self.seen[stream as usize];
        if offset != *seen {
            return Err(RemoteError::Nonsense(
                "the output",
                format!("{offset} comes after {seen}"),
            ));
        }
        *seen += bytes.len() as u64;
        self.output.send((stream as u8 + 1, bytes.into())).await;
        Ok(())
    }
}

/// Passes standard input on. Each piece says where it belongs, so that one which is sent twice is given once.
async fn give(client: &Client, path: &[String]) -> Result<(), RemoteError> {
    let streams = Streams {
        terminal: false,
        input: true,
    };
    let mut input = Input::start(streams);
    let mut offset = 0;
    loop {
        let (bytes, end) = match input.next().await {
            Piece::Bytes(bytes) => (bytes, false),
            Piece::End | Piece::Detach => (Bytes::new(), true),
            Piece::Failed(error) => {
                return Err(RemoteError::File("standard input".to_owned(), error));
            }
        };
        let mut tries = Tries::new(LINGER);
        loop {
            let request = client
                .post(&below(path, "stdin"))
                .query(&[("offset", offset.to_string()), ("end", end.to_string())])
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(bytes.clone());
            // It is answered when there is room for it.
            match client.send_all(request).await {
                Ok(_) => break,
                Err(error) => match tries.again(error).await {
                    Ok(()) => {}
                    // It does not read any more.
                    Err(RemoteError::Problem { code, .. })
                        if matches!(&*code, "stdin_closed" | "exec_ended") =>
                    {
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        offset += bytes.len() as u64;
        if end {
            return Ok(());
        }
    }
}

fn below<'p>(path: &'p [String], name: &'p str) -> Vec<&'p str> {
    path.iter().map(String::as_str).chain([name]).collect()
}
