//! From connecting to the first byte of the shell's prompt.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::super::connection::{end, next};
use super::super::statistics::{median, percentile};
use super::super::wait::{Result, STEP, within};
use super::super::ways::{Place, Way};
use super::{Bench, by_way, of_raw, ratio};

/// Connections of each way in each round.
const CONNECTIONS: usize = 10;

/// How often a plain fork's time Shellport may take, where it has no engine.
const TARGET: f64 = 1.5;

/// Measures it.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Connecting",
        "From connecting to the first byte of the shell's prompt. For the raw PTY the shell is \
         forked; for Docker attach its container is started, for Docker exec the exec is created \
         and started; for Shellport the session is there and its shell is not, as when a new \
         session is first seen; for others a connection is a shell.",
    );
    let ways = bench.ways.clone();
    let all = bench.in_turn(ways, measure).await;
    let of = |rounds: &[Vec<f64>], percent| {
        let each = rounds.iter().map(|round| percentile(round, percent));
        median(&each.collect::<Vec<_>>())
    };
    let raw = of_raw(&all, |rounds| of(rounds, 50));
    let mut rows = Vec::new();
    for it in &all {
        let p50 = of(&it.rounds, 50);
        rows.push(vec![
            it.way.name().to_owned(),
            format!("{p50:.2}"),
            ratio(p50, raw),
            format!("{:.2}", of(&it.rounds, 90)),
        ]);
    }
    let columns = ["to the prompt", "p50 ms", "of raw", "p90 ms"];
    bench.report.table(&columns, &rows);
    if let Some(own) = all.iter().find(|it| it.way.key() == "shellport-process") {
        let times = of(&own.rounds, 50) / raw;
        let what = format!("at most {TARGET} of a plain fork under process");
        let met = times <= TARGET;
        bench.report.target(&what, format!("{times:.2}"), met);
    }
    Ok(by_way(
        &all,
        |rounds| json!({"p50_ms": of(rounds, 50), "p90_ms": of(rounds, 90)}),
    ))
}

async fn measure(way: &Arc<dyn Way>, place: &Place) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..CONNECTIONS {
        let start = Instant::now();
        let mut terminal = way.connect(place).await?;
        within("the prompt", STEP, next(&mut terminal)).await??;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        end(terminal).await?;
    }
    Ok(times)
}
