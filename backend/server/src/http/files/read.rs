//! Looking at files and directories, reading them, and watching.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::{Deserialize, Serialize};
use shellport_wire::file::{self, Answer, RawPath, Request};
use utoipa::{IntoParams, ToSchema};

use super::model::{Entry, FileEvent, Listing, etag};
use super::{InSession, ask, long, nonsense, short};
use crate::http::App;
use crate::http::extract::Params;
use crate::http::problem::Problem;
use crate::http::stream::{Form, Item};
use crate::http::tool::Tool;
use crate::session::Session;

/// Entries of a directory in an answer, unless the caller says.
const PAGE: usize = 200;

/// The most of them.
const MAX_PAGE: usize = 1000;

/// The most bytes of a line that tells a change: a path, in which each byte may take three.
const MAX_CHANGE: usize = 64 * 1024;

/// Tar archives.
const TAR: &str = "application/x-tar";

/// What to tell of a file.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReadParams {
    /// `true`: tell what is there, a symbolic link itself included, and not the content.
    info: Option<bool>,
    /// `true`: tell what changes in a directory from now on.
    watch: Option<bool>,
    /// With `watch`, `true`: in the directories below as well.
    recursive: Option<bool>,
    /// Of a directory: at most so many entries, 1 to 1000; 200 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Of a directory: `next_cursor` of the page before.
    cursor: Option<String>,
    /// As whom; the session's user when absent.
    user: Option<String>,
}

/// What JSON tells of a path.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Told {
    /// What is in a directory.
    Listing(Listing),
    /// With `info`: what is there.
    Entry(Entry),
}

