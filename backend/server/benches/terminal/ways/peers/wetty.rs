//! `WeTTY`, which speaks Socket.IO: a digit for the kind of a message, and an event as a JSON array.

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

use super::super::super::wait::Result;
use super::server::{Peer, installed};
use super::socket::{Dialect, Taken};

/// After so many characters its page tells that it has drawn them.
const COMMIT: usize = 262_144;

/// Starts it.
pub async fn start(directory: &Path) -> Result<Peer> {
    let program = installed().join("node_modules/wetty/build/main.js");
    if !program.exists() {
        return Err("it is not installed (tools/peers.sh)".into());
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("it starts a shell without SSH only as root".into());
    }
    Peer::start(
        ("WeTTY", "wetty"),
        directory,
        || Box::new(Events { uncommitted: 0 }),
        |port| {
            let mut command = Command::new("node");
            command.arg(program).arg(format!("--port={port}"));
            command.args(["--host=127.0.0.1", "--ssh-host=localhost", "--command=sh"]);
            command.args(["--base=/", "--log-level=error"]);
            command
        },
    )
    .await
}

struct Events {
    uncommitted: usize,
}

fn event(name: &str, content: Value) -> Message {
    Message::text(format!("42{}", json!([name, content])))
}

impl Dialect for Events {
    fn path(&self) -> &'static str {
        "/socket.io/?EIO=4&transport=websocket"
    }

    fn greeting(&self) -> Option<Message> {
        Some(Message::text("40"))
    }

    fn input(&self, text: &[u8]) -> Result<Message> {
        Ok(event("input", std::str::from_utf8(text)?.into()))
    }

    fn take(&mut self, message: Message) -> Result<Taken> {
        let mut taken = Taken::default();
        let Message::Text(text) = message else {
            return Ok(taken);
        };
        if text.as_str() == "2" {
            taken.answer = Some(Message::text("3"));
            return Ok(taken);
        }
        let Some(event_text) = text.strip_prefix("42") else {
            return Ok(taken);
        };
        let mut content: Vec<Value> = serde_json::from_str(event_text)?;
        let last = content.pop();
        match (content.pop(), last) {
            (Some(Value::String(name)), Some(Value::String(output))) if name == "data" => {
                self.uncommitted += output.chars().count();
                if self.uncommitted >= COMMIT {
                    self.uncommitted -= COMMIT;
                    taken.answer = Some(event("commit", COMMIT.into()));
                }
                taken.output = output.into_bytes();
            }
            (None, Some(Value::String(name))) if name == "logout" => taken.ended = true,
            _ => {}
        }
        Ok(taken)
    }
}
