//! How long Ctrl-C takes to show in the middle of a flood.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::connection::{Search, Terminal, end, next, prompt, until};
use super::super::pace::Pace;
use super::super::statistics::{median, most};
use super::super::wait::{Result, STEP, within};
use super::super::ways::{Place, Way};
use super::super::workload::{LONG, WORKLOADS};
use super::{Bench, by_way, of_raw, ratio};

/// Blocks of a MiB of the flood: 500 MB.
const BLOCKS: usize = 480;

/// Bytes in a second that the client takes, as a browser that draws them.
const RATE: f64 = 8e6;

/// After so long Ctrl-C is typed.
const MIDDLE: Duration = Duration::from_secs(1);

/// Longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Within how many milliseconds Shellport is to show it.
const TARGET: f64 = 50.0;

/// A prompt that no flood has in it, and how it is typed without being it.
const PROMPT: &str = "<prompt>";
const SET_PROMPT: &[u8] = b"stty -echo; PS1='<pro''mpt>'\n";

/// Measures it.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Ctrl-C",
        "A coloured log of 500 MB floods a client that takes 8 MB/s, as a browser may that draws \
         it. From typing Ctrl-C after one second to the moment at which the client has the prompt.",
    );
    let ways = bench.ways.clone();
    let all = bench.in_turn(ways, interrupt).await;
    let raw = of_raw(&all, median);
    let mut rows = Vec::new();
    for it in &all {
        let millis = median(&it.rounds);
        rows.push(vec![
            it.way.name().to_owned(),
            format!("{millis:.1}"),
            ratio(millis, raw),
            format!("{:.1}", most(&it.rounds)),
        ]);
    }
    let columns = ["Ctrl-C in a flood", "ms", "of raw", "longest ms"];
    bench.report.table(&columns, &rows);
    let own = all.iter();
    let own = own.filter(|it| it.way.key().starts_with("shellport"));
    let slowest = own.map(|it| median(&it.rounds)).max_by(f64::total_cmp);
    if let Some(slowest) = slowest {
        let what = format!("within {TARGET} ms on each runtime");
        let met = slowest <= TARGET;
        bench.report.target(&what, format!("{slowest:.1}"), met);
    }
    Ok(by_way(
        &all,
        |rounds| json!({"median_ms": median(rounds), "rounds_ms": rounds}),
    ))
}

/// Milliseconds of one Ctrl-C, or as many as were waited.
async fn interrupt(way: &Arc<dyn Way>, place: &Place) -> Result<f64> {
    let mut terminal = way.connect(place).await?;
    prompt(&mut terminal).await?;
    terminal.send(SET_PROMPT).await?;
    until(&mut terminal, "the other prompt", &[PROMPT]).await?;
    let [_, log] = &*WORKLOADS;
    let line = format!("sh {}/{LONG} {BLOCKS} {}\n", way.directory(), log.file);
    terminal.send(line.as_bytes()).await?;
    let mut pace = Pace::new(RATE);
    let begun = Instant::now();
    let watched = async {
        while begun.elapsed() < MIDDLE {
            let count = next(&mut terminal).await?.len();
            pace.take(count).await;
        }
        Result::Ok(())
    };
    within("the flood", STEP, watched).await??;
    let typed = Instant::now();
    terminal.send(b"\x03").await?;
    shown(&mut terminal, &mut pace, typed).await?;
    let millis = typed.elapsed().as_secs_f64() * 1e3;
    // What has not come by now is not waited for.
    if typed.elapsed() < PATIENCE {
        end(terminal).await?;
    }
    Ok(millis)
}

/// Reads on until the prompt has come, or patience is at its end.
async fn shown(terminal: &mut Terminal, pace: &mut Pace, typed: Instant) -> Result<()> {
    let mut search = Search::new(PROMPT);
    within("the prompt", STEP, async {
        while typed.elapsed() < PATIENCE {
            let bytes = next(terminal).await?;
            if search.finds(bytes) {
                break;
            }
            let count = bytes.len();
            pace.take(count).await;
        }
        Ok(())
    })
    .await?
}
