//! `shellport stats`: what containers use.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::HumanBytes;
use serde_json::json;

use super::{CommandError, Place, name};
use crate::cli::remote::{self, ServerPlace, sessions_of};
use crate::cli::{CLEAR, is_heard, say_json, say_table};
use crate::oci::cgroup::{Cgroup, Usage};
use crate::oci::container::Container;
use crate::oci::directory::State;

/// How long CPU time is measured.
const INTERVAL: Duration = Duration::from_secs(1);

/// Show what containers or sessions use.
#[derive(Args, Debug)]
pub struct StatsCommand {
    #[command(flatten)]
    place: Place,

    /// Once, and not until Ctrl-C.
    #[arg(long)]
    no_stream: bool,

    /// Print them as JSON, a list a second.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerPlace,

    /// The containers, or sessions (@NAME); all containers that run when absent.
    names: Vec<String>,
}

/// A container as it was a moment ago.
struct Seen {
    name: String,
    container: Container,
    /// None where nothing is counted.
    usage: Option<Usage>,
}

impl StatsCommand {
    /// Shows it.
    ///
    /// # Errors
    /// When there is no such container, or it does not run.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(sessions) = sessions_of(&self.names)? {
            return remote::stats(&self.server, &sessions, self.no_stream, self.json).await;
        }
        self.server.refuse()?;
        let mut before = self.look()?;
        let mut at = Instant::now();
        loop {
            std::thread::sleep(INTERVAL);
            let elapsed = at.elapsed();
            at = Instant::now();
            let now = self.look()?;
            let rows: Vec<_> = now
                .iter()
                .map(|it| (it, cpus(it, &before, elapsed)))
                .collect();
            if !self.no_stream && !self.json && !is_heard(CLEAR) {
                return Ok(ExitCode::SUCCESS);
            }
            if self.json {
                say_json(&rows.iter().map(described).collect::<Vec<_>>());
            } else {
                let rows: Vec<_> = rows.iter().map(row).collect();
                say_table(["NAME", "CPU", "MEMORY", "LIMIT", "PIDS"], &rows);
            }
            if self.no_stream || now.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            before = now;
        }
    }

    fn look(&self) -> Result<Vec<Seen>, CommandError> {
        let directories = if self.names.is_empty() {
            self.place.all()?
        } else {
            let found = self.names.iter().map(|name| self.place.find(name));
            found.collect::<Result<_, _>>()?
        };
        let mut seen = Vec::new();
        for directory in directories {
            let state = directory.state();
            if !matches!(state, Ok(State::Running)) {
                if self.names.is_empty() {
                    continue;
                }
                return Err(CommandError::Stopped(name(&directory)));
            }
            // It may be just going.
            let Ok(container) = directory.container() else {
                continue;
            };
            let cgroup = container.cgroup.as_ref();
            seen.push(Seen {
                name: name(&directory),
                usage: cgroup.map(|it| Cgroup::new(it).usage()),
                container,
            });
        }
        Ok(seen)
    }
}

/// CPUs' worth of time since `before`.
fn cpus(seen: &Seen, before: &[Seen], elapsed: Duration) -> Option<f64> {
    let now = seen.usage?.cpu;
    let earlier = before
        .iter()
        .find(|it| it.container.id == seen.container.id);
    let earlier = earlier.and_then(|it| it.usage).map_or(now, |it| it.cpu);
    let used = Duration::from_nanos(now.saturating_sub(earlier));
    Some(used.as_secs_f64() / elapsed.as_secs_f64())
}

fn described((seen, cpus): &(&Seen, Option<f64>)) -> serde_json::Value {
    json!({
        "name": seen.name,
        "cpus": cpus,
        "memory": seen.usage.map(|it| it.memory),
        "memory_limit": seen.container.limits.memory,
        "pids": seen.usage.map(|it| it.pids),
        "pids_limit": seen.container.limits.pids,
    })
}

fn row((seen, cpus): &(&Seen, Option<f64>)) -> [String; 5] {
    let told = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
    let limit = seen.container.limits.memory;
    [
        seen.name.clone(),
        told(cpus.map(|cpus| format!("{:.1} %", cpus * 100.0))),
        told(seen.usage.map(|it| HumanBytes(it.memory).to_string())),
        limit.map_or_else(|| "none".to_owned(), |it| HumanBytes(it).to_string()),
        told(seen.usage.map(|it| it.pids.to_string())),
    ]
}
