//! The API as the tests use it most: sessions, execs and terminals.

use std::time::Duration;

use serde_json::{Value, json};

use super::http::Client;
use super::wait::{LONG, until};

/// The image of a session whose image does not matter.
pub const IMAGE: &str = "shellport-test/busybox:1";

/// In a line of shell: the process id of the agent, whose child is the exec's keeper, whose child the shell
/// is.
pub const AGENT: &str = r"$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status)";

/// How a command went.
#[derive(Debug)]
pub struct Outcome {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// `{"code","signal","reason"}`.
    pub exit: Value,
    /// Whether there was more output.
    pub truncated: bool,
}

impl Outcome {
    /// The standard output of a command that must not fail.
    pub fn stdout_of_success(self) -> String {
        assert_eq!(self.exit["code"], 0, "{self:?}");
        self.stdout
    }
}

impl Client {
    /// The address of a session, or of something in it.
    pub fn path(session: &str, rest: &str) -> String {
        format!("/api/v1/sessions/{session}{rest}")
    }

    /// Creates a session and waits until it runs; returns it.
    pub async fn create(&self, mut wish: Value) -> Value {
        if wish["image"].is_null() {
            wish["image"] = IMAGE.into();
        }
        let answer = self.post("/api/v1/sessions?wait=running", &wish).await;
        let session = answer.expect(201);
        assert_eq!(session["state"], "running", "{session}");
        session
    }

    /// The id of a new session with nothing special.
    pub async fn session(&self) -> String {
        id(&self.create(json!({})).await)
    }

    /// A session as it is now.
    pub async fn look(&self, session: &str) -> Value {
        self.get(&Self::path(session, "")).await.expect(200)
    }

    /// Waits until a session is in `state`; returns it.
    pub async fn wait_for(&self, session: &str, state: &str, limit: Duration) -> Value {
        until(
            &format!("{session} becomes {state}"),
            limit,
            async || match self.look(session).await {
                view if view["state"] == state => Some(view),
                _ => None,
            },
        )
        .await
    }

    /// Stops a session and waits for it.
    pub async fn stop(&self, session: &str, grace: &str) -> Value {
        let wish = json!({"grace": grace});
        let answer = self.post(&Self::path(session, "/stop"), &wish).await;
        answer.expect(202);
        self.wait_for(session, "stopped", LONG).await
    }

    /// Starts a session again and waits for it.
    pub async fn start(&self, session: &str) -> Value {
        let answer = self.post(&Self::path(session, "/start"), &json!({})).await;
        answer.expect(202);
        self.wait_for(session, "running", LONG).await
    }

    /// Deletes a session.
    pub async fn remove(&self, session: &str) {
        let answer = self.delete(&Self::path(session, "")).await;
        answer.expect(204);
    }

    /// The ids of all sessions.
    pub async fn sessions(&self) -> Vec<String> {
        let list = self.get("/api/v1/sessions?limit=200").await.expect(200);
        list["data"].as_array().unwrap().iter().map(id).collect()
    }

    /// Runs a command to its end.
    pub async fn exec(&self, session: &str, wish: Value) -> Outcome {
        let answer = self.post(&Self::path(session, "/execs"), &wish).await;
        let outcome = answer.expect(200);
        assert_eq!(outcome["encoding"], "utf-8", "{outcome}");
        assert!(!outcome["id"].as_str().unwrap().is_empty(), "{outcome}");
        Outcome {
            stdout: outcome["stdout"].as_str().unwrap().to_owned(),
            stderr: outcome["stderr"].as_str().unwrap().to_owned(),
            exit: outcome["exit"].clone(),
            truncated: outcome["truncated"].as_bool().unwrap(),
        }
    }

    /// Runs a line of shell.
    pub async fn shell(&self, session: &str, line: &str) -> Outcome {
        self.exec(session, json!({"shell": line})).await
    }

    /// The standard output of a line of shell that must not fail, without spaces around it.
    pub async fn output(&self, session: &str, line: &str) -> String {
        let outcome = self.shell(session, line).await;
        outcome.stdout_of_success().trim().to_owned()
    }

    /// Opens a terminal in which a line of shell runs, and returns its name. The line waits for a
    /// line of input first, so that a viewer that joins with [`BEGIN`] sees everything.
    pub async fn terminal(&self, session: &str, line: &str) -> String {
        self.terminal_with(session, line, json!({})).await
    }

    /// As [`Self::terminal`], with further wishes.
    pub async fn terminal_with(&self, session: &str, line: &str, mut wish: Value) -> String {
        let line = format!("stty -echo; echo ready; read -r go; {line}");
        wish["command"] = json!(["/bin/sh", "-c", line]);
        let terminals = Self::path(session, "/terminals");
        let terminal = self.post(&terminals, &wish).await.expect(201);
        let name = terminal["name"].as_str().unwrap().to_owned();
        let path = format!("{terminals}/{name}");
        until("the line begins", LONG, async || {
            let terminal = self.get(&path).await.expect(200);
            (terminal["offset"] == BEGIN_OFFSET).then_some(())
        })
        .await;
        name
    }
}

/// How many bytes come before those of the line of [`Client::terminal`].
pub const BEGIN_OFFSET: u64 = "ready\r\n".len() as u64;

/// The query with which a viewer sees all that the line of [`Client::terminal`] puts out.
pub const BEGIN: &str = "since=7";

/// The id of a session.
pub fn id(session: &Value) -> String {
    session["id"].as_str().unwrap().to_owned()
}
