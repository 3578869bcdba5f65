//! One server, spoken to over HTTP.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::{ACCEPT, HeaderMap};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;

use super::RemoteError;
use super::place::{is_local, shown};
use crate::cli::harmless;
use crate::config::Secret;
use crate::image::registry::install_crypto;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an answer may take to begin, and then to come: longer than any page waits.
const ANSWER: Duration = Duration::from_secs(45);

/// The most bytes of an answer that is no stream.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The most pages of a list.
const MAX_PAGES: usize = 10_000;

/// The longest line of a stream of events.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// The most that is read of an answer that says what is wrong.
const MAX_PROBLEM: usize = 64 * 1024;

/// A server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    token: Secret,
}

/// A session, as far as the command line needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Where it is in its life.
    pub state: String,
    /// Why, as a sentence.
    pub state_message: Option<String>,
    /// How far its making is.
    pub progress: Option<Progress>,
    /// What it was made from.
    pub image: String,
    /// Bytes of memory it has.
    pub memory: u64,
    /// How many CPUs' worth of time it has.
    pub cpus: f64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// How far a session's making is.
#[derive(Clone, Debug, Deserialize)]
pub struct Progress {
    /// Bytes done.
    pub current: u64,
    /// Bytes to do, as far as known.
    pub total: Option<u64>,
}

impl Session {
    /// What it is called on the command line.
    pub fn word(&self) -> String {
        harmless(&format!("@{}", self.name.as_ref().unwrap_or(&self.id)))
    }
}

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    retryable: bool,
}

impl Client {
    pub(super) fn new(url: Url, token: Secret) -> Self {
        install_crypto();
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .http1_only()
            // A token is for one server.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("shellport/", env!("CARGO_PKG_VERSION")));
        if is_local(&url) {
            http = http.no_proxy();
        }
        let http = http.build();
        let http = http.unwrap_or_else(|error| unreachable!("nothing of it can be wrong: {error}"));
        Self { http, url, token }
    }

    /// The server, as people write it.
    pub fn shown(&self) -> String {
        shown(&self.url)
    }

    /// An address below the server's own.
    pub fn page(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// A request to the API.
    pub fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let url = self.page(&[&["api", "v1"], path].concat());
        self.http
            .request(method, url)
            .bearer_auth(self.token.reveal())
    }

    /// `GET`.
    pub fn get(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// `POST`.
    pub fn post(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// The answer, when it is one of success. It has to begin soon.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        let answer = timeout(ANSWER, self.send_all(request)).await;
        answer.unwrap_or_else(|_| Err(self.late()))
    }

    /// The same, however long the request's body takes.
    pub async fn send_all(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let is_problem = is_problem(response.headers());
        let mut body = response.bytes_stream();
        let mut text = Vec::new();
        while let Some(Ok(part)) = body.next().await {
            text.extend_from_slice(&part);
            if text.len() > MAX_PROBLEM {
                break;
            }
        }
        let problem = is_problem.then(|| serde_json::from_slice::<Problem>(&text));
        let Some(Ok(problem)) = problem else {
            let detail = format!("{} answers {status}", self.shown());
            // What is before a server says that it is away for a moment.
            return Err(RemoteError::Problem {
                status: status.as_u16(),
                code: String::new(),
                detail,
                retryable: status.is_server_error(),
            });
        };
        Err(RemoteError::Problem {
            status: status.as_u16(),
            code: problem.code,
            detail: harmless(&problem.detail),
            retryable: problem.retryable,
        })
    }

    /// The answer's JSON.
    pub async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, RemoteError> {
        let response = self.send(request).await?;
        let read = timeout(ANSWER, self.read(response)).await;
        read.unwrap_or_else(|_| Err(self.late()))
    }

    /// An answer's JSON, when that is not too much.
    pub async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, RemoteError> {
        let mut body = response.bytes_stream();
        let mut text = Vec::new();
        while let Some(part) = body.next().await {
            text.extend_from_slice(&part.map_err(|error| self.unreachable(&error))?);
            if text.len() > MAX_ANSWER {
                let what = format!("it is longer than {MAX_ANSWER} bytes");
                return Err(RemoteError::Nonsense("the answer", what));
            }
        }
        parse(&text)
    }

    /// The answer's events, as they come.
    pub async fn lines(
        &self,
        request: RequestBuilder,
    ) -> Result<impl Stream<Item = Result<Value, RemoteError>> + Unpin + use<>, RemoteError> {
        let response = self
            .send(request.header(ACCEPT, "application/x-ndjson"))
            .await?;
        let body = response.bytes_stream().map_err(std::io::Error::other);
        let lines = FramedRead::new(
            StreamReader::new(body),
            LinesCodec::new_with_max_length(MAX_LINE),
        );
        let server = self.shown();
        Ok(Box::pin(lines.map(move |line| match line {
            Ok(line) => parse(line.as_bytes()),
            Err(error) => Err(RemoteError::Unreachable {
                server: server.clone(),
                cause: error.to_string(),
            }),
        })))
    }

    /// Everything in a list that has pages.
    pub async fn all<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, RemoteError> {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut request = self.get(path).query(query);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let page: List<T> = self.json(request).await?;
            found.extend(page.data);
            if page.next_cursor.is_none() || page.next_cursor == cursor {
                return Ok(found);
            }
            cursor = page.next_cursor;
        }
        Err(RemoteError::Nonsense(
            "the list",
            "it does not end".to_owned(),
        ))
    }

    /// The session of this name or id.
    pub async fn session(&self, word: &str) -> Result<Session, RemoteError> {
        // An address has no such parts.
        if matches!(word, "" | "." | "..") {
            return Err(RemoteError::NoSession(word.to_owned()));
        }
        let named: Vec<Session> = self.all(&["sessions"], &[("name", word)]).await?;
        match named.as_slice() {
            [session] => return Ok(session.clone()),
            [] => {}
            several => {
                let ids: Vec<_> = several.iter().map(|it| format!("@{}", it.id)).collect();
                return Err(RemoteError::Ambiguous {
                    name: word.to_owned(),
                    ids: ids.join(" "),
                });
            }
        }
        match self.json(self.get(&["sessions", word])).await {
            Err(RemoteError::Problem { status: 404, .. }) => {
                Err(RemoteError::NoSession(word.to_owned()))
            }
            found => found,
        }
    }

    fn late(&self) -> RemoteError {
        RemoteError::Unreachable {
            server: self.shown(),
            cause: "it does not answer".to_owned(),
        }
    }

    /// A stream of events that ended before what it was about.
    pub(super) fn silent(&self) -> RemoteError {
        RemoteError::Unreachable {
            server: self.shown(),
            cause: "the connection has ended".to_owned(),
        }
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> RemoteError {
        // The innermost says what happened; the others repeat the address.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        RemoteError::Unreachable {
            server: self.shown(),
            cause: cause.to_string(),
        }
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    let kind = headers.get(reqwest::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
}

/// What the server has said.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RemoteError> {
    serde_json::from_slice(bytes)
        .map_err(|error| RemoteError::Nonsense("the answer", error.to_string()))
}

/// A body that comes as it can be had.
pub(super) fn body(
    parts: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
) -> reqwest::Body {
    reqwest::Body::wrap_stream(parts)
}
