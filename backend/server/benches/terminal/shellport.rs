//! Shellport itself: the real program as a child, a session in it, and a viewer that speaks frames.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use hyper::body::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use shellport_wire::frame::{Frame, Kind};
use shellport_wire::viewer::{ClientMessage, SUBPROTOCOL, ServerMessage};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::cpu::Processes;
use super::engine::{CPUS, DIRECTORY, Engine, IMAGE, MEMORY};
use super::http::Client;
use super::measure::{Connection, ready};
use super::wait::{Result, STEP, within};
use super::workload::{ECHO_SCRIPT, Workload, flood_script};

/// After so many bytes they are acknowledged, as the page does it.
const ACK: u64 = 64 * 1024;

/// How long the server may take to end.
const END: Duration = Duration::from_secs(15);

/// A server, its session, and what was opened in it.
pub struct Shellport {
    server: Child,
    /// What it prints further is not read, but printing must not fail.
    _stdout: Lines<BufReader<ChildStdout>>,
    client: Client,
    data_dir: PathBuf,
    session: Option<String>,
    flood: Option<(Viewer, Processes)>,
    echo: Option<Viewer>,
}

impl Shellport {
    /// Starts the server on an engine.
    pub async fn start(engine: &str, data_dir: &Path) -> Result<Self> {
        std::fs::create_dir(data_dir)?;
        let mut server = Command::new(env!("CARGO_BIN_EXE_shellport"))
            .args(["serve", "--listen=127.0.0.1:0", "--engine", engine])
            .arg("--data-dir")
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log_file(data_dir))?)
            .kill_on_drop(true)
            .spawn()?;
        let stdout = server.stdout.take().ok_or("the server has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let found: Result<String> = within("the server's address", STEP, async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, rest)) = line.split_once("http://") {
                    return Ok(rest.to_owned());
                }
            }
            let log = std::fs::read_to_string(log_file(data_dir))?;
            Err(format!("the server has ended: {log}").into())
        })
        .await
        .flatten();
        let found = found?;
        let (address, token) = found
            .trim()
            .split_once("/#token=")
            .ok_or("the server's address is not understood")?;
        Ok(Self {
            server,
            _stdout: lines,
            client: Client {
                address: address.parse()?,
                token: token.to_owned(),
            },
            data_dir: data_dir.to_owned(),
            session: None,
            flood: None,
            echo: None,
        })
    }

    /// Makes a session, starts the programs in it, and joins them.
    pub async fn open(&mut self, engine: &Engine, workloads: &[Workload]) -> Result<()> {
        let wish = json!({"image": IMAGE, "cpus": CPUS, "memory": MEMORY, "network": "none"});
        let path = "/api/v1/sessions?wait=running";
        let session = self.client.ask(Method::POST, path, &wish).await?;
        let id = session["id"].as_str().ok_or("a session without an id")?;
        self.session = Some(id.to_owned());
        if session["state"] != "running" {
            return Err(format!("the session does not run: {session}").into());
        }
        let (container, agent) = engine.find(format!("shellport.session={id}")).await?;
        engine.upload(&container, workloads).await?;
        let server = self.server.id().ok_or("the server has ended")?;
        let processes = Processes(vec![("server", server), ("agent", agent)]);
        let flood = flood_script(DIRECTORY.as_ref());
        let flood = self.terminal(id, "flood", &flood).await?;
        self.flood = Some((flood, processes));
        self.echo = Some(self.terminal(id, "echo", ECHO_SCRIPT).await?);
        Ok(())
    }

    async fn terminal(&self, session: &str, name: &str, script: &str) -> Result<Viewer> {
        let path = format!("/api/v1/sessions/{session}/terminals");
        let wish = json!({"name": name, "command": ["sh", "-c", script]});
        self.client.ask(Method::POST, &path, &wish).await?;
        let path = format!("{path}/{name}/attach?since=0");
        let join = Viewer::join(&self.client, &path);
        let mut viewer = within("joining", STEP, join).await??;
        ready(&mut viewer).await?;
        Ok(viewer)
    }

    /// The terminal that floods, and what serves it.
    pub fn flood(&mut self) -> Result<(&mut Viewer, &Processes)> {
        let (viewer, processes) = self.flood.as_mut().ok_or("not open")?;
        Ok((viewer, processes))
    }

    /// The terminal that echoes.
    pub fn echo(&mut self) -> Result<&mut Viewer> {
        Ok(self.echo.as_mut().ok_or("not open")?)
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_file(&self.data_dir)).unwrap_or_default()
    }

    /// Deletes the session and ends the server; when that fails, removes by force what is left.
    pub async fn clear(mut self, engine: Option<&Engine>) {
        (self.flood, self.echo) = (None, None);
        if let Some(session) = &self.session {
            let path = format!("/api/v1/sessions/{session}");
            if let Err(error) = self.client.ask(Method::DELETE, &path, &Value::Null).await {
                println!("bench: {error}");
            }
        }
        if let Some(pid) = self.server.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            if timeout(END, self.server.wait()).await.is_err() {
                println!("bench: the server does not end");
                let _ = self.server.kill().await;
            }
        }
        let instance = std::fs::read_to_string(self.data_dir.join("instance"));
        if let (Some(engine), Ok(instance)) = (engine, instance) {
            let label = format!("shellport.instance={}", instance.trim());
            let purge = within("removing what is left", STEP, engine.purge(label));
            if let Err(error) = purge.await.flatten() {
                println!("bench: {error}");
            }
        }
    }
}

