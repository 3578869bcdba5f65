//! A WebSocket of the API.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{RequestBuilder, StatusCode, Upgraded};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::RemoteError;
use super::client::Client;
use crate::cli::harmless;

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
    /// When the connection is broken.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), Closed> {
        self.stream
            .send(Message::Binary(bytes))
            .await
            .map_err(|error| broken(&error))
    }

    /// Sends a text.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn say<T: serde::Serialize>(&mut self, message: &T) -> Result<(), Closed> {
        let text = serde_json::to_string(message).unwrap_or_default();
        self.stream
            .send(Message::text(text))
            .await
            .map_err(|error| broken(&error))
    }

    /// Ends it, so that the server knows that nobody comes back.
    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
    }
}

fn broken(error: &Error) -> Closed {
    Closed {
        code: None,
        reason: error.to_string(),
    }
}
