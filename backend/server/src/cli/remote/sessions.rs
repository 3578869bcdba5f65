//! `shellport new`, `ls`, `open`, `start`, and what `stop` and `rm` are for sessions: their life.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::client::{Client, Session};
use super::{RemoteError, ServerPlace, session_of};
use crate::cli::container::{CommandError, ago, options};
use crate::cli::{harmless, say, say_json, say_table};
use crate::session::{Network, Profile};

/// How often a session is looked at that is being made.
const LOOK: Duration = Duration::from_millis(100);

/// Make a session on a server, and print what it is called.
#[derive(Args, Debug)]
pub struct NewCommand {
    #[command(flatten)]
    place: ServerPlace,

    /// What it is called.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Take the session of that name, when there is one, started again when it has stopped.
    #[arg(long, requires = "name")]
    reuse: bool,

    /// Set a variable (NAME=VALUE), or copy it (NAME).
    #[arg(long, short, value_name = "VARIABLE")]
    env: Vec<String>,

    /// Run as this user of the image, or this number, and :group.
    #[arg(long, short, value_parser = options::user, value_name = "USER")]
    user: Option<String>,

    /// Where shells begin.
    #[arg(long, short, value_parser = options::absolute, value_name = "DIRECTORY")]
    workdir: Option<String>,

    /// How many CPUs' worth of time it may use, such as 1.5.
    #[arg(long, value_parser = options::cpus, value_name = "CPUS", allow_negative_numbers = true)]
    cpus: Option<f64>,

    /// How much memory it may use, such as 512m.
    #[arg(long, short, value_parser = options::memory, value_name = "SIZE")]
    memory: Option<u64>,

    /// How many processes and threads it may have.
    #[arg(long, value_name = "COUNT")]
    pids_limit: Option<u32>,

    /// What it can reach.
    #[arg(long, visible_alias = "network", value_name = "NETWORK")]
    net: Option<Network>,

    /// Delete it after this time, such as 8h.
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,

    /// Stop it when nobody has used it for this time, such as 30m.
    #[arg(long, value_name = "TIME")]
    idle_timeout: Option<String>,

    /// A word to find it by (NAME=VALUE).
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,

    /// How much it may do.
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,

    /// Print it as JSON.
    #[arg(long)]
    json: bool,

    /// What to make it from; the server's own choice when absent.
    image: Option<String>,
}

/// Those fields that have a value.
pub fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    given
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