fn log_file(data_dir: &Path) -> PathBuf {
    data_dir.join("stderr.log")
}

/// A viewer that reads as fast as it can.
pub struct Viewer {
    socket: WebSocketStream<TcpStream>,
    /// The next offset, and up to which one was acknowledged.
    offset: u64,
    acknowledged: u64,
    /// The next sequence.
    sequence: u64,
    last: Bytes,
}

impl Viewer {
    async fn join(client: &Client, path: &str) -> Result<Self> {
        let mut request = format!("ws://{}{path}", client.address).into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {}", client.token).parse()?);
        headers.insert("sec-websocket-protocol", SUBPROTOCOL.parse()?);
        let stream = TcpStream::connect(client.address).await?;
        stream.set_nodelay(true)?;
        let (mut socket, _) = client_async(request, stream).await?;
        let hello = match socket.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text)?,
            other => return Err(format!("no hello: {other:?}").into()),
        };
        let ServerMessage::Hello(hello) = hello else {
            return Err(format!("no hello: {hello:?}").into());
        };
        Ok(Self {
            socket,
            offset: hello.offset,
            acknowledged: hello.offset,
            sequence: hello.sequence,
            last: Bytes::new(),
        })
    }

    async fn acknowledge(&mut self) -> Result<()> {
        let offset = self.offset;
        let ack = serde_json::to_string(&ClientMessage::Ack { offset })?;
        self.socket.send(Message::text(ack)).await?;
        self.acknowledged = offset;
        Ok(())
    }
}

impl Connection for Viewer {
    async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let frame = Frame::bytes(Kind::Input, self.sequence, bytes).encode();
        self.sequence += bytes.len() as u64;
        Ok(self.socket.send(Message::binary(frame)).await?)
    }

    async fn receive(&mut self) -> Result<&[u8]> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => self.last = bytes,
                Some(Ok(Message::Close(frame))) => return Err(format!("closed: {frame:?}").into()),
                // The input's acknowledgement, and the server's pings.
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error.into()),
                None => return Err("the server closed the connection".into()),
            }
            break;
        }
        let (position, length) = match Frame::decode(&self.last)? {
            Frame::Bytes {
                kind: Kind::Output,
                position,
                payload,
            } => (position, payload.len()),
            other => return Err(format!("no output: {other:?}").into()),
        };
        if position != self.offset {
            return Err(format!("output at {position} instead of {}", self.offset).into());
        }
        self.offset += length as u64;
        if self.offset - self.acknowledged >= ACK {
            self.acknowledge().await?;
        }
        Ok(&self.last[self.last.len() - length..])
    }
}
