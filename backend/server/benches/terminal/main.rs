//! The ways to a terminal, compared: a raw PTY, the engine's own, Shellport on each runtime, and
//! other servers; in turn, in one run. `make bench` starts it beside the tests' engine;
//! docs/performance.md tells what is measured and holds the figures.
//!
//! - [`ways`]: a file for each way to a terminal. [`connection`]: what they have in common.
//! - [`measures`]: a file for each measurement.
//! - [`workload`]: what is put out, and the check that all of it has come.
//! - [`processes`]: what the serving side costs. [`report`]: the tables and the files.

#![expect(
    clippy::print_stdout,
    reason = "the tables are the benchmark's purpose"
)]

mod connection;
#[path = "../common/http.rs"]
mod http;
mod measures;
mod pace;
mod processes;
mod report;
mod selection;
#[path = "../common/server.rs"]
mod server;
mod statistics;
#[path = "../common/wait.rs"]
mod wait;
mod ways;
mod workload;

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use self::measures::Bench;
use self::report::Report;
use self::selection::Selection;
use self::wait::{Result, within};

/// The longest that all of it may take.
const LIMIT: Duration = Duration::from_mins(40);

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
    let selection = Selection::new(std::env::args().skip(1))?;
    let directory = tempfile::Builder::new()
        .prefix("shellport-bench-")
        .tempdir()?;
    workload::write_files(directory.path())?;
    let needs_ways = selection.measures.iter().any(|it| it.compares_ways());
    let keys = if needs_ways { &selection.ways[..] } else { &[] };
    let mut bench = Bench {
        report: Report::new()?,
        ways: Vec::new(),
        directory: directory.path().to_owned(),
        rounds: rounds(),
    };
    let result = tokio::select! {
        result = within("the benchmark", LIMIT, async {
            ways::start(&mut bench.ways, keys, directory.path()).await?;
            for measure in selection.measures {
                measure.run(&mut bench).await?;
            }
            Ok(())
        }) => result.flatten(),
        () = interrupted() => Err("interrupted".into()),
    };
    for way in &bench.ways {
        way.clear().await;
    }
    result.and_then(|()| bench.report.end())
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

/// How often each way is measured: three times, or as this variable says.
fn rounds() -> usize {
    let wish = std::env::var("SHELLPORT_BENCH_ROUNDS").ok();
    wish.and_then(|text| text.parse().ok()).unwrap_or(3).max(1)
}
