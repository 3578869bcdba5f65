//! The way of a byte through a terminal, measured: a raw PTY, the engine's own attach, and Shellport,
//! in turn, in one run. `make bench` starts it beside the tests' engine; docs/performance.md tells
//! what is measured and holds the figures.
//!
//! - [`workload`]: what is put out, and the check that all of it has come.
//! - [`measure`]: the two measurements, for whatever is a [`measure::Connection`].
//! - [`raw`], [`engine`], [`shellport`]: the three ways.
//! - [`cpu`]: what a way costs. [`report`]: the table and the file.

#![expect(clippy::print_stdout, reason = "the table is the benchmark's purpose")]

mod cpu;
mod engine;
#[path = "../common/http.rs"]
mod http;
mod measure;
mod raw;
mod report;
mod shellport;
#[path = "../common/wait.rs"]
mod wait;
mod workload;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use self::engine::Engine;
use self::measure::{Echo, Flood, echo, flood};
use self::raw::Raw;
use self::report::{Report, Way};
use self::shellport::Shellport;
use self::wait::{Result, within};
use self::workload::WORKLOADS;

/// Each round measures every way once; the median of the rounds counts.
const ROUNDS: usize = 5;

/// Keystrokes of each way in each round.
const KEYSTROKES: usize = 1000;

/// All of it. A round takes about 20 s.
const LIMIT: Duration = Duration::from_mins(15);

/// Between two measurements: what the last one woke goes to sleep.
const PAUSE: Duration = Duration::from_millis(200);

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

/// Prepares, measures, and clears away, whatever happened in between.
async fn bench() -> Result<()> {
    let directory = tempfile::Builder::new()
        .prefix("shellport-bench-")
        .tempdir()?;
    for workload in &*WORKLOADS {
        std::fs::write(directory.path().join(workload.file), &workload.block)?;
    }
    let mut engine = None;
    let mut shellport = None;
    let result = tokio::select! {
        result = within("the benchmark", LIMIT, async {
            let Ok(address) = std::env::var("SHELLPORT_TEST_DOCKER") else {
                println!("skip: no engine (SHELLPORT_TEST_DOCKER is not set): only the raw PTY");
                return measure(directory.path(), None).await;
            };
            let engine = engine.insert(Engine::new(&address).await?);
            let data_dir = directory.path().join("data");
            let shellport = shellport.insert(Shellport::start(&address, &data_dir).await?);
            measure(directory.path(), Some((engine, shellport))).await
        }) => result.flatten(),
        () = interrupted() => Err("interrupted".into()),
    };
    if let Some(shellport) = shellport {
        if result.is_err() {
            println!("{}", shellport.log());
        }
        shellport.clear(engine.as_ref()).await;
    }
    if let Some(engine) = engine {
        engine.clear().await;
    }
    result
}

async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn measure(
    directory: &Path,
    mut others: Option<(&mut Engine, &mut Shellport)>,
) -> Result<()> {
    let raw_flood = Raw::start(&workload::flood_script(directory))?;
    let raw_echo = Raw::start(workload::ECHO_SCRIPT)?;
    raw_flood.ready().await?;
    raw_echo.ready().await?;
    let mut report = Report::new();
    if let Some((engine, shellport)) = &mut others {
        engine.open(&*WORKLOADS).await?;
        shellport.open(engine, &*WORKLOADS).await?;
        report.engine = Some(engine.version.clone());
    }

    // Once before: it warms up, and compares each byte.
    for round in 0..=rounds() {
        let warm_up = round == 0;
        for workload in &*WORKLOADS {
            sleep(PAUSE).await;
            let done: Flood = raw_flood.flood(workload, warm_up).await?;
            report.flood(round, workload, Way::Raw, done);
            if let Some((engine, shellport)) = &mut others {
                sleep(PAUSE).await;
                let (connection, cpu) = engine.flood()?;
                let done = flood(connection, cpu, workload, warm_up).await?;
                report.flood(round, workload, Way::Engine, done);
                sleep(PAUSE).await;
                let (connection, cpu) = shellport.flood()?;
                let done = flood(connection, cpu, workload, warm_up).await?;
                report.flood(round, workload, Way::Shellport, done);
            }
        }
        sleep(PAUSE).await;
        let done: Echo = raw_echo.echo(KEYSTROKES).await?;
        report.echo(round, Way::Raw, done);
        if let Some((engine, shellport)) = &mut others {
            sleep(PAUSE).await;
            let done = echo(engine.echo()?, KEYSTROKES).await?;
            report.echo(round, Way::Engine, done);
            sleep(PAUSE).await;
            let done = echo(shellport.echo()?, KEYSTROKES).await?;
            report.echo(round, Way::Shellport, done);
        }
    }
    report.print();
    report.save()
}

/// Fewer rounds, with this variable, for a quick look.
fn rounds() -> usize {
    let wish = std::env::var("SHELLPORT_BENCH_ROUNDS").ok();
    wish.and_then(|text| text.parse().ok())
        .unwrap_or(ROUNDS)
        .max(1)
}
