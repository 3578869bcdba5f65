//! `/api/v1/sessions/by-name/{name}`: a session that is there, or is made.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::extract::{Body, Params};
use super::problem::Problem;
use super::sessions::{CreateSession, Wait, answer, plan};
use crate::auth::Caller;
use crate::session::{Command, CommandError, NewSession, Record, Session, State as Life};

/// How often a session is looked at again that changes meanwhile.
const TRIES: usize = 10;

/// What to do with a session that is there.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ByNameParams {
    /// `running`: answer when the session runs, or cannot.
    wait: Option<Wait>,
    /// `true`: one that is there and is not what is asked for is deleted, and another one made.
    replace: Option<bool>,
}

/// Returns the caller's session of this name; one that has stopped is started, and one that is not there, has
/// failed or is lost is made.
///
/// Requests at the same time make one session. What the request names must be as it is in a session that is
/// there, except for `ttl`, which counts from when it is made; otherwise the answer is a problem that names the
/// field, or, with `replace`, another session.
#[utoipa::path(
    put, path = "/api/v1/sessions/by-name/{name}", tag = "sessions",
    params(("name" = String, Path, description = "The session's name"), ByNameParams),
    request_body = CreateSession,
    responses(
        (status = 200, description = "It was there", body = super::model::Session, headers(("ETag" = String))),
        (status = 201, description = "It was made", body = super::model::Session, headers(("Location" = String), ("ETag" = String))),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn put(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Params(params): Params<ByNameParams>,
    body: Body<CreateSession>,
) -> Result<Response, Problem> {
    let mut wish = body.value;
    if wish.name.as_ref().is_some_and(|it| *it != name) {
        let detail = format!("name: the address says {name:?}; leave it out, or say the same");
        return Err(Problem::invalid(detail).with_field("name"));
    }
    wish.name = Some(name.clone());
    let named = Named::of(&wish);
    let owner = caller.0.clone();
    let new = plan(wish, caller, &app.limits)?;
    let reserved = app.registry.reserve_name(&owner, &name).await;
    for _ in 0..TRIES {
        let Some(session) = app.registry.named(&owner, &name) else {
            let (session, fresh) = app.registry.create(new).await?;
            drop(reserved);
            return answer(&app, &session, fresh, params.wait).await;
        };
        match usable(&session, &named, &new, params.replace == Some(true)).await? {
            Found::Usable => {
                drop(reserved);
                return answer(&app, &session, false, params.wait).await;
            }
            Found::Changing => {}
        }
    }
    let detail = format!("the session {name:?} changes all the time; try again");
    Err(Problem::new(StatusCode::CONFLICT, "wrong_state", detail))
}

/// What has become of a session that was there.
enum Found {
    /// It runs, or will.
    Usable,
    /// It is another one now, or none.
    Changing,
}

async fn usable(
    session: &Session,
    named: &Named,
    new: &NewSession,
    replace: bool,
) -> Result<Found, Problem> {
    let record = session.view().record;
    let is_over = matches!(record.state, Life::Failed | Life::Lost);
    let differs = named.differs(new, &record);
    let command = match (differs, record.state) {
        _ if is_over => Command::Delete,
        (Some(_), _) if replace => Command::Delete,
        (Some(field), _) => {
            let detail = format!(
                "{field}: the session that is there has another; delete it, or ask with replace=true"
            );
            let problem = Problem::new(StatusCode::CONFLICT, "session_differs", detail);
            return Err(problem.with_field(field));
        }
        (None, Life::Stopping) => {
            let mut view = session.watch();
            let stopped = view.wait_for(|view| view.record.state != Life::Stopping);
            drop(stopped.await);
            return Ok(Found::Changing);
        }
        (None, Life::Stopped) => Command::Start,
        (None, _) => return Ok(Found::Usable),
    };
    let starts = matches!(command, Command::Start);
    match session.ask(command).await {
        Ok(_) if starts => Ok(Found::Usable),
        // Somebody was first.
        Ok(_) | Err(CommandError::Gone | CommandError::State(_)) => Ok(Found::Changing),
        Err(error) => Err(error.into()),
    }
}

/// The fields that a request names.
struct Named(Vec<&'static str>);

impl Named {
    fn of(wish: &CreateSession) -> Self {
        let fields = [
            ("image", wish.image.is_some()),
            ("command", wish.command.is_some()),
            ("env", !wish.env.is_empty()),
            ("cwd", wish.cwd.is_some()),
            ("user", wish.user.is_some()),
            ("cpus", wish.cpus.is_some()),
            ("memory", wish.memory.is_some()),
            ("pids", wish.pids.is_some()),
            ("network", wish.network.is_some()),
            ("profile", wish.profile.is_some()),
            ("labels", !wish.labels.is_empty()),
            ("idle_timeout", wish.idle_timeout.is_some()),
        ];
        let named = fields.into_iter().filter(|(_, named)| *named);
        Self(named.map(|(field, _)| field).collect())
    }

    /// The first of them that a session has otherwise.
    fn differs(&self, new: &NewSession, record: &Record) -> Option<&'static str> {
        let (wanted, found) = (&new.spec, &record.spec);
        let is_same = |field: &str| match field {
            "image" => wanted.image == found.image,
            "command" => wanted.command == found.command,
            "env" => wanted.env_digest == found.env_digest,
            "cwd" => wanted.cwd == found.cwd,
            "user" => wanted.user == found.user,
            "cpus" => (wanted.cpus - found.cpus).abs() < f64::EPSILON,
            "memory" => wanted.memory == found.memory,
            "pids" => wanted.pids == found.pids,
            "network" => wanted.network == found.network,
            "profile" => wanted.profile == found.profile,
            "labels" => new.labels == record.labels,
            _ => new.idle_timeout == record.idle_timeout,
        };
        self.0.iter().copied().find(|field| !is_same(field))
    }
}
