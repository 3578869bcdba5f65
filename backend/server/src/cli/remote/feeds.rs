//! `shellport events`, and what `logs` and `stats` are for sessions: what happens, as it does.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt};
use indicatif::HumanBytes;
use jiff::Timestamp;
use reqwest::header::ACCEPT;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shellport_wire::close;
use tokio::time::sleep;

use super::client::{Client, Session, parse};
use super::retry::{FIRST_DELAY, LAST_DELAY, jittered, may_pass};
use super::sessions::{running, word};
use super::socket::{Heard, Socket};
use super::{RemoteError, ServerPlace};
use crate::cli::container::CommandError;
use crate::cli::terminal::restore;
use crate::cli::{CLEAR, harmless, is_heard, say_table};

/// How long CPU time is measured.
const INTERVAL: Duration = Duration::from_secs(1);

/// Print what happens to sessions and in them, until Ctrl-C.
#[derive(Args, Debug)]
pub struct EventsCommand {
    #[command(flatten)]
    place: ServerPlace,

    /// Begin behind the event of this id; with what happens next when absent.
    #[arg(long, value_name = "ID")]
    since: Option<String>,

    /// Only events of these types, such as `session_state,exec_ended`.
    #[arg(long, value_name = "TYPES")]
    types: Option<String>,

    /// Print them as lines of JSON.
    #[arg(long)]
    json: bool,

    /// The session (@NAME); all of them when absent.
    session: Option<String>,
}

impl EventsCommand {
    /// Prints them, over as many connections as it takes.
    ///
    /// # Errors
    /// When there is no such session, or the server refuses.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        let client = self.place.client()?;
        let session = match &self.session {
            Some(text) => Some(client.session(word(text)?).await?.id),
            None => None,
        };
        let path = match &session {
            Some(id) => vec!["sessions", id, "events"],
            None => vec!["events"],
        };
        let mut since = self.since;
        let mut delay = FIRST_DELAY;
        let mut has_begun = false;
        loop {
            let mut request = client.get(&path);
            for (name, value) in [("since", &since), ("types", &self.types)] {
                if let Some(value) = value {
                    request = request.query(&[(name, value)]);
                }
            }
            let broken = match client.lines(request).await {
                Ok(mut events) => loop {
                    match events.next().await {
                        Some(Ok(event)) => {
                            (has_begun, delay) = (true, FIRST_DELAY);
                            if let Some(id) = event["id"].as_str() {
                                since = Some(id.to_owned());
                            }
                            if !print(&event, self.json) {
                                return Ok(ExitCode::SUCCESS);
                            }
                        }
                        Some(Err(error)) => break error,
                        None => break client.silent(),
                    }
                },
                Err(error) => error,
            };
            if !has_begun || !may_pass(&broken) {
                return Err(broken.into());
            }
            if since.is_none() {
                tracing::warn!("{broken}; events may have been missed");
            }
            sleep(jittered(delay)).await;
            delay = (delay * 2).min(LAST_DELAY);
        }
    }
}

/// Prints an event; whether somebody reads it.
fn print(event: &Value, json: bool) -> bool {
    let mut stdout = io::stdout();
    if json {
        return writeln!(stdout, "{event}").is_ok();
    }
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    if text("type") == "heartbeat" {
        return true;
    }
    let told = ["id", "at", "session", "type"];
    let fields = event.as_object().into_iter().flatten();
    let rest = fields.filter(|(name, value)| !told.contains(&name.as_str()) && !value.is_null());
    let rest: Vec<_> = rest
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        })
        .collect();
    let line = format!(
        "{} {} {} {}",
        text("at"),
        text("session"),
        text("type"),
        rest.join(" ")
    );
    writeln!(stdout, "{}", harmless(line.trim_end())).is_ok()
}

