//! Answers that are streams, read as they come: lines of JSON, or Server-Sent Events.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::http::{Answer, Client};
use super::wait::{LONG, ok, within};

/// Lines of JSON.
pub const LINES: &str = "application/x-ndjson";

/// Server-Sent Events.
pub const EVENTS: &str = "text/event-stream";

/// A stream; the client goes when it is dropped.
pub struct Streamed {
    body: Incoming,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been taken.
    taken: usize,
    /// The id of the last event.
    pub last: Option<String>,
    /// The answer's headers.
    pub headers: hyper::HeaderMap,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    /// Sends a request whose answer is read as it comes; the whole answer when it is a problem.
    pub async fn stream(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Streamed, Answer> {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::<Bytes>::from(body))
            .unwrap();
        let stream = ok("connecting", TcpStream::connect(self.address).await);
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = ok("connecting", handshake);
        let connection = tokio::spawn(connection);
        let response = within("an answer", LONG, sender.send_request(request)).await;
        let (parts, body) = ok("a response", response).into_parts();
        if parts.status != 200 {
            let body = ok("its body", body.collect().await).to_bytes();
            return Err(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            });
        }
        Ok(Streamed {
            body,
            buffer: Vec::new(),
            taken: 0,
            last: None,
            headers: parts.headers,
            connection,
        })
    }
}

impl Streamed {
    /// The next event; none at the end of the answer.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let line = self.line().await?;
            if line.starts_with('{') {
                return Some(ok("JSON", serde_json::from_str(&line)));
            }
            match line.split_once(": ") {
                Some(("id", id)) => self.last = Some(id.to_owned()),
                Some(("data", data)) => return Some(ok("JSON", serde_json::from_str(data))),
                _ if line.is_empty() => {}
                _ => panic!("not a line of these: {line:?}"),
            }
        }
    }

    /// The next event of this type.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            match self.next().await {
                Some(event) if event["type"] == kind => return event,
                Some(_) => {}
                None => panic!("it ended before {kind}"),
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            let waiting = &self.buffer[self.taken..];
            if let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8(waiting[..end].to_vec()).unwrap();
                self.taken += end + 1;
                return Some(line);
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            let frame = within("a piece of the answer", LONG, self.body.frame()).await?;
            let data = ok("a piece", frame).into_data();
            self.buffer.extend_from_slice(&data.unwrap_or_default());
        }
    }
}
