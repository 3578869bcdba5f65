//! HTTP to a port of a sandbox. Requests and answers stream, and nothing is followed: an answer that leads elsewhere
//! is the browser's to take, from an origin that has no rights here.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version};
use axum::response::Response;
use hyper::client::conn::http1;
use hyper::upgrade::{self, OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use super::connect;
use super::gate::{At, COOKIE};
use crate::http::App;
use crate::http::attach::place;
use crate::http::problem::Problem;
use crate::session::Session;

/// How long what listens may leave bytes that are for it unread.
const UNREAD: Duration = Duration::from_mins(1);

/// How long one side of a changed protocol may go on when the other has ended.
const HALF: Duration = Duration::from_secs(10);

/// What is between two hops only (RFC 9110, 7.6.1), and what would reach beyond this host: lead a browser elsewhere in
/// its name, or take other hosts' cookies from it.
const DROPPED: [&str; 9] = [
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "alt-svc",
    "clear-site-data",
];

/// Sends a request on to a port, and returns its answer.
pub async fn forward(
    app: &App,
    session: &Session,
    at: &At,
    mut request: Request,
) -> Result<Response, Problem> {
    let in_use = session.activity().begin();
    let stream = connect(app, session, at.port).await?;
    let mut stream = TimeoutStream::new(stream);
    // As long as a body cannot be written, nobody notices that its client has gone.
    stream.set_write_timeout(Some(UNREAD));
    let handshake = http1::handshake(TokioIo::new(Box::pin(stream))).await;
    let (mut sender, connection) = handshake.map_err(|error| failed(at, &error))?;
    let cut = app.cut.clone();
    app.connections.spawn(async move {
        let connection = connection.with_upgrades();
        tokio::select! {
            // What goes wrong shows in the answer.
            _ = connection => {}
            () = cut.cancelled() => {}
        }
    });
    let upgrades = wants_upgrade(request.headers());
    let ours = upgrades.then(|| upgrade::on(&mut request));
    let answer = sender.send_request(outgoing(at, request, upgrades)).await;
    let mut answer = answer.map_err(|error| failed(at, &error))?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(ours) = ours else {
            let detail = format!(
                "port {} changes the protocol, which nobody asked for",
                at.port
            );
            return Err(Problem::new(StatusCode::BAD_GATEWAY, "port_failed", detail));
        };
        let theirs = upgrade::on(&mut answer);
        switch(app, session, ours, theirs)?;
        return Ok(incoming(answer.map(Body::new), true));
    }
    // As long as the answer streams, the session is in use.
    let answer = answer.map(|body| {
        let body = http_body_util::BodyExt::map_frame(body, move |frame| {
            let _ = &in_use;
            frame
        });
        Body::new(body)
    });
    Ok(incoming(answer, false))
}

/// Carries bytes between the two sides when both have changed the protocol.
fn switch(app: &App, session: &Session, ours: OnUpgrade, theirs: OnUpgrade) -> Result<(), Problem> {
    let place = place(app)?;
    let in_use = session.activity().begin();
    let draining = app.draining.clone();
    app.connections.spawn(async move {
        let both = async {
            let (ours, theirs) = tokio::try_join!(ours, theirs).ok()?;
            both_ways(TokioIo::new(ours), TokioIo::new(theirs)).await;
            Some(())
        };
        tokio::select! {
            _ = both => {}
            () = draining.cancelled() => {}
        }
        drop((place, in_use));
    });
    Ok(())
}

/// Copies until both have ended, or one has and the other does not follow.
async fn both_ways(ours: impl AsyncRead + AsyncWrite, theirs: impl AsyncRead + AsyncWrite) {
    let (mut from_us, mut to_us) = split(ours);
    let (mut from_them, mut to_them) = split(theirs);
    let up = async {
        let _ended = copy(&mut from_us, &mut to_them).await;
        let _ = to_them.shutdown().await;
    };
    let down = async {
        let _ended = copy(&mut from_them, &mut to_us).await;
        let _ = to_us.shutdown().await;
    };
    let (mut up, mut down) = (pin!(up), pin!(down));
    tokio::select! {
        () = &mut up => drop(timeout(HALF, down).await),
        () = &mut down => drop(timeout(HALF, up).await),
    }
}

