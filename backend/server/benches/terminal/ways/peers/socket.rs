//! A WebSocket, and what peers say on it.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::super::super::connection::Connection;
use super::super::super::wait::Result;

/// How long output is waited for that may come after the end.
const LATE: Duration = Duration::from_millis(100);

/// What a peer's messages mean.
pub trait Dialect: Send {
    /// The path and query to connect to.
    fn path(&self) -> &'static str;

    /// What the client says first.
    fn greeting(&self) -> Option<Message> {
        None
    }

    /// The message that types this.
    fn input(&self, text: &[u8]) -> Result<Message>;

    /// Takes a message in.
    fn take(&mut self, message: Message) -> Result<Taken>;
}

/// What a message was.
#[derive(Default)]
pub struct Taken {
    /// Output, as bytes.
    pub output: Vec<u8>,
    /// What is answered when the output has been used.
    pub answer: Option<Message>,
    /// Whether the program has ended, though output may still come.
    pub ended: bool,
}

/// A connection, which is a terminal.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    dialect: Box<dyn Dialect>,
    last: Taken,
    ended: bool,
}

impl Socket {
    /// Connects.
    pub async fn open(address: SocketAddr, dialect: Box<dyn Dialect>) -> Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let url = format!("ws://{address}{}", dialect.path());
        let (mut stream, _) = client_async(url, tcp).await?;
        if let Some(greeting) = dialect.greeting() {
            stream.send(greeting).await?;
        }
        Ok(Self {
            stream,
            dialect,
            last: Taken::default(),
            ended: false,
        })
    }
}

#[async_trait]
impl Connection for Socket {
    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let message = self.dialect.input(bytes)?;
        Ok(self.stream.send(message).await?)
    }

    async fn receive(&mut self) -> Result<Option<&[u8]>> {
        loop {
            if let Some(answer) = self.last.answer.take() {
                self.stream.send(answer).await?;
            }
            let patience = if self.ended { LATE } else { Duration::MAX };
            let message = match timeout(patience, self.stream.next()).await {
                Ok(Some(Ok(Message::Close(_))) | None) | Err(_) => return Ok(None),
                Ok(Some(message)) => message?,
            };
            self.last = self.dialect.take(message)?;
            self.ended |= self.last.ended;
            if !self.last.output.is_empty() {
                break;
            }
        }
        Ok(Some(&self.last.output))
    }
}
