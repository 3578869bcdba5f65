//! `/api/v1/run`: a command in a sandbox of its own, from nothing to nothing, in one call.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use data_encoding::BASE64;
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use shellport_wire::agent::Places;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::App;
use super::execs::{ExecEvent, ExecOutcome, Run, RunExec, Teller, Told, Wish, collect};
use super::extract::Body;
use super::files::write::Content;
use super::model::{Duration as DurationText, Size};
use super::problem::Problem;
use super::sessions::{CreateSession, plan};
use super::stream::{Form, Item};
use crate::agent::{Event, Started};
use crate::auth::Caller;
use crate::id::random_tag;
use crate::session::{Command, Network, NewSession, Profile, Session, State as Life, View};

/// How much longer than its command a sandbox lives, should nobody be there to remove it.
const LEFTOVER: Duration = Duration::from_mins(30);

/// A command, and the sandbox to run it in.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunOnce {
    /// The image to make the sandbox from.
    #[schema(example = "debian:stable-slim")]
    image: Option<String>,
    /// The argument vector. Either this or `shell`.
    #[serde(default)]
    argv: Vec<String>,
    /// A line for `/bin/sh -c`. Either this or `argv`.
    #[schema(example = "make test")]
    shell: Option<String>,
    /// Variables on top of the image's.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// The working directory, an absolute path.
    cwd: Option<String>,
    /// The user: a name or number, with or without a group behind a colon.
    user: Option<String>,
    /// What it reads from its standard input; nothing when absent.
    stdin: Option<String>,
    /// After how long it is ended.
    timeout: Option<DurationText>,
    /// How long its processes may take to end when they are asked to, before they are killed; `2s` when
    /// absent.
    grace: Option<DurationText>,
    /// How many CPUs' worth of time.
    cpus: Option<f64>,
    /// How much memory.
    memory: Option<Size>,
    /// The most processes and threads.
    pids: Option<u32>,
    /// What it can reach.
    network: Option<Network>,
    /// How much it may do.
    profile: Option<Profile>,
    /// Files to put into it before.
    #[serde(default)]
    files: Vec<FileIn>,
    /// Words to find its session by while it runs.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// A file that a run finds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileIn {
    /// Its absolute path; directories above it are made.
    path: String,
    /// Its content.
    content: String,
    /// `base64` when `content` is that; text when absent.
    encoding: Option<Encoding>,
    /// Its permissions, in octal.
    mode: Option<String>,
}

/// How bytes are written that are no text.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// RFC 4648, section 4.
    Base64,
}

/// What happens in a run. The last is `container_remove`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum RunEvent {
    /// Of the sandbox.
    Life(Box<LifeEvent>),
    /// Of the command in it.
    Exec(ExecEvent),
}

/// What happens to a run's sandbox.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LifeEvent {
    /// It is being made.
    ContainerCreate {
        /// Its session, for as long as it runs.
        session: String,
    },
    /// Its image is on the way.
    ImagePull {
        /// A stable word for what is done.
        step: &'static str,
        /// Bytes done.
        current: u64,
        /// Bytes to do, as far as known.
        total: Option<u64>,
    },
    /// It has gone, and nothing of it is left.
    ContainerRemove {
        /// The session that it was.
        session: String,
    },
}

