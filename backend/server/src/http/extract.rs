//! What handlers take from a request, strictly: what is not understood is refused by name.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::App;
use super::problem::Problem;
use crate::id::SessionId;
use crate::session::Session;

/// A JSON body. Its schema refuses unknown fields.
pub struct Body<T> {
    /// The value.
    pub value: T,
    /// The text it was read from.
    pub text: String,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            let status = error.status();
            let code = if status == StatusCode::PAYLOAD_TOO_LARGE {
                "too_large"
            } else {
                "invalid_request"
            };
            Problem::new(status, code, error.body_text())
        })?;
        let text = String::from_utf8(bytes.into())
            .map_err(|_| Problem::invalid("the body is not UTF-8"))?;
        // No body is an empty object.
        let json = if text.trim().is_empty() { "{}" } else { &text };
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let cause = error.into_inner();
            if path == "." || path == "?" {
                Problem::invalid(format!("the body: {cause}"))
            } else {
                Problem::invalid(format!("{path}: {cause}")).with_field(path)
            }
        })?;
        deserializer
            .end()
            .map_err(|error| Problem::invalid(format!("the body: {error}")))?;
        Ok(Self { value, text })
    }
}

/// A query string. Its schema refuses unknown fields.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|error| Problem::invalid(format!("the query: {}", error.body_text())))
    }
}

/// The names in the path.
pub struct Names {
    /// What stands for `{id}`.
    pub id: String,
    /// What stands for `{terminal}`.
    pub terminal: String,
    /// What stands for `{exec}`.
    pub exec: String,
    /// What stands for `{pid}`.
    pub pid: String,
    /// What stands for `{port}`.
    pub port: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let Path(mut path) = path.map_err(|error| Problem::invalid(error.body_text()))?;
        let mut name = |name| path.remove(name).unwrap_or_default();
        Ok(Self {
            id: name("id"),
            terminal: name("terminal"),
            exec: name("exec"),
            pid: name("pid"),
            port: name("port"),
        })
    }
}

/// The session in the path.
pub struct InPath(pub Session);

impl FromRequestParts<App> for InPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Names { id, .. } = Names::from_request_parts(parts, app).await?;
        find_session(app, &id).map(Self)
    }
}

/// The session with this id.
pub fn find_session(app: &App, text: &str) -> Result<Session, Problem> {
    let id: SessionId = text.parse().map_err(|_| Problem::no_session(text))?;
    let session = app.registry.find(&id);
    session.ok_or_else(|| Problem::no_session(text))
}
