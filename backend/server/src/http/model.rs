//! What the API shows and takes that is not one resource's own.

use std::collections::BTreeMap;
use std::time;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use shellport_wire::{agent, exit};
use utoipa::ToSchema;

use crate::runtime::Limitation;
use crate::session::{Network, Profile, State, View};
use crate::units::{format_duration, parse_duration, parse_size};

/// A session.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// Its id, which gives no right to it.
    id: String,
    /// Its name.
    name: Option<String>,
    /// Who created it.
    owner: String,
    /// Where it is in its life.
    state: State,
    /// A stable word for why.
    state_reason: Option<String>,
    /// A sentence for people.
    state_message: Option<String>,
    /// How far its making is, while it is `creating`.
    progress: Option<Progress>,
    /// What made its sandbox.
    runtime: String,
    /// What its sandbox was made from.
    image: String,
    /// How much it may do.
    profile: Profile,
    /// What it can reach.
    network: Network,
    /// The command that was asked for; null for the image's own.
    command: Option<Vec<String>>,
    /// The working directory that was asked for; null for the image's own.
    cwd: Option<String>,
    /// The user that was asked for; null for the image's own.
    user: Option<String>,
    /// How many CPUs' worth of time it has.
    cpus: f64,
    /// Bytes of memory it has.
    memory: u64,
    /// The most processes and threads.
    pids: u32,
    /// Words to find it by.
    labels: BTreeMap<String, String>,
    /// How long it may be without a viewer or exec.
    idle_timeout: Option<String>,
    /// When it is deleted.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its sandbox last began to run.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    /// When its sandbox last ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// The image's own command, when it runs beside the terminals.
    main: Option<Main>,
    /// What its runtime cannot do for it on this machine, although it says so here.
    limitations: Vec<Limitation>,
}

/// How far a making is.
#[derive(Serialize, ToSchema)]
pub struct Progress {
    /// A stable word.
    #[schema(example = "pulling_image")]
    step: &'static str,
    /// Bytes done.
    current: u64,
    /// Bytes to do, as far as known.
    total: Option<u64>,
}

/// The image's own command.
#[derive(Serialize, ToSchema)]
pub struct Main {
    /// Its argument vector.
    argv: Vec<String>,
    /// How it ended, when it has.
    exit: Option<Exit>,
}

/// How a program ended: with a code or by a signal, never both.
#[derive(Debug, Serialize, ToSchema)]
pub struct Exit {
    /// Its exit code.
    code: Option<i32>,
    /// The signal that ended it, such as `SIGKILL`.
    signal: Option<String>,
    /// Why it ended.
    reason: Reason,
}

/// Why a program ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It exited by itself.
    Exited,
    /// A signal ended it that Shellport did not send.
    Signaled,
    /// The kernel ended it because the sandbox was out of memory.
    Oom,
    /// It ran longer than it was allowed to.
    Timeout,
    /// Shellport ended it.
    Stopped,
    /// Its end was not seen.
    Lost,
}

impl From<&View> for Session {
    fn from(view: &View) -> Self {
        let record = view.record.clone();
        // While it is being made, the progress says more than the reason.
        let progress = view.progress.as_ref();
        let step = progress.map(|progress| progress.step.to_owned());
        let message = progress.map(|progress| progress.message.clone());
        Self {
            id: record.id.to_string(),
            name: record.name,
            owner: record.owner,
            state: record.state,
            state_reason: step.or(record.reason),
            state_message: message.or(record.message),
            progress: progress.map(|progress| Progress {
                step: progress.step,
                current: progress.current,
                total: progress.total,
            }),
            runtime: record.runtime,
            image: record.spec.image,
            profile: record.spec.profile,
            network: record.spec.network,
            command: record.spec.command,
            cwd: record.spec.cwd,
            user: record.spec.user,
            cpus: record.spec.cpus,
            memory: record.spec.memory,
            pids: record.spec.pids,
            labels: record.labels,
            idle_timeout: record.idle_timeout.map(format_duration),
            expires_at: record.expires_at,
            created_at: record.created_at,
            started_at: record.started_at,
            ended_at: record.ended_at,
            main: view.main.clone().map(|main| Main {
                argv: main.argv,
                exit: main.exit.map(Into::into),
            }),
            limitations: view.limitations.clone(),
        }
    }
}

impl From<exit::Exit> for Exit {
    fn from(exit: exit::Exit) -> Self {
        Self {
            code: exit.code,
            signal: exit.signal,
            reason: match exit.reason {
                exit::Reason::Exited => Reason::Exited,
                exit::Reason::Signaled => Reason::Signaled,
                exit::Reason::Oom => Reason::Oom,
                exit::Reason::Timeout => Reason::Timeout,
                exit::Reason::Stopped => Reason::Stopped,
                exit::Reason::Lost => Reason::Lost,
            },
        }
    }
}

/// A terminal of a session.
#[derive(Serialize, ToSchema)]
pub struct Terminal {
    /// Its name.
    name: String,
    /// What runs in it.
    command: Vec<String>,
    /// Its width in cells.
    cols: u16,
    /// Its height in cells.
    rows: u16,
    /// The title that its program set last.
    title: String,
    /// How many bytes it has put out.
    offset: u64,
    /// How many viewers it has.
    viewers: u32,
    /// Whether its program runs.
    state: TerminalState,
    /// How its program ended, when it has.
    exit: Option<Exit>,
}

/// Whether a terminal's program runs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TerminalState {
    /// It does.
    Running,
    /// It has ended; what it put out can still be seen.
    Exited,
}

impl From<agent::Terminal> for Terminal {
    fn from(terminal: agent::Terminal) -> Self {
        Self {
            state: match terminal.exit {
                None => TerminalState::Running,
                Some(_) => TerminalState::Exited,
            },
            name: terminal.terminal,
            command: terminal.argv,
            cols: terminal.size.cols,
            rows: terminal.size.rows,
            title: terminal.title,
            offset: terminal.offset,
            viewers: terminal.viewers,
            exit: terminal.exit.map(Into::into),
        }
    }
}

/// A size in bytes: a number, or text such as `512Mi` or `1g`.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = NumberOrText, example = "512Mi")]
pub struct Size(pub u64);

/// A duration such as `90s`, `30m` or `8h`.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, example = "30m")]
pub struct Duration(pub time::Duration);

/// A number, or text.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum NumberOrText {
    /// A number.
    Number(u64),
    /// Text.
    Text(String),
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = NumberOrText::deserialize(deserializer).map_err(|_| {
            de::Error::custom("a size is a number of bytes, or text such as 512Mi or 1g")
        })?;
        match read {
            NumberOrText::Number(bytes) => Ok(Self(bytes)),
            NumberOrText::Text(text) => parse_size(&text).map(Self).map_err(de::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(de::Error::custom)
    }
}
