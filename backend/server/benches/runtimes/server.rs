//! A server on one runtime.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use hyper::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::child;
use super::wait::{Result, STEP, within};

/// How often a session is looked at that is to stop.
const LOOK: Duration = Duration::from_millis(1);

/// A server, and what it is called in the table.
pub struct Server {
    name: String,
    image: &'static str,
    child: child::Server,
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
        Ok(Self {
            name: name.to_owned(),
            image,
            child: child::Server::start(&directory.join(name), flags).await?,
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
        let client = &self.child.client;
        let address = client.address;
        let url = format!("ws://{address}/api/v1/sessions/{session}/terminals/main/attach");
        let mut request = url.into_client_request()?;
        let token = format!("Bearer {}", client.token).parse()?;
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
        self.child.client.ask(method, path, body).await
    }

    /// Ends it.
    pub async fn end(mut self) -> Result<()> {
        self.child.end().await
    }
}
