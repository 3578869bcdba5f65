//! node-pty behind a WebSocket, as it is written in an afternoon.

use std::path::Path;

use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

use super::super::super::wait::Result;
use super::server::{Peer, installed, written};
use super::socket::{Dialect, Taken};

/// Starts it.
pub async fn start(directory: &Path) -> Result<Peer> {
    let modules = installed().join("node_modules");
    if !modules.join("node-pty").exists() {
        return Err("it is not installed (tools/peers.sh)".into());
    }
    Peer::start(
        ("node-pty and ws", "node-pty"),
        directory,
        || Box::new(Bytes),
        |port| {
            let mut command = Command::new("node");
            command.arg(written().join("node_pty_server.cjs"));
            command.arg(port.to_string()).env("NODE_PATH", modules);
            command
        },
    )
    .await
}

struct Bytes;

impl Dialect for Bytes {
    fn path(&self) -> &'static str {
        "/"
    }

    fn input(&self, text: &[u8]) -> Result<Message> {
        Ok(Message::binary(text.to_vec()))
    }

    fn take(&mut self, message: Message) -> Result<Taken> {
        let output = match message {
            Message::Binary(bytes) => bytes.into(),
            _ => Vec::new(),
        };
        Ok(Taken {
            output,
            ..Taken::default()
        })
    }
}
