//! terminado, which Jupyter's terminals are made with. Its messages are JSON arrays.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

use super::super::super::wait::Result;
use super::server::{Peer, installed, written};
use super::socket::{Dialect, Taken};

/// Starts it.
pub async fn start(directory: &Path) -> Result<Peer> {
    let python = installed().join("venv/bin/python");
    if !python.exists() {
        return Err("it is not installed (tools/peers.sh)".into());
    }
    Peer::start(
        ("terminado", "terminado"),
        directory,
        || Box::new(Arrays),
        |port| {
            let mut command = Command::new(python);
            command.arg(written().join("terminado_server.py"));
            command.arg(port.to_string());
            command
        },
    )
    .await
}

struct Arrays;

impl Dialect for Arrays {
    fn path(&self) -> &'static str {
        "/terminal"
    }

    fn input(&self, text: &[u8]) -> Result<Message> {
        let text = std::str::from_utf8(text)?;
        Ok(Message::text(json!(["stdin", text]).to_string()))
    }

    fn take(&mut self, message: Message) -> Result<Taken> {
        let mut taken = Taken::default();
        if let Message::Text(text) = message {
            let (kind, content): (String, Value) = serde_json::from_str(&text)?;
            match (kind.as_str(), content) {
                ("stdout", Value::String(output)) => taken.output = output.into_bytes(),
                ("disconnect", _) => taken.ended = true,
                _ => {}
            }
        }
        Ok(taken)
    }
}