/// Reads a file, or lists a directory.
///
/// A file is answered with its content, in part when `Range` says so; a directory with what is in it. With
/// `Accept: application/x-tar` either is an archive, of a directory with everything below. With `watch` the answer
/// is a stream of what changes, in `application/x-ndjson` or `text/event-stream`.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/files/{path}", tag = "files",
    params(
        ("id" = String, Path, description = "The session"),
        ("path" = String, Path, description = "The absolute path, without its first slash"),
        ReadParams,
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-None-Match" = Option<String>, Header, description = "Answer only when the ETag is another"),
    ),
    responses(
        (status = 200, description = "The content, or what is told of it", content(
            (Vec<u8> = "application/octet-stream"),
            (Told = "application/json"),
            (Vec<u8> = "application/x-tar"),
            (FileEvent = "application/x-ndjson"),
            (FileEvent = "text/event-stream"),
        )),
        (status = 206, description = "The part that Range names", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "It is what If-None-Match names"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn read(
    State(app): State<App>,
    InSession { session, path }: InSession,
    Params(params): Params<ReadParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = params.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("limit: it is {limit}; allowed are 1 to {MAX_PAGE}");
        return Err(Problem::invalid(detail).with_field("limit"));
    }
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    if params.info == Some(true) {
        return info(&app, &session, path, params.user).await;
    }
    if params.watch == Some(true) {
        return watch(&app, &session, path, params, &headers).await;
    }
    if accept.is_some_and(|accept| accept.contains(TAR)) {
        let request = Request::Pack { path };
        let terms = long(&app, params.user);
        let (_, tool) = ask(&app, &session, &request, terms).await?;
        return Ok(content(TAR, tool));
    }
    content_of(&app, &session, path, params, limit, &headers).await
}

async fn info(
    app: &App,
    session: &Session,
    path: RawPath,
    user: Option<String>,
) -> Result<Response, Problem> {
    let request = Request::Stat { path };
    match ask(app, session, &request, short(user)).await? {
        (Answer::Entry(entry), _) => Ok(Json(Told::Entry(entry.into())).into_response()),
        _ => Err(nonsense()),
    }
}

async fn content_of(
    app: &App,
    session: &Session,
    path: RawPath,
    params: ReadParams,
    limit: usize,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let after = params.cursor.as_deref().map(RawPath::decode);
    let after = after.map(|after| {
        let detail = "cursor: it is not the next_cursor of a page";
        after.ok_or_else(|| Problem::invalid(detail).with_field("cursor"))
    });
    let range = range(headers);
    let (from, most) = range.unwrap_or((0, None));
    let request = Request::Read {
        path,
        from,
        most,
        after: after.transpose()?,
        entries: limit,
    };
    let terms = long(app, params.user);
    let (answer, tool) = ask(app, session, &request, terms).await?;
    let entry = match answer {
        Answer::Entry(entry) => entry,
        Answer::Entries {
            directory,
            entries,
            more,
        } => {
            let listing = Listing::new(directory, entries, more);
            return Ok(Json(Told::Listing(listing)).into_response());
        }
        _ => return Err(nonsense()),
    };
    let tag = etag(&entry.tag);
    let known = headers.get(header::IF_NONE_MATCH);
    let known = known.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let mut response = if known.split(',').any(|known| known.trim() == tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        part(&entry, range, tool)?
    };
    let headers = response.headers_mut();
    let modified = Timestamp::from_millisecond(entry.modified_ms).unwrap_or_default();
    let modified = DateTimePrinter::new().timestamp_to_rfc9110_string(&modified);
    for (name, value) in [
        (header::ETAG, Some(tag)),
        (header::LAST_MODIFIED, modified.ok()),
        (header::ACCEPT_RANGES, Some("bytes".to_owned())),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// The content of a file, or the part of it that was asked for.
fn part(
    entry: &file::Entry,
    range: Option<(i64, Option<u64>)>,
    tool: Tool,
) -> Result<Response, Problem> {
    // Files of the kernel have a content, and no size.
    if entry.size == 0 {
        return Ok(content("application/octet-stream", tool));
    }
    let size = entry.size;
    let (first, length) = match range {
        None => (0, size),
        Some((from, _)) if from < 0 => {
            let length = from.unsigned_abs().min(size);
            (size - length, length)
        }
        Some((from, most)) => {
            let first = from.unsigned_abs();
            if first >= size {
                let detail = format!("Range: the file has {size} bytes");
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return Err(Problem::new(status, "range_not_satisfiable", detail));
            }
            (first, most.unwrap_or(u64::MAX).min(size - first))
        }
    };
    let mut response = content("application/octet-stream", tool);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length.into());
    if range.is_some() {
        let last = first + length - 1;
        if let Ok(value) = HeaderValue::try_from(format!("bytes {first}-{last}/{size}")) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

fn content(kind: &'static str, tool: Tool) -> Response {
    let mut response = Body::from_stream(tool.content()).into_response();
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The one range that is asked for: its first byte, from the end when below 0, and its length. What is more than
/// that, or makes no sense, is not heard (RFC 9110, 14.2).
fn range(headers: &HeaderMap) -> Option<(i64, Option<u64>)> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let length: i64 = last.parse().ok()?;
        return (length > 0).then_some((-length, None));
    }
    let first: i64 = first.parse().ok()?;
    if last.is_empty() {
        return Some((first, None));
    }
    let last: i64 = last.parse().ok()?;
    let length = last.checked_sub(first)?.checked_add(1)?;
    u64::try_from(length)
        .ok()
        .filter(|it| *it > 0)
        .map(|length| (first, Some(length)))
}

async fn watch(
    app: &App,
    session: &Session,
    path: RawPath,
    params: ReadParams,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let form = match Form::of(headers)? {
        Form::Json => Form::Lines,
        form => form,
    };
    let request = Request::Watch {
        path,
        recursive: params.recursive == Some(true),
    };
    let terms = long(app, params.user);
    let (_, tool) = ask(app, session, &request, terms).await?;
    let in_use = session.activity().begin();
    let events = lines(tool.content()).filter_map(move |line| {
        let _ = &in_use;
        let change: Option<file::Change> = serde_json::from_slice(&line).ok();
        let value = change.map(FileEvent::from);
        std::future::ready(value.map(|value| Item { value, id: None }))
    });
    Ok(form.respond(events))
}

/// The lines of a content. One that is too long ends it.
fn lines(
    content: impl Stream<Item = std::io::Result<Bytes>> + Send,
) -> impl Stream<Item = Bytes> + Send {
    let begin = (Box::pin(content), BytesMut::new());
    stream::unfold(begin, async |(mut content, mut waiting)| {
        loop {
            if let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line = waiting.split_to(end + 1).freeze();
                return Some((line, (content, waiting)));
            }
            if waiting.len() > MAX_CHANGE {
                return None;
            }
            waiting.extend_from_slice(&content.next().await?.ok()?);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_heard() {
        for (text, expected) in [
            ("bytes=0-0", Some((0, Some(1)))),
            ("bytes=5-", Some((5, None))),
            ("bytes=-7", Some((-7, None))),
            ("bytes=3-2", None),
            ("bytes=0-1,3-4", None),
            ("lines=0-1", None),
            ("bytes=-0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            assert_eq!(range(&headers), expected, "{text}");
        }
    }
}
