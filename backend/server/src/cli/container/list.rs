//! `shellport ps`: the containers there are.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{CommandError, Place, name};
use crate::cli::remote::{self, ServerPlace};
use crate::cli::{say, say_json, say_table};
use crate::oci::container::{Container, Network};
use crate::oci::directory::{Directory, State};

/// List containers, or what runs in a session of a server.
#[derive(Args, Debug)]
pub struct ListCommand {
    #[command(flatten)]
    place: Place,

    /// Those that have ended as well.
    #[arg(long, short)]
    all: bool,

    /// Only their names.
    #[arg(long, short)]
    quiet: bool,

    /// Print them as JSON.
    #[arg(long, conflicts_with = "quiet")]
    json: bool,

    #[command(flatten)]
    server: ServerPlace,

    /// A session (@NAME), whose processes are listed.
    #[arg(conflicts_with = "all")]
    session: Option<String>,
}

impl ListCommand {
    /// Lists them.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(text) = &self.session {
            return remote::processes(&self.server, remote::word(text)?, self.quiet, self.json)
                .await;
        }
        self.server.refuse()?;
        // One that goes meanwhile is none.
        let look = |directory: Directory| {
            let state = directory.state().ok()?;
            Some((name(&directory), directory.container().ok()?, state))
        };
        let mut found: Vec<_> = self.place.all()?.into_iter().filter_map(look).collect();
        found.retain(|(_, _, state)| self.all || *state == State::Running);
        if self.json {
            say_json(&found.iter().map(described).collect::<Vec<_>>());
        } else if self.quiet {
            for (name, _, _) in &found {
                say(name);
            }
        } else {
            let rows: Vec<_> = found.iter().map(row).collect();
            say_table(["NAME", "IMAGE", "COMMAND", "STATUS", "PORTS"], &rows);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn described((name, container, state): &(String, Container, State)) -> serde_json::Value {
    let (state, exit) = match state {
        State::Running => ("running", None),
        State::Ended(ended) => ("exited", Some(ended)),
        State::Lost => ("lost", None),
    };
    json!({
        "name": name,
        "image": container.image,
        "command": command(container),
        "state": state,
        "exit": exit,
        "created": container.created,
        "network": container.network,
        "engine": container.engine,
    })
}

fn row((name, container, state): &(String, Container, State)) -> [String; 5] {
    let ports = match &container.network {
        Network::Bridge { ports } => ports.as_slice(),
        _ => &[],
    };
    let ports = ports.iter().map(|port| {
        let address = port.address.map(|it| format!("{it}:")).unwrap_or_default();
        format!(
            "{address}{}->{}/{}",
            port.host, port.container, port.protocol
        )
    });
    let status = match state {
        State::Running => format!("running, {}", ago(container.created)),
        State::Ended(ended) => {
            let code = ended.exit.shell_code();
            let code = code.map_or_else(|| "?".to_owned(), |code| code.to_string());
            format!("exited ({code}), {} ago", ago(ended.at))
        }
        State::Lost => "lost".to_owned(),
    };
    [
        name.clone(),
        container.image.clone(),
        command(container).join(" ").chars().take(32).collect(),
        status,
        ports.collect::<Vec<_>>().join(", "),
    ]
}

/// Without what is ours.
fn command(container: &Container) -> &[String] {
    let argv = &container.program.argv;
    let own = argv.iter().position(|it| it == "--").map_or(0, |at| at + 1);
    &argv[own..]
}

/// How long ago something was, in the largest unit.
pub fn ago(at: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(at).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