impl NewCommand {
    /// Makes it, and waits until it runs.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        let client = self.place.client()?;
        let mut labels = BTreeMap::new();
        for label in &self.label {
            let Some((name, value)) = label.split_once('=') else {
                let what = format!("{label:?} is not NAME=VALUE");
                return Err(CommandError::flag("--label", what));
            };
            labels.insert(name, value);
        }
        let env: BTreeMap<_, _> = options::variables(&[], &self.env)?.into_iter().collect();
        let mut body = fields([
            ("env", json!(env)),
            ("user", json!(self.user)),
            ("cwd", json!(self.workdir)),
            ("cpus", json!(self.cpus)),
            ("memory", json!(self.memory)),
            ("pids", json!(self.pids_limit)),
            ("network", json!(self.net)),
            ("image", json!(self.image)),
            ("ttl", json!(self.ttl)),
            ("idle_timeout", json!(self.idle_timeout)),
            ("labels", json!(labels)),
            ("profile", json!(self.profile)),
        ]);
        let request = match &self.name {
            Some(name) if self.reuse => client.request(Method::PUT, &["sessions", "by-name", name]),
            name => {
                body.extend(fields([("name", json!(name))]));
                client.post(&["sessions"])
            }
        };
        let made: Session = client.json(request.json(&body)).await?;
        let session = made_ready(&client, &made.id).await?;
        if self.json {
            let all: Value = client.json(client.get(&["sessions", &session.id])).await?;
            say_json(&all);
        } else {
            say(&session.word());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The session when it is no longer in this state; until then it is shown to `look`.
async fn settled(
    client: &Client,
    id: &str,
    state: &str,
    mut look: impl FnMut(Session),
) -> Result<Session, RemoteError> {
    loop {
        let session: Session = client.json(client.get(&["sessions", id])).await?;
        if session.state != state {
            return Ok(session);
        }
        look(session);
        sleep(LOOK).await;
    }
}

/// Waits until a session that is being made runs, and shows how far it is.
pub(super) async fn made_ready(client: &Client, id: &str) -> Result<Session, RemoteError> {
    let is_shown = io::stderr().is_terminal();
    let bar = if is_shown {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    let made = settled(client, id, "creating", |session| {
        bar.set_message(harmless(&session.state_message.unwrap_or_default()));
        if let Some((current, Some(total))) = session.progress.map(|it| (it.current, it.total)) {
            bar.set_length(total);
            bar.set_position(current);
            let template = "{bar:30} {bytes:>10} / {total_bytes:<10} {msg}";
            bar.set_style(ProgressStyle::with_template(template).expect("it is one"));
        }
        bar.tick();
    });
    let made = made.await;
    bar.finish_and_clear();
    match made? {
        session if session.state == "running" => Ok(session),
        session => Err(not_running(&session)),
    }
}

/// The session of this name, which runs.
pub(super) async fn running(client: &Client, word: &str) -> Result<Session, RemoteError> {
    let session = client.session(word).await?;
    match session.state.as_str() {
        "running" => Ok(session),
        "creating" => made_ready(client, &session.id).await,
        _ => Err(not_running(&session)),
    }
}

fn not_running(session: &Session) -> RemoteError {
    let word = session.word();
    let why = session
        .state_message
        .as_ref()
        .map(|why| format!(": {}", harmless(why)))
        .unwrap_or_default();
    let hint = match session.state.as_str() {
        "stopped" => format!("; `shellport start {word}` starts it again"),
        _ => String::new(),
    };
    RemoteError::Session(format!(
        "the session {word} is {}{why}{hint}",
        session.state
    ))
}

/// List the sessions of a server.
#[derive(Args, Debug)]
pub struct SessionsCommand {
    #[command(flatten)]
    place: ServerPlace,

    /// Only what they are called.
    #[arg(long, short)]
    quiet: bool,

    /// Print them as JSON.
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
}

impl SessionsCommand {
    /// Lists them.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        let client = self.place.client()?;
        if self.json {
            let all: Vec<Value> = client.all(&["sessions"], &[]).await?;
            say_json(&all);
            return Ok(ExitCode::SUCCESS);
        }
        let all: Vec<Session> = client.all(&["sessions"], &[]).await?;
        if self.quiet {
            for session in &all {
                say(&session.word());
            }
        } else {
            let rows: Vec<_> = all.iter().map(row).collect();
            say_table(
                [
                    "SESSION", "ID", "IMAGE", "STATE", "CPUS", "MEMORY", "CREATED",
                ],
                &rows,
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(session: &Session) -> [String; 7] {
    [
        session.word(),
        session.id.clone(),
        session.image.clone(),
        session.state.clone(),
        session.cpus.to_string(),
        HumanBytes(session.memory).to_string(),
        format!("{} ago", ago(session.created_at)),
    ]
}

/// Show the page of a session in a browser.
#[derive(Args, Debug)]
pub struct OpenCommand {
    #[command(flatten)]
    place: ServerPlace,

    /// Only print its address.
    #[arg(long)]
    print: bool,

    /// The session (@NAME); the page with all of them when absent.
    session: Option<String>,
}

impl OpenCommand {
    /// Prints its address, and opens it where there is a browser.
    ///
    /// # Errors
    /// When there is no such session.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        let client = self.place.client()?;
        let page = match &self.session {
            Some(text) => {
                let session = client.session(word(text)?).await?;
                client.page(&["sessions", &session.id])
            }
            None => client.page(&[""]),
        };
        say(page.as_str());
        if !self.print {
            let mut browser = Command::new("xdg-open");
            browser.arg(page.as_str());
            let browser = browser
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // Where there is none, the address is what there is.
            let _ = browser.spawn();
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Start sessions again that have stopped.
#[derive(Args, Debug)]
pub struct StartCommand {
    #[command(flatten)]
    place: ServerPlace,

    /// The sessions (@NAME).
    #[arg(required = true)]
    sessions: Vec<String>,
}

impl StartCommand {
    /// Starts them, one after the other.
    ///
    /// # Errors
    /// When there is no such session, or it cannot be started.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        let client = self.place.client()?;
        for text in &self.sessions {
            let session = client.session(word(text)?).await?;
            client
                .send(client.post(&["sessions", &session.id, "start"]))
                .await?;
            made_ready(&client, &session.id).await?;
            say(text);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is meant where only a session can be.
pub fn word(text: &str) -> Result<&str, CommandError> {
    session_of(text).ok_or_else(|| {
        let what = format!("{text:?} is not a session of a server, such as @{text}");
        CommandError::flag("SESSION", what)
    })
}

/// Stops sessions, whose processes have `seconds` to end.
///
/// # Errors
/// When there is no such session.
pub async fn stop(
    place: &ServerPlace,
    words: &[String],
    seconds: u64,
) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    for word in words {
        let session = client.session(word).await?;
        let stop = client.post(&["sessions", &session.id, "stop"]);
        client
            .send(stop.json(&json!({"grace": format!("{seconds}s")})))
            .await?;
        settled(&client, &session.id, "stopping", drop).await?;
        say(&format!("@{word}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes sessions with their files; those that run only with `force`.
///
/// # Errors
/// When there is no such session, or it runs.
pub async fn remove(
    place: &ServerPlace,
    words: &[String],
    force: bool,
) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    for word in words {
        let session = client.session(word).await?;
        if session.state == "running" && !force {
            let what = format!("the session @{word} runs; stop it first, or use --force");
            return Err(RemoteError::Session(what).into());
        }
        client
            .send(client.request(Method::DELETE, &["sessions", &session.id]))
            .await?;
        say(&format!("@{word}"));
    }
    Ok(ExitCode::SUCCESS)
}
