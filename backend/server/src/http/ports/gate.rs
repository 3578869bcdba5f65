//! The host names that ports have, and who may pass there.
//!
//! Each port of each session is a host, and so an origin, of its own: nothing that a page from a sandbox does reaches
//! the API or another port with the rights of whoever looks at it. A request passes with the token, or with a pass,
//! which is a cookie of that host alone. What pages of other origins send does not pass, whatever it has with it.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

use super::{enter, proxy};
use crate::auth::pass;
use crate::http::App;
use crate::http::extract::find_session;
use crate::http::guard::bearer;
use crate::http::problem::Problem;
use crate::id::SessionId;

/// The name of the cookie that has the pass.
pub const COOKIE: &str = "shellport-port";

/// A port that has been asked for.
pub struct At {
    /// The authority, as it was given.
    pub authority: Authority,
    /// The session.
    pub session: SessionId,
    /// The port.
    pub port: u16,
}

/// What is before the common name in the host of a port.
pub fn label(port: u16, session: &SessionId) -> String {
    format!("{port}-{session}")
}

/// Answers what is for the host of a port; everything else goes on.
pub async fn dispatch(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(at) = find(&app, &request) else {
        return next.run(request).await;
    };
    let is_page = accepts_html(request.headers());
    match serve(&app, at, request).await {
        Ok(response) => response,
        Err(problem) if is_page => page(&problem),
        Err(problem) => problem.into_response(),
    }
}

/// The port whose host a request is for. An absolute target overrides the header (RFC 9112, 3.2.2).
fn find(app: &App, request: &Request) -> Option<At> {
    let host = || {
        request
            .headers()
            .get(header::HOST)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    };
    let authority: Authority = request.uri().authority().cloned().or_else(host)?;
    let label = app.ports.label(authority.as_str())?.to_ascii_lowercase();
    let (port, session) = label.split_once('-')?;
    Some(At {
        port: port.parse().ok().filter(|port| *port > 0)?,
        session: session.parse().ok()?,
        authority,
    })
}

async fn serve(app: &App, at: At, mut request: Request) -> Result<Response, Problem> {
    check_origin(&at, &request)?;
    if request.uri().path() == enter::PATH {
        return enter::serve(app, &at, request).await;
    }
    authorize(app, &at, request.headers_mut())?;
    let session = find_session(app, at.session.as_str())?;
    proxy::forward(app, &session, &at, request).await
}

/// Refuses what a page of another origin has sent. It may lead here, and no more.
fn check_origin(at: &At, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap_or("?"));
    let own = at.authority.as_str();
    let is_own = |origin: &str| {
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(own))
    };
    let leads = request.method() == Method::GET
        && text("sec-fetch-mode") == Some("navigate")
        && text("sec-fetch-dest") == Some("document");
    let is_foreign = match text("sec-fetch-site") {
        Some("same-site" | "cross-site") => !leads,
        // No page can say so itself, and a form without a referrer has no origin that could be compared.
        Some("same-origin" | "none") => false,
        _ => text("origin").is_some_and(|origin| !is_own(origin)),
    };
    if is_foreign {
        let detail = "a page of another origin has sent this; the port of a session answers its own pages only";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            detail,
        ));
    }
    Ok(())
}

/// Lets a request pass that has the token or a pass, neither of which goes on to the sandbox.
fn authorize(app: &App, at: &At, headers: &mut HeaderMap) -> Result<(), Problem> {
    let mut passes = false;
    let mut others: Vec<&[u8]> = Vec::new();
    for cookies in headers.get_all(header::COOKIE) {
        // They are not always ASCII.
        for cookie in cookies.as_bytes().split(|byte| *byte == b';') {
            let cookie = cookie.trim_ascii();
            let pass = cookie.strip_prefix(COOKIE.as_bytes());
            match pass.and_then(|it| it.strip_prefix(b"=")) {
                Some(pass) => {
                    let pass = String::from_utf8_lossy(pass);
                    passes |= pass::is_valid(&app.token, &at.session, at.port, &pass);
                }
                None if cookie.is_empty() => {}
                None => others.push(cookie),
            }
        }
    }
    let others = others.join(&b"; "[..]);
    headers.remove(header::COOKIE);
    if let Ok(value) = HeaderValue::from_bytes(&others)
        && !others.is_empty()
    {
        headers.insert(header::COOKIE, value);
    }
    if bearer(app, headers).is_ok() {
        headers.remove(header::AUTHORIZATION);
        return Ok(());
    }
    if passes {
        return Ok(());
    }
    let detail = "a pass is needed for the port of a session: send the token as \"Authorization: Bearer TOKEN\", or open \
                  the address that POST /api/v1/sessions/{id}/ports/{port}/tickets gives";
    Err(Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        detail,
    ))
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// A problem for people.
fn page(problem: &Problem) -> Response {
    let escaped = problem
        .detail
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1><p>{escaped}</p></main></body></html>\n",
        title = problem.title,
    );
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(html)).into_response()
}

/// How our own pages look on these hosts.
pub const STYLE: &str = "body{margin:0;min-height:100vh;display:grid;place-items:center;\
                         font:16px/1.5 system-ui,sans-serif;color:#1b2330;background:#fbfbfc}\
                         main{max-width:34rem;padding:2rem}h1{font-size:1.25rem;margin:0 0 .5rem}p{margin:0}\
                         @media(prefers-color-scheme:dark){body{color:#d8dee9;background:#11151c}}";
