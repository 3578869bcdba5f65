//! A viewer that speaks frames, and checks every position that it is told.

use std::net::SocketAddr;

use serde_json::json;
use shellport_wire::exit::Exit;
use shellport_wire::frame::{Frame, Kind};
use shellport_wire::viewer::{
    ClientMessage, Hello, INPUT_WINDOW, Line, SUBPROTOCOL, ServerMessage, Size, Start,
};

use super::http::{Answer, Client};
use super::websocket::{Failure, Incoming, Outgoing, Received, open, try_open};

/// A viewer.
pub struct Viewer {
    /// What the server said first.
    pub hello: Hello,
    /// All output since it joined, from [`Self::start`] on.
    pub output: Vec<u8>,
    /// The offset of the first byte in [`Self::output`].
    pub start: u64,
    /// The last snapshot.
    pub snapshot: Option<Vec<u8>>,
    /// How many snapshots came.
    pub snapshots: usize,
    /// The terminal's size.
    pub size: Size,
    /// How the program ended.
    pub exit: Option<Exit>,
    /// The code and reason of the close.
    pub closed: Option<(u16, String)>,
    /// Its own number, and the writer's, as it was told last.
    pub you: Option<u64>,
    /// The writer's number.
    pub writer: Option<u64>,
    /// How many viewers there are.
    pub count: u64,
    /// What the terminal does with what is typed.
    pub line: Option<Line>,
    /// The codes of notices.
    pub notices: Vec<String>,
    /// Ids of pongs.
    pub pongs: Vec<u64>,
    sent: u64,
    applied: u64,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl Viewer {
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
        let headers = [("sec-websocket-protocol", SUBPROTOCOL)];
        Self::join(client, session, terminal, query, &headers).await
    }

    /// Joins with a ticket instead of a token, as a page of the server does.
    pub async fn with_ticket(
        client: &Client,
        session: &str,
        terminal: &str,
        ticket: &str,
    ) -> Result<Self, Answer> {
        let mut client = client.clone();
        client.token = None;
        let offered = format!("{SUBPROTOCOL}, shellport.ticket.{ticket}");
        let origin = format!("http://{}", client.address);
        let headers = [("sec-websocket-protocol", &*offered), ("origin", &*origin)];
        Self::join(&client, session, terminal, "", &headers).await
    }

    async fn join(
        client: &Client,
        session: &str,
        terminal: &str,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Answer> {
        let path = Client::path(session, &format!("/terminals/{terminal}/attach?{query}"));
        let (mut incoming, outgoing, selected) = open(client, &path, headers).await?;
        assert_eq!(selected.as_deref(), Some(SUBPROTOCOL));
        match incoming.next().await {
            Received::Text(text) => Ok(Self::new(&text, incoming, outgoing)),
            other => panic!("no hello: {other:?}"),
        }
    }

    /// Joins a terminal over an address where the connection may break before that is done; none when it
    /// has.
    pub async fn join_over(
        over: SocketAddr,
        client: &Client,
        session: &str,
        terminal: &str,
        query: &str,
    ) -> Option<Self> {
        let path = Client::path(session, &format!("/terminals/{terminal}/attach?{query}"));
        let headers = [("sec-websocket-protocol", SUBPROTOCOL)];
        let (mut incoming, outgoing, _) = match try_open(client, over, &path, &headers).await {
            Ok(opened) => opened,
            Err(Failure::Broken(_)) => return None,
            Err(Failure::Refused(answer)) => panic!("{}: {}", answer.status, answer.text()),
        };
        match incoming.next().await {
            Received::Text(text) => Some(Self::new(&text, incoming, outgoing)),
            Received::Closed(1006, _) => None,
            other => panic!("no hello: {other:?}"),
        }
    }

    /// A viewer to whom this was said first.
    fn new(first: &str, incoming: Incoming, outgoing: Outgoing) -> Self {
        let Ok(ServerMessage::Hello(hello)) = serde_json::from_str(first) else {
            panic!("no hello: {first}");
        };
        Self {
            output: Vec::new(),
            start: hello.offset,
            snapshot: None,
            snapshots: 0,
            size: hello.size,
            exit: None,
            closed: None,
            you: None,
            writer: None,
            count: 0,
            line: None,
            notices: Vec::new(),
            pongs: Vec::new(),
            sent: hello.sequence,
            applied: hello.sequence,
            hello,
            incoming,
            outgoing,
        }
    }

    /// The offset that comes next.
    pub fn offset(&self) -> u64 {
        self.start + self.output.len() as u64
    }

    /// The output so far, which is then forgotten.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.start = self.offset();
        std::mem::take(&mut self.output)
    }

    /// How many bytes this client has typed.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many of them are known to have been applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// How many bytes it may type before more of them have been applied.
    pub fn room(&self) -> u64 {
        self.applied + INPUT_WINDOW - self.sent
    }

    /// Sends a control message.
    pub async fn send(&mut self, message: &ClientMessage) {
        let text = serde_json::to_string(message).unwrap();
        self.outgoing.text(text).await;
    }

    /// Sends a binary message as it is.
    pub async fn send_raw(&mut self, bytes: Vec<u8>) {
        self.outgoing.binary(bytes).await;
    }

    /// Sends one frame of input, whatever room there is.
    pub async fn send_input(&mut self, bytes: &[u8]) {
        let frame = Frame::bytes(Kind::Input, self.sent, bytes);
        self.sent += bytes.len() as u64;
        self.outgoing.binary(frame.encode()).await;
    }

    /// Types, as fast as the window allows.
    pub async fn input(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(16 * 1024) {
            while self.sent + part.len() as u64 > self.applied + INPUT_WINDOW {
                assert!(self.step().await, "closed: {:?}", self.closed);
            }
            self.send_input(part).await;
        }
    }

