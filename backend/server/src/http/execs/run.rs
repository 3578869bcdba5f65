//! A command that is followed, over as many connections to its agent as it takes.

use std::time::Duration;

use bytes::Bytes;
use shellport_wire::agent::{Exec, Follow, Places, RefusalCode, Request};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::exec_problem as problem;
use crate::agent::{self, AgentError, Event, Listener, Over, Progress, Started};
use crate::http::App;
use crate::http::problem::Problem;
use crate::http::terminals::running;
use crate::runtime::{RuntimeError, Stream};
use crate::session::Session;

/// How much longer than its time a command may take to be ended.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long an agent whose connection broke may be away.
const AWAY: Duration = Duration::from_secs(10);

/// The most connections to an agent for one command. Nothing breaks so often by itself.
pub(super) const CONNECTIONS: usize = 16;

/// Between tries to reach it.
pub(super) const RETRY: Duration = Duration::from_millis(200);

/// How long a command waits at least for the server to come back, which may take [`AWAY`] and an answer.
pub const LINGER: Duration = Duration::from_secs(30);

/// What is told of a command: events up to its end, or why there are no more.
pub type Told = mpsc::Receiver<Result<Event, Problem>>;

/// A command to follow.
pub struct Run {
    app: App,
    session: Session,
    name: String,
    /// With which it is found or started.
    request: Request,
    stdin: Option<Bytes>,
    progress: Progress,
    limit: Option<Duration>,
    acknowledges: bool,
    stop: Option<Duration>,
}

impl Run {
    /// One that is there, from these places on.
    pub fn follow(app: &App, session: &Session, name: String, places: Places) -> Self {
        let request = Request::Follow(Follow {
            exec: name.clone(),
            since: places,
        });
        Self::new(app, session, name, request, places)
    }

    /// One that is started, unless the same request has started it before.
    pub fn start(app: &App, session: &Session, exec: Exec) -> Self {
        let (name, places) = (exec.exec.clone(), exec.since);
        // The agent ends the command when its time is over; one that does not is not waited for.
        let [timeout, grace] = [exec.timeout_ms, exec.grace_ms].map(Option::unwrap_or_default);
        let all = timeout.saturating_add(grace);
        let mut run = Self::new(app, session, name, Request::Exec(exec), places);
        run.limit = Some(Duration::from_millis(all).saturating_add(PATIENCE));
        run
    }

    fn new(app: &App, session: &Session, name: String, request: Request, places: Places) -> Self {
        Self {
            app: app.clone(),
            session: session.clone(),
            name,
            request,
            stdin: None,
            progress: Progress {
                is_begun: false,
                places,
            },
            limit: None,
            acknowledges: true,
            stop: None,
        }
    }

    /// Gives it this input.
    #[must_use]
    pub fn with_stdin(mut self, stdin: Option<Bytes>) -> Self {
        self.stdin = stdin;
        self
    }

    /// Has it keep what it tells from its places on, as much as a journal holds, so that it can be told again.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.acknowledges = false;
        self
    }

    /// Has it ended with this grace when the last one who listens has gone.
    #[must_use]
    pub fn with_stop(mut self, grace: Option<Duration>) -> Self {
        self.stop = grace;
        self
    }

    /// Begins, in a task of its own that hears of it when the receiver is dropped.
    ///
    /// # Errors
    /// When there is no such command, or it cannot be started.
    pub async fn begin(self) -> Result<(Started, Told), Problem> {
        // One event, so that a command does not run ahead of its listener.
        let (events, mut told) = mpsc::channel(1);
        let connections = self.app.connections.clone();
        connections.spawn(self.until_end(events));
        match told.recv().await {
            Some(Ok(Event::Started(started))) => Ok((started, told)),
            Some(Err(problem)) => Err(problem),
            Some(Ok(_)) | None => {
                Err(AgentError::Nonsense("an exec without a begin".to_owned()).into())
            }
        }
    }

    async fn until_end(mut self, events: mpsc::Sender<Result<Event, Problem>>) {
        let _in_use = self.session.activity().begin();
        let cut = self.app.cut.clone();
        let listener = Listener {
            events: events.clone(),
            cut: cut.clone(),
            acknowledges: self.acknowledges,
            stop: self.stop,
        };
        let limit = self.limit.unwrap_or(Duration::MAX);
        let told = timeout(limit, self.tell(&listener)).await;
        let told = told.unwrap_or_else(|_| Err(AgentError::Silent.into()));
        let problem = match told {
            Ok(Over::Unheard) if cut.is_cancelled() => Problem::shutting_down(),
            Ok(_) => return,
            Err(problem) => problem,
        };
        // The client may have gone.
        let _ = events.send(Err(problem)).await;
    }

    /// Follows the command, on one connection after another if need be.
    async fn tell(&mut self, listener: &Listener<Problem>) -> Result<Over, Problem> {
        let id = running(&self.session)?;
        let mut stream = self.app.registry.runtime().connect(&id).await?;
        let mut broken: Option<AgentError> = None;
        for _ in 0..CONNECTIONS {
            // Until its begin is known it may not have been started at all.
            let request = if self.progress.is_begun {
                Request::Follow(Follow {
                    exec: self.name.clone(),
                    since: self.progress.places,
                })
            } else {
                self.request.clone()
            };
            let stdin = self.stdin.as_ref();
            let progress = &mut self.progress;
            let error = match agent::follow(stream, &request, stdin, progress, listener).await {
                Ok(over) => return Ok(over),
                Err(error) => error,
            };
            if !error.is_broken() {
                // It was known before, so the agent is another one, and the end was not seen.
                return Err(problem(match broken {
                    Some(broken) if is_unknown(&error) => broken,
                    _ => error,
                }));
            }
            let again = tokio::select! {
                again = timeout(AWAY, self.reconnect()) => again.ok().flatten(),
                () = listener.events.closed() => return Ok(Over::Unheard),
            };
            match again {
                Some(again) => stream = again,
                None => return Err(problem(error)),
            }
            broken = Some(error);
        }
        Err(problem(broken.unwrap_or(AgentError::Closed)))
    }

    /// Another connection, once there is one; none when the session has ended.
    async fn reconnect(&self) -> Option<Box<dyn Stream>> {
        loop {
            sleep(RETRY).await;
            if self.session.view().deleted {
                return None;
            }
            let id = running(&self.session).ok()?;
            match self.app.registry.runtime().connect(&id).await {
                Ok(stream) => return Some(stream),
                Err(RuntimeError::Missing) => return None,
                Err(_) => {}
            }
        }
    }
}

fn is_unknown(error: &AgentError) -> bool {
    matches!(error, AgentError::Refused(refusal) if refusal.code == RefusalCode::NotFound)
}