/// Runs a command in a sandbox of its own, which is removed when it has ended.
///
/// With `Accept: application/json` the answer is the outcome; with `application/x-ndjson` or
/// `text/event-stream` it is events as they come, of which `container_remove` is only sent when nothing is left.
/// When the client goes first, the command is ended and everything removed.
#[utoipa::path(
    post, path = "/api/v1/run", tag = "execs",
    request_body = RunOnce,
    responses(
        (status = 200, description = "It ran and has ended, however; or it is told as it goes on", content(
            (ExecOutcome = "application/json"),
            (RunEvent = "application/x-ndjson"),
            (RunEvent = "text/event-stream"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn run(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body<RunOnce>,
) -> Result<Response, Problem> {
    let form = Form::of(&headers)?;
    let once = body.value;
    let exec = RunExec {
        argv: once.argv,
        shell: once.shell,
        stdin: once.stdin,
        timeout: once.timeout,
        grace: once.grace,
        ..RunExec::default()
    };
    let text = random_tag();
    let wish = Wish::new(
        Body { value: exec, text },
        random_tag(),
        Places::default(),
        &app.limits,
    )?;
    let session = CreateSession {
        image: once.image,
        // Only a shell runs in terminals alone; the image's own command would run beside this one.
        command: Some(vec!["/bin/sh".to_owned()]),
        env: once.env,
        cwd: once.cwd,
        user: once.user,
        cpus: once.cpus,
        memory: once.memory,
        pids: once.pids,
        network: once.network,
        profile: once.profile,
        labels: once.labels,
        ..CreateSession::default()
    };
    let mut new = plan(session, caller, &app.limits)?;
    let files: Result<Vec<_>, _> = once.files.into_iter().enumerate().map(file_in).collect();
    let files = files?;
    let takes = Duration::from_millis(wish.exec.timeout_ms.unwrap_or_default());
    let left = takes.saturating_add(LEFTOVER);
    new.ttl = Some(new.ttl.map_or(left, |most| most.min(left)));

    let name = wish.exec.exec.clone();
    let (steps, mut told) = mpsc::channel(1);
    app.connections
        .clone()
        .spawn(Once { app, steps }.run(new, files, wish));
    if form != Form::Json {
        return Ok(form.respond(events(Teller::new(name, Places::default()), told)));
    }
    let (events, command) = mpsc::channel(1);
    let passed = async {
        while let Some(step) = told.recv().await {
            match step {
                Step::Told(event) => drop(events.send(event).await),
                Step::Life(_) | Step::Begun(_) => {}
            }
        }
        drop(events);
    };
    let (outcome, ()) = tokio::join!(collect(name, command), passed);
    Ok(Json(outcome?).into_response())
}

/// The file that a caller means by one of its `files`.
fn file_in((index, file): (usize, FileIn)) -> Result<Content, Problem> {
    let field = |name: &str| format!("files[{index}].{name}");
    let content = match file.encoding {
        None => file.content.into(),
        Some(Encoding::Base64) => {
            let decoded = BASE64.decode(file.content.as_bytes());
            decoded.map_err(|error| {
                let field = field("content");
                Problem::invalid(format!("{field}: it is no base64: {error}")).with_field(field)
            })?
        }
    };
    let wrong = |name: &str, problem: Problem| {
        let field = field(name);
        Problem::invalid(format!("{field}: {}", problem.detail)).with_field(field)
    };
    Content::new(&file.path, file.mode.as_deref(), content)
        .map_err(|(name, problem)| wrong(name, problem))
}

/// What there is to tell.
enum Step {
    Life(LifeEvent),
    Begun(Started),
    Told(Result<Event, Problem>),
}

/// One run, in a task that outlives its client.
struct Once {
    app: App,
    steps: mpsc::Sender<Step>,
}

impl Once {
    async fn run(self, new: NewSession, files: Vec<Content>, wish: Wish) {
        let session = match self.app.registry.create(new).await {
            Ok((session, _)) => session,
            Err(error) => return self.tell(Step::Told(Err(error.into()))).await,
        };
        self.app.metrics.sessions_created.inc();
        let id = session.view().record.id.to_string();
        let went = tokio::select! {
            went = self.inside(&session, files, wish) => went,
            () = self.steps.closed() => Ok(()),
            () = self.app.cut.cancelled() => Err(Problem::shutting_down()),
        };
        if let Err(problem) = went {
            self.tell(Step::Told(Err(problem))).await;
        }
        match session.ask(Command::Delete).await {
            Ok(_) => {
                let removed = LifeEvent::ContainerRemove { session: id };
                self.tell(Step::Life(removed)).await;
            }
            Err(error) => tracing::warn!(session.id = %id, %error, "a run's session is left"),
        }
    }

    /// From the sandbox's making to the command's end.
    async fn inside(
        &self,
        session: &Session,
        files: Vec<Content>,
        wish: Wish,
    ) -> Result<(), Problem> {
        let id = session.view().record.id.to_string();
        self.tell(Step::Life(LifeEvent::ContainerCreate { session: id }))
            .await;
        self.made(session).await?;
        for content in files {
            content.put(&self.app, session).await?;
        }
        let Wish {
            exec, stdin, stop, ..
        } = wish;
        self.app.metrics.execs.inc();
        let run = Run::start(&self.app, session, exec);
        let (started, mut told): (_, Told) = run.with_stdin(stdin).with_stop(stop).begin().await?;
        self.tell(Step::Begun(started)).await;
        while let Some(event) = told.recv().await {
            self.tell(Step::Told(event)).await;
        }
        Ok(())
    }

    /// Waits until the sandbox runs.
    async fn made(&self, session: &Session) -> Result<(), Problem> {
        let mut watch = session.watch();
        let mut last = None;
        loop {
            let View {
                record, progress, ..
            } = watch.borrow_and_update().clone();
            match record.state {
                Life::Creating => {}
                Life::Running => return Ok(()),
                _ => return Err(Problem::not_made(&record)),
            }
            if progress != last
                && let Some(progress) = &progress
            {
                let pull = LifeEvent::ImagePull {
                    step: progress.step,
                    current: progress.current,
                    total: progress.total,
                };
                self.tell(Step::Life(pull)).await;
            }
            last = progress;
            if watch.changed().await.is_err() {
                return Err(Problem::not_made(&record));
            }
        }
    }

    /// A client that has gone is found out otherwise.
    async fn tell(&self, step: Step) {
        let _ = self.steps.send(step).await;
    }
}

fn events(teller: Teller, steps: mpsc::Receiver<Step>) -> impl Stream<Item = Item<RunEvent>> {
    let begin = (teller, steps, Vec::new());
    stream::unfold(begin, async |(mut teller, mut steps, mut waiting)| {
        while waiting.is_empty() {
            waiting = match steps.recv().await? {
                Step::Life(event) => vec![RunEvent::Life(Box::new(event))],
                Step::Begun(started) => vec![RunEvent::Exec(teller.start(&started))],
                Step::Told(event) => {
                    let told = teller.tell(event).into_iter().rev();
                    told.map(RunEvent::Exec).collect()
                }
            };
        }
        let value = waiting.pop()?;
        Some((Item { value, id: None }, (teller, steps, waiting)))
    })
}
