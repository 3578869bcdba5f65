//! A server on one runtime: the real program as a child.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use hyper::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http::Client;
use super::wait::{Result, STEP, within};

/// How often a session is looked at that is to stop.
const LOOK: Duration = Duration::from_millis(1);

/// A server, and what it is called in the table.
pub struct Server {
    name: String,
    image: &'static str,
    child: Child,
    /// What it prints further is not read, but printing must not fail.
    _stdout: Lines<BufReader<ChildStdout>>,
    client: Client,
}

/// A terminal that has shown its prompt.
pub type Viewer = WebSocketStream<TcpStream>;

impl Server {
    /// Starts one with these flags, for sessions of this image, in a directory below `directory`.
    pub async fn start(
        name: &str,
        flags: &[String],
        image: &'static str,
        directory: &Path,
    ) -> Result<Self> {
        let program = env!("CARGO_BIN_EXE_shellport");
        let data_dir = directory.join(name);
        std::fs::create_dir(&data_dir)?;
        if flags.iter().any(|flag| flag == "--runtime=oci") {
            let archive = archive()?;
            let mut import = Command::new(program);
            import.args(["image", "import"]).arg(archive);
            let done = import.env("SHELLPORT_DATA_DIR", &data_dir).output().await?;
            if !done.status.success() {
                return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
            }
        }
        let log = data_dir.join("server.log");
        let mut child = Command::new(program)
            .args(["serve", "--listen=127.0.0.1:0"])
            .args(flags)
            .arg("--data-dir")
            .arg(&data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let found: Result<String> = within("the server's address", STEP, async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, rest)) = line.split_once("http://") {
                    return Ok(rest.to_owned());
                }
            }
            Err(std::fs::read_to_string(&log)?.into())
        })
        .await
        .flatten();
        let found = found?;
        let address = found.trim().split_once("/#token=");
        let (address, token) = address.ok_or("the server's address is not understood")?;
        Ok(Self {
            name: name.to_owned(),
            image,
            child,
            _stdout: lines,
            client: Client {
                address: address.parse()?,
                token: token.to_owned(),
            },
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A session from its request to its end; milliseconds of each step.
    pub async fn live(&self) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        let mut at = Instant::now();
        let mut step = |at: &mut Instant| {
            times.push(at.elapsed().as_secs_f64() * 1000.0);
            *at = Instant::now();
        };
        let (session, viewer) = self.open().await?;
        step(&mut at);
        drop(viewer);
        let path = format!("/api/v1/sessions/{session}");
        at = Instant::now();
        let wish = json!({"argv": ["true"]});
        let done = self
            .ask(Method::POST, &format!("{path}/execs"), &wish)
            .await?;
        if done["exit"]["code"] != 0 {
            return Err(format!("the command fails: {done}").into());
        }
        step(&mut at);
        let wish = json!({"grace": "5s"});
        self.ask(Method::POST, &format!("{path}/stop"), &wish)
            .await?;
        while self.ask(Method::GET, &path, &Value::Null).await?["state"] != "stopped" {
            sleep(LOOK).await;
        }
        step(&mut at);
        self.delete(&session).await?;
        step(&mut at);
        Ok(times)
    }

    /// Makes a session, and waits for the prompt of its terminal.
    pub async fn open(&self) -> Result<(String, Viewer)> {
        let wish = json!({"image": self.image});
        let made = self.ask(Method::POST, "/api/v1/sessions?wait=running", &wish);
        let made = made.await?;
        let session = made["id"]
            .as_str()
            .ok_or("a session without an id")?
            .to_owned();
        if made["state"] != "running" {
            return Err(format!("the session does not run: {made}").into());
        }
        let address = self.client.address;
        let url = format!("ws://{address}/api/v1/sessions/{session}/terminals/main/attach");
        let mut request = url.into_client_request()?;
        let token = format!("Bearer {}", self.client.token).parse()?;
        request.headers_mut().insert("authorization", token);
        let stream = TcpStream::connect(address).await?;
        let (mut viewer, _) = client_async(request, stream).await?;
        let prompt = async {
            let mut seen = Vec::new();
            while let Some(message) = viewer.next().await {
                if let Message::Binary(bytes) = message? {
                    seen.extend_from_slice(&bytes);
                    if seen.windows(2).any(|it| it == b"# ") {
                        return Ok(());
                    }
                }
            }
            Err("the terminal has ended".into())
        };
        let prompted: Result<Result<()>> = within("the prompt", STEP, prompt).await;
        prompted??;
        Ok((session, viewer))
    }

    /// Deletes a session.
    pub async fn delete(&self, session: &str) -> Result<()> {
        let path = format!("/api/v1/sessions/{session}");
        self.ask(Method::DELETE, &path, &Value::Null)
            .await
            .map(drop)
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.client.ask(method, path, body).await
    }

    /// Ends it.
    pub async fn end(mut self) -> Result<()> {
        let pid = self.child.id().ok_or("the server has ended")?;
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
        within("the server's end", STEP, self.child.wait()).await??;
        Ok(())
    }
}

/// The archive of the tests' images.
fn archive() -> Result<std::path::PathBuf> {
    let directory = std::env::var("SHELLPORT_TEST_DIR")?;
    for entry in std::fs::read_dir(directory)?.flatten() {
        let archive = entry.path().join("images.tar");
        if archive.exists() {
            return Ok(archive);
        }
    }
    Err("the tests' images are not made".into())
}
