//! Many connections at once, until all have a prompt.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::super::connection::{Terminal, beside, end, prompt};
use super::super::statistics::median;
use super::super::wait::{Result, STEP, within};
use super::super::ways::{Place, Way};
use super::{Bench, by_way, of_raw, ratio};

/// How many.
const CONNECTIONS: usize = 50;

/// One for each connection.
type Places = [Arc<Place>; CONNECTIONS];

/// Measures it.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Connecting at once",
        "50 connections, each to a shell of its own, at once: until the last of them has its prompt.",
    );
    let ways = bench.light_ways();
    let all = bench.in_turn_at(ways, prepare, measure).await;
    let raw = of_raw(&all, median);
    let mut rows = Vec::new();
    for it in &all {
        let millis = median(&it.rounds);
        let name = it.way.name().to_owned();
        rows.push(vec![name, format!("{millis:.0}"), ratio(millis, raw)]);
    }
    let columns = ["50 at once", "ms", "of raw"];
    bench.report.table(&columns, &rows);
    Ok(by_way(
        &all,
        |rounds| json!({"connections": CONNECTIONS, "median_ms": median(rounds), "rounds_ms": rounds}),
    ))
}

async fn prepare(way: &Arc<dyn Way>) -> Result<Places> {
    let mut places = Vec::new();
    for _ in 0..CONNECTIONS {
        places.push(Arc::new(way.place().await?));
    }
    let places = places.try_into();
    Ok(places.map_err(|_| "too few places")?)
}

/// Milliseconds of all.
async fn measure(way: &Arc<dyn Way>, places: &Places) -> Result<f64> {
    let start = Instant::now();
    let connect = |place: &Arc<Place>| {
        let connecting = connect(Arc::clone(way), Arc::clone(place));
        beside(way.blocks(), connecting)
    };
    let connecting: Vec<_> = places.iter().map(connect).collect();
    let mut terminals = Vec::new();
    for it in connecting {
        terminals.push(within("the last prompt", STEP, it).await???);
    }
    let millis = start.elapsed().as_secs_f64() * 1e3;
    let ending: Vec<_> = terminals
        .into_iter()
        .map(|it| beside(way.blocks(), end(it)))
        .collect();
    for it in ending {
        within("the last end", STEP, it).await???;
    }
    Ok(millis)
}

async fn connect(way: Arc<dyn Way>, place: Arc<Place>) -> Result<Terminal> {
    let mut terminal = way.connect(&place).await?;
    prompt(&mut terminal).await?;
    Ok(terminal)
}
