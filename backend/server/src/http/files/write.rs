//! Writing files, and everything else that changes them.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shellport_wire::file::{Answer, Condition, RawPath, Request};
use utoipa::{IntoParams, ToSchema};

use super::model::Entry;
use super::{InSession, ask, give, long, nonsense, path as parse_path, short};
use crate::http::App;
use crate::http::extract::{Body as JsonBody, Params};
use crate::http::problem::Problem;
use crate::session::Session;

/// How to write.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WriteParams {
    /// Its permissions, in octal, such as `0644`; those that it has, or that new files get, when absent.
    mode: Option<String>,
    /// Its owner, as `user` or `user:group`, names or numbers.
    owner: Option<String>,
    /// `true`: make the directories above it that are not there.
    parents: Option<bool>,
    /// As whom; the session's user when absent.
    user: Option<String>,
}

/// Writes a file, whole or not at all.
///
/// Until all of the body has come the file is what it was, or not there. With `Content-Type: application/x-tar` the
/// body is an archive, and is taken apart in the directory of that path.
#[utoipa::path(
    put, path = "/api/v1/sessions/{id}/files/{path}", tag = "files",
    params(
        ("id" = String, Path, description = "The session"),
        ("path" = String, Path, description = "The absolute path, without its first slash"),
        WriteParams,
        ("If-Match" = Option<String>, Header, description = "The ETag that the file must have"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only when nothing is there"),
    ),
    request_body(content(
        (Vec<u8> = "application/octet-stream"),
        (Vec<u8> = "application/x-tar"),
    )),
    responses(
        (status = 200, description = "It is written", body = Entry),
        (status = 204, description = "The archive is taken apart"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn write(
    State(app): State<App>,
    InSession { session, path }: InSession,
    Params(params): Params<WriteParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    let parents = params.parents == Some(true);
    let most = app.limits.max_file;
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-tar")) {
        let request = Request::Unpack {
            path,
            parents,
            most,
        };
        let terms = long(&app, params.user);
        return match give(&app, &session, &request, terms, body).await? {
            Answer::Done => Ok(StatusCode::NO_CONTENT.into_response()),
            _ => Err(nonsense()),
        };
    }
    let request = Request::Write {
        path,
        mode: mode(params.mode.as_deref())?,
        owner: params.owner,
        parents,
        append: false,
        condition: condition(&headers)?,
        most,
        length: length(&headers, most)?,
    };
    let terms = long(&app, params.user);
    entry(give(&app, &session, &request, terms, body).await?)
}

/// What to do with a file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActParams {
    /// What to do.
    #[param(inline)]
    action: Action,
    /// Where it shall be, an absolute path, for `move` and `copy`; what is no UTF-8 is written with percent signs
    /// twice, as the names of entries are.
    to: Option<String>,
    /// `true`: in place of what is there, for `move` and `copy`.
    replace: Option<bool>,
    /// Permissions, in octal, of what is new.
    mode: Option<String>,
    /// Its owner, for `append`.
    owner: Option<String>,
    /// `true`: make the directories above it; for `mkdir`, be content when it is there.
    parents: Option<bool>,
    /// As whom; the session's user when absent.
    user: Option<String>,
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The body is put behind what is in it.
    Append,
    /// A directory is made.
    Mkdir,
    /// It gets another name.
    Move,
    /// It is copied, a directory with all that is in it.
    Copy,
}

/// Appends to a file, makes a directory, moves or copies.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/files/{path}", tag = "files",
    params(
        ("id" = String, Path, description = "The session"),
        ("path" = String, Path, description = "The absolute path, without its first slash"),
        ActParams,
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "What to append"),
    responses(
        (status = 200, description = "It is done, and this is there", body = Entry),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn act(
    State(app): State<App>,
    InSession { session, path }: InSession,
    Params(params): Params<ActParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let to = || -> Result<RawPath, Problem> {
        let to = params.to.as_deref().ok_or_else(|| {
            let detail = "to: where shall it be? Give an absolute path";
            Problem::invalid(detail).with_field("to")
        })?;
        parse_path("to", to)
    };
    let replace = params.replace == Some(true);
    let parents = params.parents == Some(true);
    let mode = mode(params.mode.as_deref())?;
    let request = match params.action {
        Action::Append => {
            let most = app.limits.max_file;
            let request = Request::Write {
                path,
                mode,
                owner: params.owner,
                parents,
                append: true,
                condition: condition(&headers)?,
                most,
                length: length(&headers, most)?,
            };
            let terms = long(&app, params.user);
            return entry(give(&app, &session, &request, terms, body).await?);
        }
        Action::Mkdir => Request::MakeDirectory {
            path,
            mode,
            parents,
        },
        Action::Move => Request::Move {
            path,
            to: to()?,
            replace,
        },
        Action::Copy => Request::Copy {
            path,
            to: to()?,
            replace,
        },
    };
    let terms = long(&app, params.user);
    entry(ask(&app, &session, &request, terms).await?.0)
}

/// As whom.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangeParams {
    /// As whom; the session's user when absent.
    user: Option<String>,
}

/// What to change of a file.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeFile {
    /// Its permissions, in octal.
    #[schema(example = "0755")]
    mode: Option<String>,
    /// Its owner, as `user` or `user:group`, names or numbers.
    owner: Option<String>,
}