fn wants_upgrade(headers: &HeaderMap) -> bool {
    let connection = headers.get_all(header::CONNECTION).iter();
    let mut words = connection
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case("upgrade"))
        && headers.contains_key(header::UPGRADE)
}

/// The request as the sandbox gets it.
fn outgoing(at: &At, request: Request, upgrades: bool) -> Request {
    let (mut parts, body) = request.into_parts();
    let root = PathAndQuery::from_static("/");
    let path = parts.uri.path_and_query().cloned().unwrap_or(root);
    parts.uri = Uri::from(path);
    parts.version = Version::HTTP_11;
    clean(&mut parts.headers, upgrades);
    let headers = &mut parts.headers;
    if let Ok(host) = HeaderValue::from_str(at.authority.as_str()) {
        headers.insert(header::HOST, host.clone());
        headers.insert(HeaderName::from_static("x-forwarded-host"), host);
    }
    let forwarded = HeaderName::from_static("x-forwarded-proto");
    headers
        .entry(forwarded)
        .or_insert(HeaderValue::from_static("http"));
    Request::from_parts(parts, body)
}

/// The answer as the client gets it.
fn incoming(mut answer: Response, upgraded: bool) -> Response {
    let headers = answer.headers_mut();
    clean(headers, upgraded);
    let cookies: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(own_cookie)
        .collect();
    headers.remove(header::SET_COOKIE);
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    // A page has no origin in common with another, whatever it says of its domain.
    headers
        .entry(HeaderName::from_static("origin-agent-cluster"))
        .or_insert(HeaderValue::from_static("?1"));
    answer
}

/// Takes away what is for this hop alone.
fn clean(headers: &mut HeaderMap, upgrades: bool) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named
        .into_iter()
        .filter(|name| !(upgrades && name == header::UPGRADE))
    {
        headers.remove(name);
    }
    for name in DROPPED {
        headers.remove(name);
    }
    headers.remove(header::CONNECTION);
    if upgrades {
        let upgrade = HeaderValue::from_static("upgrade");
        headers.insert(header::CONNECTION, upgrade);
    } else {
        headers.remove(header::UPGRADE);
    }
}

/// A cookie that a sandbox sets, for its own host and no other; none when it would be a pass.
fn own_cookie(cookie: &HeaderValue) -> Option<HeaderValue> {
    let name = |part: &[u8]| {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii().to_ascii_lowercase()
    };
    let mut parts = cookie.as_bytes().split(|byte| *byte == b';');
    let pair = parts.next()?;
    if name(pair) == COOKIE.as_bytes() {
        return None;
    }
    let attributes = parts.filter(|part| name(part) != b"domain");
    let kept: Vec<&[u8]> = std::iter::once(pair).chain(attributes).collect();
    HeaderValue::from_bytes(&kept.join(&b";"[..])).ok()
}

fn failed(at: &At, error: &hyper::Error) -> Problem {
    let detail = format!(
        "what listens on port {} does not answer as HTTP does: {error}",
        at.port
    );
    Problem::new(StatusCode::BAD_GATEWAY, "port_failed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_for_one_hop_goes_no_further() {
        let all = [
            ("connection", "keep-alive, X-Own, Upgrade"),
            ("x-own", "1"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("alt-svc", "h2=\":443\""),
            ("x-other", "2"),
        ];
        let mut kept = headers(&all);
        assert!(wants_upgrade(&kept));
        clean(&mut kept, false);
        assert_eq!(kept, headers(&[("x-other", "2")]));
        let mut kept = headers(&all);
        clean(&mut kept, true);
        assert_eq!(
            kept,
            headers(&[
                ("x-other", "2"),
                ("upgrade", "websocket"),
                ("connection", "upgrade")
            ])
        );
    }

    #[test]
    fn a_cookie_is_of_its_own_host() {
        let own = |text| own_cookie(&HeaderValue::from_static(text));
        let plain = HeaderValue::from_static("a=b; Path=/; HttpOnly");
        assert_eq!(
            own("a=b; Path=/; DOMAIN=localhost; HttpOnly"),
            Some(plain.clone())
        );
        assert_eq!(own("a=b; Path=/; HttpOnly"), Some(plain));
        assert_eq!(own("shellport-port=x; Path=/"), None);
    }
}