/// What a session uses, as far as it is shown.
#[derive(Deserialize, Serialize)]
struct Stats {
    at: Timestamp,
    cpu_ms: u64,
    memory: u64,
    memory_limit: Option<u64>,
    pids: u64,
    disk_used: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// Shows what sessions use, every second, or once.
///
/// # Errors
/// When there is no such session, or it does not run.
pub async fn stats(
    place: &ServerPlace,
    words: &[String],
    once: bool,
    json: bool,
) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    let mut sessions = Vec::new();
    for word in words {
        sessions.push(running(&client, word).await?);
    }
    let mut before = look(&client, &sessions).await?;
    loop {
        sleep(INTERVAL).await;
        let now = look(&client, &sessions).await?;
        let seen = sessions.iter().zip(before.iter().zip(&now));
        if json {
            let all: Vec<_> = seen
                .map(|(session, (before, now))| {
                    let mut value = serde_json::to_value(now).unwrap_or_default();
                    value["session"] = session.id.clone().into();
                    value["name"] = session.name.clone().into();
                    value["cpus"] = cpus(before, now).into();
                    value
                })
                .collect();
            let text = serde_json::to_string_pretty(&all).unwrap_or_default();
            if !is_heard(&text) {
                return Ok(ExitCode::SUCCESS);
            }
        } else {
            let rows: Vec<_> = seen
                .map(|(session, (before, now))| row(session, before, now))
                .collect();
            if !once && !is_heard(CLEAR) {
                return Ok(ExitCode::SUCCESS);
            }
            say_table(["SESSION", "CPU", "MEMORY", "LIMIT", "PIDS", "DISK"], &rows);
        }
        if once {
            return Ok(ExitCode::SUCCESS);
        }
        before = now;
    }
}

async fn look(client: &Client, sessions: &[Session]) -> Result<Vec<Stats>, RemoteError> {
    let mut all = Vec::new();
    for session in sessions {
        all.push(
            client
                .json(client.get(&["sessions", &session.id, "stats"]))
                .await?,
        );
    }
    Ok(all)
}

/// CPUs' worth of time between two looks.
fn cpus(before: &Stats, now: &Stats) -> f64 {
    let used = Duration::from_millis(now.cpu_ms.saturating_sub(before.cpu_ms));
    let elapsed = now.at.duration_since(before.at).as_secs_f64();
    if elapsed > 0.0 {
        used.as_secs_f64() / elapsed
    } else {
        0.0
    }
}

fn row(session: &Session, before: &Stats, now: &Stats) -> [String; 6] {
    let limit = now
        .memory_limit
        .map_or_else(|| "none".to_owned(), |it| HumanBytes(it).to_string());
    [
        session.word(),
        format!("{:.1} %", cpus(before, now) * 100.0),
        HumanBytes(now.memory).to_string(),
        limit,
        now.pids.to_string(),
        HumanBytes(now.disk_used).to_string(),
    ]
}

/// Prints what a session's terminal, `NAME` or `NAME/TERMINAL`, has put out, as far as it is kept; with `follow` as it
/// comes, until the program ends.
///
/// # Errors
/// When there is no such session or terminal.
pub async fn logs(
    place: &ServerPlace,
    word: &str,
    follow: bool,
    tail: Option<usize>,
) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    let (word, terminal) = word.split_once('/').unwrap_or((word, "main"));
    let session = running(&client, word).await?;
    let path = ["sessions", &session.id, "terminals", terminal];
    let kept = [&path[..], &["output"]].concat();
    if follow && tail.is_some() {
        let what = "of a terminal that is followed, all that is kept is printed first";
        return Err(CommandError::flag("--tail", what));
    }
    if follow {
        let attach = client.get(&[&path[..], &["attach"]].concat());
        let attach = attach.query(&[("role", "reader"), ("since", "0")]);
        let followed = follow_terminal(Socket::open(&client, attach, None).await?).await;
        written(restore(false).as_bytes());
        return followed;
    }
    let response = client
        .send(client.get(&kept).header(ACCEPT, "text/plain"))
        .await?;
    let mut parts = response.bytes_stream();
    let mut text = Vec::new();
    while let Some(part) = parts
        .try_next()
        .await
        .map_err(|error| client.unreachable(&error))?
    {
        // A part is written when it comes, unless only the end is wanted.
        text.extend_from_slice(&part);
        if tail.is_none() && !written(&std::mem::take(&mut text)) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if let Some(count) = tail {
        let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
        written(&lines[lines.len().saturating_sub(count)..].concat());
    }
    Ok(ExitCode::SUCCESS)
}

async fn follow_terminal(mut socket: Socket) -> Result<ExitCode, CommandError> {
    loop {
        match socket.next().await {
            Heard::Bytes(bytes) if !written(&bytes) => return Ok(ExitCode::SUCCESS),
            Heard::Bytes(_) => {}
            Heard::Text(text) => {
                let message: Value = parse(text.as_bytes())?;
                if message["type"] == "exit" {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            Heard::Closed(closed) if closed.code.is_some_and(|code| !close::is_retried(code)) => {
                return Ok(ExitCode::SUCCESS);
            }
            Heard::Closed(closed) => return Err(RemoteError::Session(closed.reason).into()),
        }
    }
}

/// Whether somebody reads it.
fn written(bytes: &[u8]) -> bool {
    let mut stdout = io::stdout();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .is_ok()
}
