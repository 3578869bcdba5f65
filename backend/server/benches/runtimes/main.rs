//! A session's life on each runtime, measured: from the request to the prompt, a command, a stop, a
//! delete, and what an idle one costs in memory. `make bench` starts it beside the tests' engines;
//! docs/runtimes.md holds the figures.

#![expect(clippy::print_stdout, reason = "the table is the benchmark's purpose")]

#[path = "../common/server.rs"]
mod child;
mod engine;
#[path = "../common/http.rs"]
mod http;
mod memory;
mod server;
#[path = "../common/wait.rs"]
mod wait;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use self::engine::Engine;
use self::server::Server;
use self::wait::Result;

/// The variable with the address of the tests' Docker Engine.
const DOCKER: &str = "SHELLPORT_TEST_DOCKER";

/// The image of sessions, where it is not said otherwise.
const IMAGE: &str = "shellport-test/busybox:1";

/// Each round makes a session on every runtime, one after the other; the median counts.
const ROUNDS: usize = 20;

/// Idle sessions whose memory is measured.
const IDLE: usize = 10;

/// Until what a new sandbox has woken sleeps again.
const SETTLE: Duration = Duration::from_secs(2);

/// Between two sessions.
const PAUSE: Duration = Duration::from_millis(500);

/// What is measured of a session, in the order of the table.
const STEPS: [&str; 4] = ["create_to_prompt_ms", "exec_ms", "stop_ms", "delete_ms"];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(bench()),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench() -> Result<()> {
    let directory = tempfile::Builder::new()
        .prefix("shellport-bench-")
        .tempdir()?;
    let mut subjects = Vec::new();
    for (name, flags, image) in runtimes() {
        let server = Server::start(&name, &flags, image, directory.path()).await?;
        subjects.push(Subject::Server(Box::new(server)));
    }
    if let Ok(address) = std::env::var(DOCKER) {
        subjects.insert(0, Subject::Engine(Engine::new(&address, IMAGE)?));
    }
    let mut times = vec![vec![Vec::new(); STEPS.len()]; subjects.len()];
    for round in 0..=ROUNDS {
        for (subject, times) in subjects.iter().zip(&mut times) {
            let life = subject.live().await?;
            // Its network is still being removed, which would hold up the next one's.
            sleep(PAUSE).await;
            // The first one is dearer: an image is made ready, a network is made.
            if round > 0 {
                times
                    .iter_mut()
                    .zip(life)
                    .for_each(|(all, one)| all.push(one));
            }
        }
    }
    let mut rows = Vec::new();
    for (subject, times) in subjects.iter().zip(times) {
        let before = memory::in_use()?;
        let mut sessions = Vec::new();
        for _ in 0..IDLE {
            sessions.push(subject.open().await?);
        }
        sleep(SETTLE).await;
        let used = memory::in_use()?.saturating_sub(before);
        for session in sessions {
            subject.delete(&session).await?;
        }
        let medians: Vec<_> = times.into_iter().map(median).collect();
        #[expect(clippy::cast_precision_loss, reason = "megabytes")]
        let memory = used as f64 / IDLE as f64 / f64::from(1 << 20);
        rows.push((subject.name().to_owned(), medians, memory));
    }
    report(
        &rows,
        Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../target/bench/runtimes.json"
        )),
    )?;
    for subject in subjects {
        if let Subject::Server(server) = subject {
            server.end().await?;
        }
    }
    Ok(())
}

/// What is measured.
enum Subject {
    /// Docker Engine by itself.
    Engine(Engine),
    /// A server of ours.
    Server(Box<Server>),
}

impl Subject {
    fn name(&self) -> &str {
        match self {
            Self::Engine(_) => "Docker Engine by itself",
            Self::Server(server) => server.name(),
        }
    }

    async fn live(&self) -> Result<Vec<f64>> {
        match self {
            Self::Engine(engine) => engine.live().await,
            Self::Server(server) => server.live().await,
        }
    }

    /// Something that idles.
    async fn open(&self) -> Result<String> {
        match self {
            Self::Engine(engine) => engine.open().await,
            Self::Server(server) => server.open().await.map(|(session, _)| session),
        }
    }

    async fn delete(&self, idle: &str) -> Result<()> {
        match self {
            Self::Engine(engine) => engine.delete(idle).await,
            Self::Server(server) => server.delete(idle).await,
        }
    }
}

/// Those that are there, with the flags of a server that uses them, and an image.
fn runtimes() -> Vec<(String, Vec<String>, &'static str)> {
    let mut all = Vec::new();
    for (name, variable) in [("docker", DOCKER), ("podman", "SHELLPORT_TEST_PODMAN")] {
        match std::env::var(variable) {
            Ok(address) => {
                all.push((name.to_owned(), vec![format!("--engine={address}")], IMAGE));
            }
            Err(_) => println!("skip: no {name} ({variable} is not set)"),
        }
    }
    for name in ["embedded", "crun", "runc"] {
        let program = Path::new(env!("CARGO_BIN_EXE_shellport"));
        match shellport::oci::engine::Engine::find(name, program) {
            Ok(_) => all.push((
                name.to_owned(),
                vec!["--runtime=oci".to_owned(), format!("--oci-engine={name}")],
                IMAGE,
            )),
            Err(error) => println!("skip: {error}"),
        }
    }
    let flags = vec!["--runtime=oci".to_owned()];
    all.push(("embedded, image host".to_owned(), flags, "host"));
    all
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(rows: &[(String, Vec<f64>, f64)], file: &Path) -> Result<()> {
    println!("| runtime | create to prompt, ms | exec, ms | stop, ms | delete, ms | idle, MiB |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let mut all = Vec::new();
    for (name, medians, memory) in rows {
        let cells: Vec<_> = medians.iter().map(|it| format!("{it:.1}")).collect();
        println!("| {name} | {} | {memory:.1} |", cells.join(" | "));
        let mut row = json!({"runtime": name, "idle_mib": memory});
        for (step, median) in STEPS.iter().zip(medians) {
            row[step] = json!(median);
        }
        all.push(row);
    }
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(file, serde_json::to_vec_pretty(&all)?)?;
    Ok(())
}
