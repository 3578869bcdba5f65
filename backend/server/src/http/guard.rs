//! What every request passes before its handler: the check of host and origin, and the token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::Problem;
use crate::auth::{Caller, OriginError};

/// Refuses requests for other hosts and from pages of other origins.
pub async fn check_origin(State(app): State<App>, request: Request, next: Next) -> Response {
    match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => Problem::from(error).into_response(),
    }
}

fn check(app: &App, request: &Request) -> Result<(), OriginError> {
    let text = |name| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap_or("?"))
    };
    // An absolute target overrides the header (RFC 9112, 3.2.2).
    let authority = request.uri().authority().map(ToString::to_string);
    let host = authority.as_deref().or(text(header::HOST));
    app.hosts.check(host, text(header::ORIGIN))
}

/// Refuses requests without the token, and tells the others who is calling.
pub async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match bearer(&app, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The caller that a request's token belongs to.
pub fn bearer(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match token {
        Some(token) if app.token.matches(token) => Ok(Caller::operator()),
        Some(_) => Err(unauthorized("the token is not right")),
        None => Err(unauthorized("a token is needed")),
    }
}

fn unauthorized(what: &str) -> Problem {
    let detail = format!(
        "{what}: send it as \"Authorization: Bearer TOKEN\"; it is in the file \"token\" in the \
         server's data directory, and in the address that the server prints when it starts"
    );
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}
