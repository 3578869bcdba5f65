//! A session, the terminals in it, and its agent's process.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::super::http::Client;
use super::super::super::processes::{find, parent};
use super::super::super::wait::{Result, STEP, within};
use super::super::super::workload::files;
use super::{CPUS, DIRECTORY, IMAGE, MEMORY};

/// How many terminals are opened in one session; an agent has at most 32.
const TERMINALS: usize = 30;

/// Bytes of a file that go into one request. Each may take six in its JSON.
const PIECE: usize = 128 * 1024;

/// How often a process is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// A session that runs.
pub struct Session {
    /// The agent's process on this machine.
    pub agent: u32,
    path: String,
    terminals: usize,
}

impl Session {
    /// Makes one.
    pub async fn create(client: &Client) -> Result<Self> {
        let wish = json!({"image": IMAGE, "cpus": CPUS, "memory": MEMORY, "network": "none"});
        let path = "/api/v1/sessions?wait=running";
        let session = client.ask(Method::POST, path, &wish).await?;
        let id = session["id"].as_str().ok_or("a session without an id")?;
        if session["state"] != "running" {
            return Err(format!("the session does not run: {session}").into());
        }
        let path = format!("/api/v1/sessions/{id}");
        Ok(Self {
            agent: agent(client, &path, id).await?,
            path,
            terminals: 0,
        })
    }

    /// Whether there can be no more terminals.
    pub fn is_full(&self) -> bool {
        self.terminals >= TERMINALS
    }

    /// Opens a terminal with a shell; returns the path to attach to it, which starts the shell again
    /// when it has ended.
    pub async fn open_terminal(&mut self, client: &Client) -> Result<String> {
        self.terminals += 1;
        let name = format!("t{}", self.terminals);
        let path = format!("{}/terminals", self.path);
        let wish = json!({"name": name, "command": ["sh"]});
        client.ask(Method::POST, &path, &wish).await?;
        Ok(format!("{path}/{name}/attach?restart=true"))
    }

    /// Puts all files into its sandbox.
    pub async fn upload(&self, client: &Client) -> Result<()> {
        let path = format!("{}/execs", self.path);
        for (file, contents) in files() {
            let mut rest = std::str::from_utf8(contents)?;
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.floor_char_boundary(PIECE));
                let line = format!("exec cat >>{DIRECTORY}/{file}");
                let wish = json!({"shell": line, "stdin": piece});
                let done = client.ask(Method::POST, &path, &wish).await?;
                if done["exit"]["code"] != 0 {
                    return Err(format!("{file} cannot be written: {done}").into());
                }
                rest = behind;
            }
        }
        Ok(())
    }

    /// Ends and removes it.
    pub async fn delete(&self, client: &Client) -> Result<()> {
        let delete = client.ask(Method::DELETE, &self.path, &Value::Null);
        delete.await.map(drop)
    }
}

/// The agent of a session: the parent of the keeper of what is executed in it, whatever made the sandbox.
async fn agent(client: &Client, session: &str, id: &str) -> Result<u32> {
    let path = format!("{session}/execs");
    let wish = json!({"argv": ["sh", "-c", "sleep 60; exit 0", id]});
    let is_it = |name: &str, arguments: &[&str]| name == "sh" && arguments.contains(&id);
    let look = async {
        loop {
            if let Some(pid) = find(is_it).first() {
                return parent(parent(*pid)?);
            }
            sleep(LOOK).await;
        }
    };
    // It is ended when nobody listens to it any more.
    let exec = client.ask(Method::POST, &path, &wish);
    tokio::select! {
        found = within("the agent's process", STEP, look) => found?,
        ended = exec => Err(format!("what is executed ends: {:?}", ended?).into()),
    }
}
