//! The one thing that Podman's compatible API cannot do: a network that is isolated from others.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use crate::runtime::Stream;

/// How often a creation is tried that another network's end has disturbed.
const TRIES: usize = 40;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;

/// Makes the network `name`; it is no error when it is there.
///
/// # Errors
/// What Podman said.
pub(super) async fn create_isolated_network(
    endpoint: &str,
    name: &str,
    labels: Vec<(String, String)>,
) -> Result<(), String> {
    let labels: serde_json::Map<_, _> = labels
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    let body = json!({
        "name": name,
        "driver": "bridge",
        "options": {"isolate": "true"},
        "dns_enabled": false,
        "labels": labels,
    });
    let body = body.to_string();
    let mut said = String::new();
    for _ in 0..TRIES {
        let request = post(endpoint, "/v4.0.0/libpod/networks/create", body.clone());
        let (status, answer) = timeout(ANSWER, request)
            .await
            .map_err(|_| "no answer".to_owned())?
            .map_err(|error| error.to_string())?;
        if status.is_success() || answer.contains("already exists") {
            return Ok(());
        }
        said = answer;
        // It lists the machine's interfaces, and gives up when one goes meanwhile.
        if !said.contains("no such network interface") {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(said)
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn post(endpoint: &str, path: &str, body: String) -> Result<(StatusCode, String), AnyError> {
    let stream: Box<dyn Stream> = match endpoint.strip_prefix("unix://") {
        Some(socket) => Box::new(UnixStream::connect(socket).await?),
        None => Box::new(TcpStream::connect(endpoint.trim_start_matches("tcp://")).await?),
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "d")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let bytes = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await?
        .to_bytes();
    connection.abort();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}
