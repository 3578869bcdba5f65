//! How much memory processes have of their own.

use super::api::AGENT;
use super::http::Client;

/// The processes of a server and of the agent in a session.
pub struct Memory {
    server: u32,
    session: String,
}

/// Bytes of memory that no file is behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// The server's.
    pub server: u64,
    /// The agent's.
    pub agent: u64,
}

impl Memory {
    /// Those of the server with this process id, and of a session of it.
    pub fn new(server: u32, session: &str) -> Self {
        Self {
            server,
            session: session.to_owned(),
        }
    }

    /// What they have now.
    pub async fn used(&self, client: &Client) -> Used {
        let server = std::fs::read_to_string(format!("/proc/{}/status", self.server)).unwrap();
        let line = format!("cat /proc/{AGENT}/status");
        let agent = client.output(&self.session, &line).await;
        Used {
            server: anonymous(&server),
            agent: anonymous(&agent),
        }
    }
}

impl Used {
    /// The larger one of each.
    pub fn most(self, other: Self) -> Self {
        Self {
            server: self.server.max(other.server),
            agent: self.agent.max(other.agent),
        }
    }

    /// How much more this is than it was `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            agent: self.agent.saturating_sub(before.agent),
        }
    }
}

fn anonymous(status: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .unwrap();
    kib.parse::<u64>().unwrap() * 1024
}
