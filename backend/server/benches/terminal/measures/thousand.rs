//! A thousand idle sessions.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::processes::{Memory, Processes};
use super::super::statistics::{bytes, number};
use super::super::wait::Result;
use super::super::ways::{Shellport, Way};
use super::{Bench, sessions};

/// How many.
const SESSIONS: usize = 1000;

/// Until they are idle.
const SETTLE: Duration = Duration::from_secs(2);

/// How long they are watched.
const WATCH: Duration = Duration::from_secs(20);

/// Measures it.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "A thousand sessions",
        "1,000 sessions under process, made by 16 clients at once, that idle without a viewer. \
         CPU time while they idle is of 20 seconds, as milliseconds in a minute.",
    );
    let shellport = Shellport::fresh(&bench.directory, "thousand").await?;
    let done = measure(&shellport).await;
    shellport.clear().await;
    let done = done?;
    let columns = ["1,000 idle sessions", "figure"];
    let rows = done.iter().map(|(name, unit, figure)| {
        let name = format!("{name}, {unit}");
        vec![name, format!("{figure:.1}")]
    });
    bench.report.table(&columns, &rows.collect::<Vec<_>>());
    let figures = done
        .into_iter()
        .map(|(name, unit, figure)| (format!("{name}, {unit}"), json!(figure)));
    Ok(json!(figures.collect::<serde_json::Map<_, _>>()))
}

async fn measure(shellport: &Shellport) -> Result<Vec<(&'static str, &'static str, f64)>> {
    let (server, client) = (shellport.pid().await?, shellport.client().await);
    let empty = Memory::of(server)?;
    let start = Instant::now();
    let made = sessions::create(&client, SESSIONS).await?;
    let making = start.elapsed();
    sleep(SETTLE).await;
    let memory = Memory::of(server)?;
    let mut processes = Processes::default();
    processes.add("server", server)?;
    for pid in shellport.agents() {
        processes.add("agents", pid)?;
    }
    let everything = processes.memory()?;
    let before = processes.cpu()?;
    sleep(WATCH).await;
    let idle = processes.cpu_since(&before)?;
    let start = Instant::now();
    sessions::delete(&client, made).await?;
    let removing = start.elapsed();
    let mib = |count: u64| bytes(count) / 1024.0 / 1024.0;
    let growth = bytes(memory.private) - bytes(empty.private);
    let in_a_minute = |name: &str| {
        let used = idle.iter().find(|(it, _)| *it == name);
        let used = used.map_or(Duration::ZERO, |(_, time)| *time);
        used.as_secs_f64() * 1e3 * 60.0 / WATCH.as_secs_f64()
    };
    Ok(vec![
        ("made", "s", making.as_secs_f64()),
        ("removed", "s", removing.as_secs_f64()),
        ("server, private", "MiB", mib(memory.private)),
        (
            "server, private, for each",
            "KiB",
            growth / 1024.0 / number(SESSIONS),
        ),
        ("server and agents, PSS", "MiB", mib(everything.shared_out)),
        ("server, idle CPU", "ms/min", in_a_minute("server")),
        ("agents, idle CPU of all", "ms/min", in_a_minute("agents")),
    ])
}
