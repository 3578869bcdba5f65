//! A viewer that speaks the plain dialect, as a script would.

use serde_json::{Value, json};
use shellport_wire::exit::Exit;
use shellport_wire::viewer::{Hello, ServerMessage};

use super::http::{Answer, Client};
use super::websocket::{Incoming, Outgoing, Received, open};

/// A viewer.
pub struct Plain {
    /// What the server said first.
    pub hello: Hello,
    /// All output so far.
    pub output: Vec<u8>,
    /// How the program ended, and after how many bytes.
    pub exit: Option<(Exit, u64)>,
    /// The code of the close.
    pub closed: Option<u16>,
    incoming: Incoming,
    /// The sending half; a task of its own may take it.
    pub outgoing: Option<Outgoing>,
}

impl Plain {
    /// Joins a terminal.
    pub async fn attach(client: &Client, session: &str, terminal: &str, query: &str) -> Self {
        match Self::try_attach(client, session, terminal, query).await {
            Ok(viewer) => viewer,
            Err(answer) => panic!("{}: {}", answer.status, answer.text()),
        }
    }

    /// Joins a terminal, or returns the refusal.
    pub async fn try_attach(
        client: &Client,
        session: &str,
        terminal: &str,
        query: &str,
    ) -> Result<Self, Answer> {
        let path = Client::path(session, &format!("/terminals/{terminal}/attach?{query}"));
        let (mut incoming, outgoing, selected) = open(client, &path, &[]).await?;
        assert_eq!(selected, None);
        let Received::Text(text) = incoming.next().await else {
            panic!("no hello");
        };
        let Ok(ServerMessage::Hello(hello)) = serde_json::from_str(&text) else {
            panic!("no hello: {text}");
        };
        Ok(Self {
            hello,
            output: Vec::new(),
            exit: None,
            closed: None,
            incoming,
            outgoing: Some(outgoing),
        })
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Value) {
        let outgoing = self.outgoing.as_mut().unwrap();
        outgoing.text(message.to_string()).await;
    }

    /// Types text.
    pub async fn stdin(&mut self, text: &str) {
        self.send(json!({"type": "stdin", "data": text})).await;
    }

    /// Takes one message; false when the connection has ended.
    pub async fn step(&mut self) -> bool {
        match self.incoming.next().await {
            Received::Binary(bytes) => self.output.extend_from_slice(&bytes),
            Received::Text(text) => match serde_json::from_str(&text).unwrap() {
                ServerMessage::Exit { exit, offset } => {
                    assert_eq!(self.exit, None, "a second exit");
                    self.exit = Some((exit, offset));
                }
                ServerMessage::Gap { .. } => panic!("output is missing: {text}"),
                _ => {}
            },
            Received::Closed(code, reason) => {
                assert!(self.closed.is_none(), "{reason}");
                self.closed = Some(code);
                return false;
            }
        }
        true
    }

    /// Waits until the output has this text in it.
    pub async fn until(&mut self, text: &str) {
        self.until_from(0, text).await;
    }

    /// Waits until the output from this byte on has this text in it.
    pub async fn until_from(&mut self, mut from: usize, text: &str) {
        while !String::from_utf8_lossy(&self.output[from..]).contains(text) {
            from = self.output.len().saturating_sub(text.len()).max(from);
            assert!(self.step().await, "closed before {text:?}: {}", self.text());
        }
    }

    /// Takes everything until the connection ends.
    pub async fn drain(&mut self) {
        while self.step().await {}
    }

    /// The output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}
