//! Bytes that a program put out just before it ended, and that never came.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::connection::{Terminal, beside, prompt};
use super::super::pace::Pace;
use super::super::statistics::number;
use super::super::wait::{Result, STEP, within};
use super::super::ways::{Place, Way};
use super::super::workload::{LAST_PIECE, LAST_WORDS, READY};
use super::Bench;

/// How often a program ends, for each kind of client.
const RUNS: usize = 200;

/// As many at once.
const LANES: usize = 8;

/// Bytes in a second that a slow client takes.
const SLOW: f64 = 2e6;

/// What came of the runs of one kind of client.
#[derive(Default)]
struct Losses {
    /// In how many something was missing or different.
    runs: usize,
    /// Bytes that were missing, in all of them.
    bytes: usize,
}

/// Measures it.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Bytes lost at the end",
        "200 programs that put out 256 KiB and end, read by a client that takes all it gets, and \
         200 read by one that takes 2 MB/s: in how many runs something was missing when the \
         connection said that it was over, and how much in all of them together.",
    );
    let (mut rows, mut figures) = (Vec::new(), Map::new());
    for way in bench.light_ways() {
        match measure(&way).await {
            Ok([normal, slow]) => {
                let mut row = vec![way.name().to_owned()];
                for it in [&normal, &slow] {
                    row.push(format!("{} of {RUNS}", it.runs));
                    row.push(format!("{:.0}", number(it.bytes) / 1024.0));
                }
                rows.push(row);
                if normal.runs + slow.runs > 0 && !way.is_peer() {
                    bench.report.fault(&*way, "bytes were lost");
                }
                let json = |it: &Losses| json!({"runs": it.runs, "bytes": it.bytes});
                let both = json!({"normal": json(&normal), "slow": json(&slow)});
                figures.insert(way.key().to_owned(), both);
            }
            Err(error) => bench.report.fault(&*way, error),
        }
    }
    let columns = ["lost at the end", "runs", "KiB", "runs, slow client", "KiB"];
    bench.report.table(&columns, &rows);
    Ok(figures.into())
}

async fn measure(way: &Arc<dyn Way>) -> Result<[Losses; 2]> {
    let mut places = Vec::new();
    for _ in 0..LANES {
        places.push(Arc::new(way.place().await?));
    }
    Ok([
        all(way, &places, f64::INFINITY).await?,
        all(way, &places, SLOW).await?,
    ])
}

async fn all(way: &Arc<dyn Way>, places: &[Arc<Place>], rate: f64) -> Result<Losses> {
    let run_lane = |place: &Arc<Place>| {
        let lane = lane(Arc::clone(way), Arc::clone(place), rate);
        beside(way.blocks(), lane)
    };
    let lanes: Vec<_> = places.iter().map(run_lane).collect();
    let mut sum = Losses::default();
    for lane in lanes {
        let losses = within("the runs", STEP, lane).await???;
        sum.runs += losses.runs;
        sum.bytes += losses.bytes;
    }
    Ok(sum)
}

/// One run after another.
async fn lane(way: Arc<dyn Way>, place: Arc<Place>, rate: f64) -> Result<Losses> {
    let mut losses = Losses::default();
    let expected = &LAST_PIECE.rendered;
    for _ in 0..RUNS / LANES {
        let mut terminal = way.connect(&place).await?;
        prompt(&mut terminal).await?;
        let line = format!("exec sh {}/{LAST_WORDS}\n", way.directory());
        terminal.send(line.as_bytes()).await?;
        let came = within("the end", STEP, last_words(&mut terminal, rate)).await??;
        if came != *expected {
            losses.runs += 1;
            losses.bytes += expected.len().saturating_sub(came.len());
        }
    }
    Ok(losses)
}

/// Everything from the start of the program to the end.
async fn last_words(terminal: &mut Terminal, rate: f64) -> Result<Vec<u8>> {
    let mut pace = Pace::new(rate);
    let mut came = Vec::new();
    while let Some(bytes) = terminal.receive().await? {
        came.extend_from_slice(bytes);
        let count = bytes.len();
        pace.take(count).await;
    }
    let ready = READY.as_bytes();
    let start = came.windows(ready.len()).position(|it| it == ready);
    let start = start.map_or(came.len(), |at| at + ready.len());
    Ok(came.split_off(start))
}