    /// Types a line.
    pub async fn line(&mut self, text: &str) {
        self.input(format!("{text}\n").as_bytes()).await;
    }

    /// Waits until all that was typed has been applied.
    pub async fn until_applied(&mut self) {
        while self.applied < self.sent {
            assert!(self.step().await, "closed: {:?}", self.closed);
        }
    }

    /// Takes one message and acknowledges it; false when the connection has ended.
    pub async fn step(&mut self) -> bool {
        match self.incoming.next().await {
            Received::Binary(bytes) => self.bytes(&bytes).await,
            Received::Text(text) => {
                let message = serde_json::from_str(&text).unwrap();
                self.message(message).await;
            }
            Received::Closed(code, reason) => self.closed = Some((code, reason)),
        }
        self.closed.is_none()
    }

    async fn bytes(&mut self, bytes: &[u8]) {
        let Ok(Frame::Bytes {
            kind: Kind::Output,
            position,
            payload,
        }) = Frame::decode(bytes)
        else {
            panic!("no output: {bytes:?}");
        };
        assert_eq!(position, self.offset(), "output does not continue");
        assert_eq!(self.exit, None, "output after the exit");
        self.output.extend_from_slice(&payload);
        let offset = self.offset();
        self.send(&ClientMessage::Ack { offset }).await;
    }

    async fn message(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::Hello(_) => panic!("a second hello"),
            ServerMessage::Snapshot {
                offset,
                size,
                length,
            } => {
                self.take_snapshot(offset, length).await;
                self.size = size;
            }
            ServerMessage::Resize { size, offset } => {
                assert_eq!(offset, self.offset(), "a resize out of place");
                self.size = size;
            }
            ServerMessage::Ack { sequence } => {
                assert!(sequence >= self.applied && sequence <= self.sent);
                self.applied = sequence;
            }
            ServerMessage::Gap { from, to } => {
                panic!("a gap from {from} to {to} for a viewer that speaks frames")
            }
            ServerMessage::Exit { exit, offset } => {
                assert_eq!(offset, self.offset(), "bytes are missing before the exit");
                assert_eq!(self.exit, None, "a second exit");
                self.exit = Some(exit);
            }
            ServerMessage::Notice { code, .. } => self.notices.push(code),
            ServerMessage::Viewers {
                you, writer, count, ..
            } => {
                self.you = Some(you);
                self.writer = writer;
                self.count = count;
            }
            ServerMessage::Line(line) => self.line = Some(line),
            ServerMessage::Pong { id } => self.pongs.push(id),
        }
    }

    async fn take_snapshot(&mut self, offset: u64, length: u64) {
        let mut snapshot = Vec::new();
        while (snapshot.len() as u64) < length {
            let bytes = match self.incoming.next().await {
                Received::Binary(bytes) => bytes,
                Received::Closed(code, reason) => {
                    self.closed = Some((code, reason));
                    return;
                }
                Received::Text(text) => panic!("no snapshot frame: {text}"),
            };
            let Ok(Frame::Bytes {
                kind: Kind::Snapshot,
                position,
                payload,
            }) = Frame::decode(&bytes)
            else {
                panic!("no snapshot frame: {bytes:?}");
            };
            assert_eq!(position, offset);
            snapshot.extend_from_slice(&payload);
        }
        assert_eq!(snapshot.len() as u64, length);
        self.snapshot = Some(snapshot);
        self.snapshots += 1;
        self.output.clear();
        self.start = offset;
        self.send(&ClientMessage::Ack { offset }).await;
    }

    /// Waits until the output, or the last snapshot, has this text in it.
    pub async fn until(&mut self, text: &str) {
        let (mut from, mut snapshots) = (0, None);
        loop {
            if snapshots != Some(self.snapshots) {
                (from, snapshots) = (0, Some(self.snapshots));
                let snapshot = self.snapshot.as_deref().unwrap_or_default();
                if String::from_utf8_lossy(snapshot).contains(text) {
                    return;
                }
            }
            if String::from_utf8_lossy(&self.output[from..]).contains(text) {
                return;
            }
            from = self.output.len().saturating_sub(text.len());
            assert!(self.step().await, "closed before {text:?}: {}", self.text());
        }
    }

    /// Waits until the viewer has seen everything before `offset`.
    pub async fn until_offset(&mut self, offset: u64) {
        while self.offset() < offset {
            assert!(self.step().await, "closed: {:?}", self.closed);
        }
    }

    /// Takes everything until the connection ends.
    pub async fn drain(&mut self) {
        while self.step().await {}
    }

    /// Waits until everything sent before this has been answered.
    pub async fn ping(&mut self) {
        let id = self.pongs.len() as u64 + 1000;
        self.send(&ClientMessage::Ping { id }).await;
        while !self.pongs.contains(&id) {
            assert!(self.step().await, "closed: {:?}", self.closed);
        }
    }

    /// The last snapshot and the output since, as text.
    pub fn text(&self) -> String {
        let snapshot = self.snapshot.as_deref().unwrap_or_default();
        let all = [snapshot, &self.output].concat();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// The query with which a client comes back for what it has not seen yet.
    pub fn come_back(&self) -> String {
        format!("since={}&run={}", self.offset(), self.hello.run)
    }

    /// Whether the stream went on where the last one was.
    pub fn resumed(&self) -> bool {
        self.hello.start == Start::Resumed
    }
}

/// An exit with this code.
pub fn exited(code: i32) -> Exit {
    let exit = json!({"code": code, "signal": null, "reason": "exited"});
    serde_json::from_value(exit).unwrap()
}