/// Changes a file's permissions and owner.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{id}/files/{path}", tag = "files",
    params(
        ("id" = String, Path, description = "The session"),
        ("path" = String, Path, description = "The absolute path, without its first slash"),
        ChangeParams,
    ),
    request_body = ChangeFile,
    responses(
        (status = 200, body = Entry),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn change(
    State(app): State<App>,
    InSession { session, path }: InSession,
    Params(params): Params<ChangeParams>,
    body: JsonBody<ChangeFile>,
) -> Result<Response, Problem> {
    let request = Request::Change {
        path,
        mode: mode(body.value.mode.as_deref())?,
        owner: body.value.owner,
    };
    let answer = ask(&app, &session, &request, short(params.user)).await?;
    entry(answer.0)
}

/// What to remove.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemoveParams {
    /// `true`: a directory with all that is in it.
    recursive: Option<bool>,
    /// As whom; the session's user when absent.
    user: Option<String>,
}

/// Removes a file, or a directory.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}/files/{path}", tag = "files",
    params(
        ("id" = String, Path, description = "The session"),
        ("path" = String, Path, description = "The absolute path, without its first slash"),
        RemoveParams,
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn remove(
    State(app): State<App>,
    InSession { session, path }: InSession,
    Params(params): Params<RemoveParams>,
) -> Result<StatusCode, Problem> {
    let request = Request::Remove {
        path,
        recursive: params.recursive == Some(true),
    };
    let terms = long(&app, params.user);
    match ask(&app, &session, &request, terms).await?.0 {
        Answer::Done => Ok(StatusCode::NO_CONTENT),
        _ => Err(nonsense()),
    }
}

/// A file whose content is known.
pub struct Content {
    request: Request,
    bytes: Vec<u8>,
}

impl Content {
    /// One at this path, as text, and with these permissions.
    ///
    /// # Errors
    /// The field that is wrong, and how.
    pub fn new(
        path: &str,
        permissions: Option<&str>,
        bytes: Vec<u8>,
    ) -> Result<Self, (&'static str, Problem)> {
        let path = RawPath(path.as_bytes().to_vec());
        if !path.0.starts_with(b"/") || path.0.contains(&0) {
            let detail = format!("{:?} is not an absolute path", path.encode());
            return Err(("path", Problem::invalid(detail)));
        }
        let request = Request::Write {
            path,
            mode: mode(permissions).map_err(|problem| ("mode", problem))?,
            owner: None,
            parents: true,
            append: false,
            condition: Condition::Any,
            most: u64::MAX,
            length: Some(bytes.len() as u64),
        };
        Ok(Self { request, bytes })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put(self, app: &App, session: &Session) -> Result<(), Problem> {
        let body = Body::from(self.bytes);
        give(app, session, &self.request, short(None), body)
            .await
            .map(drop)
    }
}

fn entry(answer: Answer) -> Result<Response, Problem> {
    match answer {
        Answer::Entry(entry) => Ok(Json(Entry::from(entry)).into_response()),
        _ => Err(nonsense()),
    }
}

/// Permissions as people write them.
fn mode(text: Option<&str>) -> Result<Option<u32>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let mode = u32::from_str_radix(text, 8).ok();
    let mode = mode.filter(|mode| *mode <= 0o7777 && !text.starts_with('+'));
    mode.map(Some).ok_or_else(|| {
        let detail = format!("mode: {text:?} is not octal, 0 to 7777");
        Problem::invalid(detail).with_field("mode")
    })
}

/// What has to be there.
fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, None) => Ok(Condition::Any),
        (Some(tags), None) if tags.trim() != "*" => {
            let tags = tags
                .split(',')
                .map(|tag| tag.trim().trim_matches('"').to_owned());
            Ok(Condition::Tagged(tags.collect()))
        }
        (None, Some("*")) => Ok(Condition::Absent),
        _ => {
            let detail = "a write takes If-Match with ETags, or If-None-Match with *";
            Err(Problem::invalid(detail))
        }
    }
}

/// How long the body says that it is, within what is allowed.
fn length(headers: &HeaderMap, most: u64) -> Result<Option<u64>, Problem> {
    let value = headers.get(header::CONTENT_LENGTH);
    let length = value.and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length > most => {
            let detail = format!("the body has {length} bytes; the most is {most}");
            Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                detail,
            ))
        }
        length => Ok(length),
    }
}
