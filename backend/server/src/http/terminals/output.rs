//! `/api/v1/sessions/{id}/terminals/{terminal}/output`: what a terminal has put out.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use serde::Deserialize;
use shellport_screen::Plain;
use shellport_wire::viewer::Start;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::{Joining, find};
use crate::agent::{AgentError, News, Watch};
use crate::http::App;
use crate::http::extract::{InPath, Names, Params};
use crate::http::problem::Problem;

/// How long the agent may take to say what it has.
const ANSWER: Duration = Duration::from_secs(10);

/// How much of a line may still change, in bytes.
const LINE: usize = 4 * 1024;

/// Which part of the output.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OutputParams {
    /// The offset of the first byte; the oldest that is kept when absent.
    from: Option<u64>,
    /// The offset behind the last byte; behind what there is now when absent.
    to: Option<u64>,
}

/// Returns what a terminal has put out, as far as it is kept.
///
/// With `Accept: text/plain` it is the text that was written, without what moves the cursor or colours it; else it is
/// the bytes themselves.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/terminals/{terminal}/output", tag = "terminals",
    params(("id" = String, Path, description = "The session"), ("terminal" = String, Path, description = "The terminal"), OutputParams),
    responses(
        (status = 200, content(
            (Vec<u8> = "application/octet-stream"),
            (String = "text/plain"),
        )),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn read(
    State(app): State<App>,
    InPath(session): InPath,
    Names { terminal, .. }: Names,
    Params(params): Params<OutputParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let end = find(&app, &session, &terminal).await?.offset;
    let to = params.to.unwrap_or(end);
    let from = params.from.unwrap_or(0);
    for (field, offset) in [("from", from), ("to", to)] {
        if offset > end {
            let detail = format!("{field}: it is {offset}, and there are {end} bytes of output");
            let problem = Problem::new(StatusCode::CONFLICT, "wrong_offset", detail);
            return Err(problem.with_field(field));
        }
    }
    if from > to {
        let detail =
            format!("from: it is {from}, which is behind {to}, where the output is to end");
        return Err(Problem::invalid(detail).with_field("from"));
    }
    let joining = Joining::new(&terminal).since(Some(from)).lagging();
    let mut watch = joining.join(&app, &session).await?;
    if watch.hello.start == Start::Gap {
        // What is the first thing that it says.
        let gap = async {
            while !matches!(watch.next().await?, News::Gap(_)) {}
            Ok::<_, AgentError>(())
        };
        let gap = timeout(ANSWER, gap).await;
        gap.unwrap_or(Err(AgentError::Silent))?;
        if params.from.is_some() {
            let detail = format!(
                "from: it is {from}, and what is kept begins at {}",
                watch.offset
            );
            return Err(Problem::new(StatusCode::GONE, "output_gone", detail).with_field("from"));
        }
    }
    let plain = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.starts_with("text/plain"))
        .then(Plain::default);
    let kind = match plain {
        Some(_) => "text/plain; charset=utf-8",
        None => "application/octet-stream",
    };
    let reading = Reading { watch, to, plain };
    let parts = try_unfold(reading, |mut reading| async {
        Ok::<_, io::Error>(reading.part().await?.map(|part| (part, reading)))
    });
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(parts)).into_response())
}

struct Reading {
    watch: Watch,
    /// The offset behind the last byte.
    to: u64,
    /// Where it is made plain.
    plain: Option<Plain>,
}

impl Reading {
    /// The next part; none at the end.
    async fn part(&mut self) -> io::Result<Option<Bytes>> {
        while self.watch.offset < self.to {
            match self.watch.next().await.map_err(io::Error::other)? {
                News::Output(offset, mut bytes) => {
                    let wanted = usize::try_from(self.to.saturating_sub(offset));
                    bytes.truncate(wanted.unwrap_or(usize::MAX));
                    let Some(plain) = &mut self.plain else {
                        return Ok(Some(bytes));
                    };
                    plain.advance(&bytes, offset);
                    // What comes next may still change the end of the last line.
                    let text = plain.text();
                    let whole = if self.watch.offset < self.to {
                        let last = text.rfind('\n').map_or(0, |last| last + 1);
                        last.max(text.floor_char_boundary(text.len().saturating_sub(LINE)))
                    } else {
                        text.len()
                    };
                    let part = Bytes::copy_from_slice(&text.as_bytes()[..whole]);
                    let rest = text.len() - whole;
                    plain.forget(rest);
                    if !part.is_empty() {
                        return Ok(Some(part));
                    }
                }
                News::Gap(_) => {
                    let why = "there was more output than was kept while it was read";
                    return Err(io::Error::other(why));
                }
                News::Exit(_) => break,
                _ => {}
            }
        }
        Ok(None)
    }
}
