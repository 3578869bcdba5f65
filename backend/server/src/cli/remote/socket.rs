//! A WebSocket of the API.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{RequestBuilder, StatusCode, Upgraded};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::RemoteError;
use super::client::Client;
use crate::cli::harmless;

/// How long the other side may take nothing.
const STALLED: Duration = Duration::from_secs(15);

/// How long a close may take.
const CLOSING: Duration = Duration::from_secs(1);

/// A connection.
pub struct Socket {
    stream: WebSocketStream<Upgraded>,
}

/// What comes from the server.
#[derive(Debug)]
pub enum Heard {
    /// A message of bytes.
    Bytes(Bytes),
    /// A message of text.
    Text(String),
    /// The end.
    Closed(Closed),
}

/// How a connection ended.
#[derive(Debug)]
pub struct Closed {
    /// The server's code; none when the connection broke.
    pub code: Option<u16>,
    /// Why.
    pub reason: String,
}

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// What the server says instead.
    pub async fn open(
        client: &Client,
        request: RequestBuilder,
        protocol: Option<&str>,
    ) -> Result<Self, RemoteError> {
        let key = generate_key();
        let mut request = request
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        if let Some(protocol) = protocol {
            request = request.header(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let response = client.send(request).await?;
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        let accepted = accepted
            .is_some_and(|it| it.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes());
        if response.status() != StatusCode::SWITCHING_PROTOCOLS || !accepted {
            let what = format!("{} instead of a WebSocket", response.status());
            return Err(RemoteError::Nonsense("the answer", what));
        }
        let upgraded = response
            .upgrade()
            .await
            .map_err(|error| client.unreachable(&error))?;
        Ok(Self {
            stream: WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await,
        })
    }

    /// The next message.
    pub async fn next(&mut self) -> Heard {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => return Heard::Bytes(bytes),
                Some(Ok(Message::Text(text))) => return Heard::Text(text.as_str().to_owned()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Heard::Closed(Closed {
                        code: Some(frame.code.into()),
                        reason: harmless(frame.reason.as_str()),
                    });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Heard::Closed(broken(&error)),
                None => return Heard::Closed(broken(&Error::ConnectionClosed)),
            }
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is broken, or stalled.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), Closed> {
        self.put(Message::Binary(bytes)).await
    }

    /// Sends a text.
    ///
    /// # Errors
    /// When the connection is broken, or stalled.
    pub async fn say<T: serde::Serialize>(&mut self, message: &T) -> Result<(), Closed> {
        let text = serde_json::to_string(message).unwrap_or_default();
        self.put(Message::text(text)).await
    }

    async fn put(&mut self, message: Message) -> Result<(), Closed> {
        let sent = timeout(STALLED, self.stream.send(message)).await;
        let stalled = |_| Closed {
            code: None,
            reason: "the connection is stalled".to_owned(),
        };
        sent.map_err(stalled)?.map_err(|error| broken(&error))
    }

    /// Ends it, so that the server knows that nobody comes back.
    pub async fn close(mut self) {
        let _ = timeout(CLOSING, self.stream.close(None)).await;
    }
}

fn broken(error: &Error) -> Closed {
    Closed {
        code: None,
        reason: error.to_string(),
    }
}
