//! `shellport ps @SESSION` and `kill @SESSION`: what runs in a session.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::HumanBytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sessions::running;
use super::{RemoteError, ServerPlace};
use crate::cli::container::CommandError;
use crate::cli::{say, say_json, say_table};

/// A process, as far as it is shown.
#[derive(Deserialize)]
struct Process {
    pid: i32,
    parent: Option<i32>,
    uid: u32,
    state: String,
    name: String,
    argv: Vec<String>,
    cpu_ms: u64,
    memory: u64,
    ports: Vec<Port>,
}

#[derive(Deserialize)]
struct Port {
    port: u16,
}

/// Lists the processes of a session, each below its parent.
///
/// # Errors
/// When there is no such session, or it does not run.
pub async fn processes(
    place: &ServerPlace,
    word: &str,
    quiet: bool,
    json: bool,
) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    let session = running(&client, word).await?;
    let path = ["sessions", &session.id, "processes"];
    if json {
        let all: Vec<Value> = client.all(&path, &[]).await?;
        say_json(&all);
        return Ok(ExitCode::SUCCESS);
    }
    let all: Vec<Process> = client.all(&path, &[]).await?;
    let tree = tree(&all);
    if quiet {
        for (process, _) in tree {
            say(&process.pid.to_string());
        }
    } else {
        let rows: Vec<_> = tree.into_iter().map(row).collect();
        say_table(
            ["PID", "UID", "STATE", "CPU", "MEMORY", "PORTS", "COMMAND"],
            &rows,
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Each with how deep it is below others.
fn tree(all: &[Process]) -> Vec<(&Process, usize)> {
    let mut below: BTreeMap<Option<i32>, Vec<&Process>> = BTreeMap::new();
    let is_there = |pid: i32| all.iter().any(|it| it.pid == pid);
    for process in all {
        let parent = process.parent.filter(|parent| is_there(*parent));
        below.entry(parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut next: Vec<_> = roots(below.remove(&None), 0);
    while let Some((process, depth)) = next.pop() {
        found.push((process, depth));
        next.extend(roots(below.remove(&Some(process.pid)), depth + 1));
    }
    found
}

fn roots(processes: Option<Vec<&Process>>, depth: usize) -> Vec<(&Process, usize)> {
    let processes = processes.unwrap_or_default().into_iter().rev();
    processes.map(|process| (process, depth)).collect()
}

fn row((process, depth): (&Process, usize)) -> [String; 7] {
    let command = if process.argv.is_empty() {
        format!("[{}]", process.name)
    } else {
        process.argv.join(" ")
    };
    let command: String = command.chars().take(60).collect();
    let ports: Vec<_> = process.ports.iter().map(|it| it.port.to_string()).collect();
    [
        process.pid.to_string(),
        process.uid.to_string(),
        process.state.clone(),
        format!(
            "{:.1} s",
            Duration::from_millis(process.cpu_ms).as_secs_f64()
        ),
        HumanBytes(process.memory).to_string(),
        ports.join(","),
        format!("{}{command}", "  ".repeat(depth)),
    ]
}

/// Sends a signal to everything that runs in sessions.
///
/// # Errors
/// When there is no such session, or it does not run.
pub async fn kill(
    place: &ServerPlace,
    words: &[String],
    signal: &str,
) -> Result<ExitCode, CommandError> {
    let client = place.client()?;
    for word in words {
        let session = running(&client, word).await?;
        let all: Vec<Process> = client
            .all(&["sessions", &session.id, "processes"], &[])
            .await?;
        for (process, _) in tree(&all).into_iter().filter(|(_, depth)| *depth == 0) {
            let pid = process.pid.to_string();
            let request = client.post(&["sessions", &session.id, "processes", &pid, "signal"]);
            let sent = client
                .send(request.json(&json!({"signal": signal, "tree": true})))
                .await;
            match sent {
                // It has ended meanwhile.
                Ok(_) | Err(RemoteError::Problem { status: 404, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        say(&format!("@{word}"));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: Option<i32>) -> Process {
        let value = json!({
            "pid": pid, "parent": parent, "uid": 0, "state": "sleeping", "name": "x", "argv": ["x"],
            "cpu_ms": 0, "memory": 0, "ports": [],
        });
        serde_json::from_value(value).expect("it is one")
    }

    #[test]
    fn each_is_below_its_parent() {
        let all = [
            (7, Some(3)),
            (2, None),
            (3, Some(2)),
            (4, Some(99)),
            (5, Some(2)),
        ];
        let all = all.map(|(pid, parent)| process(pid, parent));
        let tree: Vec<_> = tree(&all)
            .iter()
            .map(|(process, depth)| (process.pid, *depth))
            .collect();
        assert_eq!(tree, [(2, 0), (3, 1), (7, 2), (5, 1), (4, 0)]);
    }
}
