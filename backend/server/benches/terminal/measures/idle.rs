//! The CPU time of terminals that idle and have a viewer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::connection::prompt;
use super::super::processes::Processes;
use super::super::statistics::number;
use super::super::wait::Result;
use super::super::ways::{RAW, Way};
use super::Bench;

/// Viewers, each with a terminal of its own.
const VIEWERS: usize = 50;

/// Until they are idle.
const SETTLE: Duration = Duration::from_secs(2);

/// How long they are watched.
const WATCH: Duration = Duration::from_secs(20);

/// Milliseconds a minute that a viewer may take of Shellport.
const TARGET: f64 = 10.0;

/// Measures all ways at the same time: they are idle.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Idle CPU",
        "50 terminals at a prompt, each with a viewer that is attached: the CPU time of the \
         serving side in 20 seconds, as milliseconds in a minute for each viewer.",
    );
    let mut readers = JoinSet::new();
    let mut watched = Vec::new();
    let ways = bench.light_ways().into_iter();
    for way in ways.filter(|way| way.key() != RAW) {
        match attach(&way, &mut readers).await {
            Ok(processes) => watched.push((way, processes)),
            Err(error) => bench.report.fault(&*way, error),
        }
    }
    sleep(SETTLE).await;
    let mut before = Vec::new();
    for (_, processes) in &watched {
        before.push(processes.cpu()?);
    }
    sleep(WATCH).await;
    let (mut rows, mut figures, mut own) = (Vec::new(), Map::new(), Vec::new());
    for ((way, processes), before) in watched.iter().zip(&before) {
        let used: Duration = processes
            .cpu_since(before)?
            .into_iter()
            .map(|it| it.1)
            .sum();
        let millis = used.as_secs_f64() * 1e3 * 60.0 / WATCH.as_secs_f64() / number(VIEWERS);
        rows.push(vec![way.name().to_owned(), format!("{millis:.2}")]);
        figures.insert(way.key().to_owned(), json!(millis));
        if way.key().starts_with("shellport") {
            own.push(millis);
        }
    }
    if let Some(ended) = readers.try_join_next() {
        return Err(format!("an idle terminal has ended: {:?}", ended?).into());
    }
    let columns = ["idle, each viewer", "ms/min"];
    bench.report.table(&columns, &rows);
    if let Some(worst) = own.into_iter().max_by(f64::total_cmp) {
        let what = format!("less than {TARGET} ms/min of Shellport");
        let figure = format!("{worst:.2}");
        bench.report.target(&what, figure, worst < TARGET);
    }
    Ok(json!({"ms_per_minute": figures}))
}

/// Attaches the viewers of a way, which go on reading.
async fn attach(way: &Arc<dyn Way>, readers: &mut JoinSet<Result<()>>) -> Result<Processes> {
    for _ in 0..VIEWERS {
        let place = way.place().await?;
        let mut terminal = way.connect(&place).await?;
        prompt(&mut terminal).await?;
        readers.spawn(async move {
            while terminal.receive().await?.is_some() {}
            Ok(())
        });
    }
    way.serving().await
}
