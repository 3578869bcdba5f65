//! `/api/v1/sessions/{id}/processes`: what runs in a sandbox.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shellport_wire::process::{self as wire, Answer, Request};
use utoipa::ToSchema;

use super::App;
use super::extract::{Body, InPath, Names};
use super::files::model::problem;
use super::problem::Problem;
use super::tool::{Terms, Tool, nonsense};
use crate::session::Session;

/// The agent's program for processes.
const PROCESS: &str = "process";

/// How long a look at them may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The most that are told of.
const MAX: usize = 10_000;

/// What runs in a sandbox.
#[derive(Serialize, ToSchema)]
pub struct ProcessList {
    /// Parents before their children.
    data: Vec<Process>,
    /// Always null: there is never more than one page of them.
    next_cursor: Option<String>,
}

/// A process.
#[derive(Serialize, ToSchema)]
pub struct Process {
    /// Its id in the sandbox.
    pid: i32,
    /// The nearest process above it that is listed.
    parent: Option<i32>,
    /// The number of its user.
    uid: u32,
    /// What it is doing.
    state: ProcessState,
    /// Its name, as the kernel has it.
    name: String,
    /// Its argument vector, the beginning of it.
    argv: Vec<String>,
    /// Milliseconds of CPU time that it has used.
    cpu_ms: u64,
    /// Bytes of memory that it has in use.
    memory: u64,
    /// How many threads it has.
    threads: u32,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// The ports on which it listens; of another user's processes only root knows them.
    ports: Vec<Port>,
}

/// What a process is doing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It runs, or could.
    Running,
    /// It waits for something.
    Sleeping,
    /// It waits for a disk or the like, and cannot be interrupted.
    Waiting,
    /// It has been stopped.
    Stopped,
    /// It has ended, and its parent has not asked how.
    Zombie,
    /// Something else.
    Other,
}

/// A TCP port on which a process listens.
#[derive(Serialize, ToSchema)]
pub struct Port {
    /// Its number.
    port: u16,
    /// The address.
    #[schema(example = "127.0.0.1")]
    address: String,
}

impl From<wire::Process> for Process {
    fn from(process: wire::Process) -> Self {
        let started = i64::try_from(process.started_ms).map(Timestamp::from_millisecond);
        Self {
            pid: process.pid,
            parent: process.parent,
            uid: process.uid,
            state: match process.state {
                'R' => ProcessState::Running,
                'S' | 'I' => ProcessState::Sleeping,
                'D' => ProcessState::Waiting,
                'T' | 't' => ProcessState::Stopped,
                'Z' | 'X' => ProcessState::Zombie,
                _ => ProcessState::Other,
            },
            name: process.name,
            argv: process.argv,
            cpu_ms: process.cpu_ms,
            memory: process.memory,
            threads: process.threads,
            started_at: started.ok().and_then(Result::ok).unwrap_or_default(),
            ports: process
                .ports
                .into_iter()
                .map(|wire::Port { port, address }| Port { port, address })
                .collect(),
        }
    }
}

/// Lists what runs in a session, but for what Shellport itself runs there.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/processes", tag = "processes",
    params(("id" = String, Path, description = "The session")),
    responses(
        (status = 200, body = ProcessList),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    State(app): State<App>,
    InPath(session): InPath,
) -> Result<Json<ProcessList>, Problem> {
    let mut tool = ask(&app, &session, &Request::List, None).await?;
    let mut data = Vec::new();
    loop {
        match parse(&tool.first().await?)? {
            Answer::Process(process) if data.len() < MAX => data.push(process.into()),
            Answer::Process(_) => {}
            Answer::Done => break,
            Answer::Failed(failure) => return Err(problem(failure)),
            Answer::Ports { .. } | Answer::Stats(_) => return Err(nonsense("not processes")),
        }
    }
    Ok(Json(ProcessList {
        data,
        next_cursor: None,
    }))
}

/// A signal to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalProcess {
    /// Its name.
    #[schema(example = "SIGTERM")]
    signal: String,
    /// `true`: to everything below the process, too.
    #[serde(default)]
    tree: bool,
}

/// Signals a process of a session, or the whole tree below it.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/processes/{pid}/signal", tag = "processes",
    params(("id" = String, Path, description = "The session"), ("pid" = i32, Path, description = "The process")),
    request_body = SignalProcess,
    responses(
        (status = 204, description = "It was sent"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn signal(
    State(app): State<App>,
    InPath(session): InPath,
    Names { pid: text, .. }: Names,
    body: Body<SignalProcess>,
) -> Result<StatusCode, Problem> {
    let pid = text.parse().ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| not_found(format!("there is no process {text:?}")))?;
    let SignalProcess { signal, tree } = body.value;
    let request = Request::Signal { pid, signal, tree };
    let mut tool = ask(&app, &session, &request, None).await?;
    match parse(&tool.first().await?)? {
        Answer::Done => Ok(StatusCode::NO_CONTENT),
        Answer::Failed(failure) => {
            let mut problem = problem(failure);
            match problem.code {
                "file_not_found" => problem.code = "process_not_found",
                "file_forbidden" => problem.code = "process_forbidden",
                _ if problem.detail.starts_with("signal: ") => {
                    problem = problem.with_field("signal");
                }
                _ => {}
            }
            Err(problem)
        }
        _ => Err(nonsense("not what was asked")),
    }
}

fn not_found(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "process_not_found", detail)
}

/// Asks the agent's program for processes, which may take so long; half a minute when absent.
pub(super) async fn ask(
    app: &App,
    session: &Session,
    request: &Request,
    limit: Option<Duration>,
) -> Result<Tool, Problem> {
    let terms = Terms {
        user: None,
        limit: limit.unwrap_or(LIMIT),
    };
    Tool::begin(app, session, (PROCESS, request), terms, false).await
}

/// A line of what it says.
pub(super) fn parse(line: &[u8]) -> Result<Answer, Problem> {
    serde_json::from_slice(line).map_err(|_| nonsense("what it says is no answer"))
}
