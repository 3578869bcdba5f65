//! A WebSocket to a terminal, whichever dialect it speaks.

use std::net::SocketAddr;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http::{Answer, Client};
use super::wait::{LONG, ok, within};

/// What comes on one.
#[derive(Debug)]
pub enum Received {
    /// A binary message.
    Binary(Bytes),
    /// A text message.
    Text(String),
    /// The end, with the code and reason of the close; 1006 when there was none.
    Closed(u16, String),
}

/// The receiving half.
#[derive(Debug)]
pub struct Incoming(SplitStream<WebSocketStream<TcpStream>>);

/// The sending half.
pub struct Outgoing(SplitSink<WebSocketStream<TcpStream>, Message>);

/// Why there is none.
#[derive(Debug)]
pub enum Failure {
    /// The server refuses.
    Refused(Answer),
    /// The connection broke.
    Broken(Error),
}

/// Opens one, or returns the answer of a server that refuses.
pub async fn open(
    client: &Client,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Incoming, Outgoing, Option<String>), Answer> {
    let begun = Instant::now();
    try_open(client, client.address, path, headers)
        .await
        .map_err(|failure| match failure {
            Failure::Refused(answer) => answer,
            Failure::Broken(error) => panic!("the upgrade, {:?}: {error}", begun.elapsed()),
        })
}

/// Opens one over this address, which may not be the server's own, if that goes well.
pub async fn try_open(
    client: &Client,
    over: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Incoming, Outgoing, Option<String>), Failure> {
    let address = format!("ws://{}{path}", client.address);
    let mut request = ok("a request", address.into_client_request());
    let token = client.token.as_ref().map(|token| format!("Bearer {token}"));
    let token = token.iter().map(|token| ("authorization", &**token));
    for (name, value) in token.chain(headers.iter().copied()) {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let stream = ok("connecting", TcpStream::connect(over).await);
    stream.set_nodelay(true).unwrap();
    match within("the upgrade", LONG, client_async(request, stream)).await {
        Ok((socket, response)) => {
            let selected = response.headers().get("sec-websocket-protocol");
            let selected = selected.map(|value| value.to_str().unwrap().to_owned());
            let (sink, stream) = socket.split();
            Ok((Incoming(stream), Outgoing(sink), selected))
        }
        Err(Error::Http(response)) => {
            let (parts, body) = response.into_parts();
            Err(Failure::Refused(Answer {
                status: StatusCode::from_u16(parts.status.as_u16()).unwrap(),
                headers: parts.headers,
                body: body.unwrap_or_default().into(),
            }))
        }
        Err(error) => Err(Failure::Broken(error)),
    }
}

impl Incoming {
    /// What comes next that matters.
    pub async fn next(&mut self) -> Received {
        within("a message", LONG, self.next_without_limit()).await
    }

    async fn next_without_limit(&mut self) -> Received {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => return Received::Binary(bytes),
                Some(Ok(Message::Text(text))) => return Received::Text(text.to_string()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Received::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => {
                    return Received::Closed(1006, String::new());
                }
                Some(Ok(_)) => {}
            }
        }
    }
}

impl Outgoing {
    /// Sends text.
    pub async fn text(&mut self, text: String) {
        self.send(Message::text(text)).await;
    }

    /// Sends bytes.
    pub async fn binary(&mut self, bytes: Vec<u8>) {
        self.send(Message::binary(bytes)).await;
    }

    /// A server that has closed meanwhile says so on the other half.
    async fn send(&mut self, message: Message) {
        let _ = within("sending", LONG, self.0.send(message)).await;
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Outgoing")
    }
}
