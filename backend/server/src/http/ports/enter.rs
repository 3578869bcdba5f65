//! How a browser comes to a port: with a ticket in the address's fragment, which no request has, and for which it gets
//! a pass.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::gate::{At, COOKIE, STYLE};
use crate::auth::pass;
use crate::http::App;
use crate::http::problem::Problem;

/// Where it comes.
pub const PATH: &str = "/.shellport/enter";

/// How long a ticket may take to come. Whoever brings it has not shown any right yet.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of a ticket.
const MAX_TICKET: usize = 256;

/// Takes the ticket out of the address before anything else, so that it is in no history.
const SCRIPT: &str = "const ticket = location.hash.slice(1);\
history.replaceState(null, '', location.pathname);\
fetch(location.pathname, {method: 'POST', body: ticket}).then(async (answer) => {\
if (answer.ok) location.replace('/');\
else document.querySelector('p').textContent = (await answer.json()).detail;\
}, (error) => { document.querySelector('p').textContent = String(error); });";

/// The page, and what it asks for.
pub async fn serve(app: &App, at: &At, request: Request) -> Result<Response, Problem> {
    match *request.method() {
        Method::GET => Ok(page()),
        Method::POST => {
            let headers = request.headers().clone();
            let body = timeout(PATIENCE, to_bytes(request.into_body(), MAX_TICKET)).await;
            let body = body.ok().and_then(Result::ok);
            let body = body.ok_or_else(|| Problem::invalid("the body: it is no ticket"))?;
            let ticket = String::from_utf8_lossy(&body);
            let grant = app.port_tickets.redeem(&ticket);
            if !grant.is_some_and(|grant| grant.session == at.session && grant.port == at.port) {
                let detail =
                    "the ticket is used up, too old, or for another port; ask for a new one";
                return Err(Problem::new(StatusCode::UNAUTHORIZED, "bad_ticket", detail));
            }
            Ok((
                [(header::SET_COOKIE, cookie(app, at, &headers))],
                StatusCode::NO_CONTENT,
            )
                .into_response())
        }
        _ => {
            let detail = "a ticket is sent with POST";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Err(Problem::new(status, "method_not_allowed", detail))
        }
    }
}

fn cookie(app: &App, at: &At, headers: &HeaderMap) -> String {
    let pass = pass::issue(&app.token, &at.session, at.port);
    let origin = headers.get(header::ORIGIN).and_then(|it| it.to_str().ok());
    let secure = match origin {
        Some(origin) if origin.starts_with("https://") => "; Secure",
        _ => "",
    };
    let age = pass::LIFETIME.as_secs();
    format!("{COOKIE}={pass}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
}

fn page() -> Response {
    let hash = BASE64.encode(&Sha256::digest(SCRIPT));
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; script-src 'sha256-{hash}'; \
         frame-ancestors 'none'"
    );
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Opening\u{2026}</title>\
         <style>{STYLE}</style></head><body><main><p>Opening\u{2026}</p></main><script>{SCRIPT}</script></body></html>\n"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, Html(html)).into_response()
}
