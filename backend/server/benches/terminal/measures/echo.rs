//! How long a keystroke takes to come back, while nothing else happens and while another terminal
//! floods.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::connection::{Terminal, beside, connect_to, end, next};
use super::super::statistics::{median, most, number, percentile};
use super::super::wait::{Result, STEP, within};
use super::super::ways::{Place, Way};
use super::super::workload::{ECHO, FLOOD, Tally, WORKLOADS};
use super::{Bench, Rounds, by_way, of_raw, ratio};

/// Keystrokes of each way in each round: idle, and beside a flood, which takes some ways long.
const KEYSTROKES: (usize, usize) = (500, 300);

/// Between two keystrokes: a fast typist's are further apart, but what serves them is asleep again.
const GAP: Duration = Duration::from_millis(2);

/// Blocks of a MiB of the flood; it is repeated.
const BLOCKS: usize = 8;

/// Until the flood flows.
const FLOWS: Duration = Duration::from_millis(100);

/// Milliseconds of each keystroke.
struct Echo {
    idle: Vec<f64>,
    beside_flood: Vec<f64>,
}

/// Measures both circumstances.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Echo",
        "From a keystroke to its echo, through a program that sends each byte back: idle, and \
         beside a coloured log that floods another terminal of the same server (and container or \
         session) and is read as fast as it comes. Medians over the rounds of each round's \
         percentiles, and the longest of all.",
    );
    let ways = bench.ways.clone();
    let all = bench.in_turn(ways, measure).await;
    let idle = |it: &Echo| it.idle.clone();
    let beside_flood = |it: &Echo| it.beside_flood.clone();
    print(bench, "echo, idle", &all, idle);
    print(bench, "echo, beside a flood", &all, beside_flood);
    let exec = all.iter().find(|it| it.way.key() == "docker-attach");
    let own = all.iter().find(|it| it.way.key() == "shellport-docker");
    if let (Some(exec), Some(own)) = (exec, own) {
        let (exec, own) = (
            Figures::of(&exec.rounds, idle).p99,
            Figures::of(&own.rounds, idle).p99,
        );
        bench.report.target(
            "idle p99 under docker below Docker attach's",
            format!("{own:.3} against {exec:.3} ms"),
            own < exec,
        );
    }
    Ok(by_way(&all, |rounds| {
        json!({
            "idle": Figures::of(rounds, idle).json(),
            "beside_flood": Figures::of(rounds, beside_flood).json(),
        })
    }))
}

async fn measure(way: &Arc<dyn Way>, place: &Place) -> Result<Echo> {
    let (idle, beside_flood) = KEYSTROKES;
    let program = format!("{ECHO} {}", idle + beside_flood);
    let mut terminal = connect_to(&**way, place, &program).await?;
    let idle = type_keys(&mut terminal, idle).await?;
    let place = way.place().await?;
    let flooding = connect_to(&**way, &place, FLOOD).await?;
    let enough = Arc::new(AtomicBool::new(false));
    let flood = beside(way.blocks(), flood(flooding, Arc::clone(&enough)));
    sleep(FLOWS).await;
    let typed = type_keys(&mut terminal, beside_flood).await;
    enough.store(true, Ordering::Relaxed);
    within("the flood's end", STEP, flood).await???;
    Ok(Echo {
        idle,
        beside_flood: typed?,
    })
}

/// Types, each key when the last has come back.
async fn type_keys(terminal: &mut Terminal, count: usize) -> Result<Vec<f64>> {
    within("the echoes", STEP, async {
        let mut times = Vec::with_capacity(count);
        // Each key differs from the one before, so that nothing is taken for its echo.
        for key in (b'a'..=b'z').cycle().take(count) {
            sleep(GAP).await;
            let start = Instant::now();
            terminal.send(&[key]).await?;
            let came = next(terminal).await?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            if came != [key] {
                let (key, came) = ([key], came.escape_ascii());
                return Err(format!("{} came back as {came}", key.escape_ascii()).into());
            }
        }
        Ok(times)
    })
    .await?
}

/// Floods until it is enough.
async fn flood(mut terminal: Terminal, enough: Arc<AtomicBool>) -> Result<()> {
    let [_, log] = &*WORKLOADS;
    while !enough.load(Ordering::Relaxed) {
        terminal.send(log.command(BLOCKS).as_bytes()).await?;
        let mut tally = Tally::new(log, BLOCKS);
        while !tally.take(next(&mut terminal).await?) {}
        if let Some(fault) = tally.fault() {
            return Err(fault.into());
        }
    }
    end(terminal).await
}

fn print(
    bench: &mut Bench,
    title: &str,
    all: &[Rounds<Echo>],
    times: impl Fn(&Echo) -> Vec<f64> + Copy,
) {
    let raw_p50 = of_raw(all, |rounds| Figures::of(rounds, times).p50);
    let raw_p99 = of_raw(all, |rounds| Figures::of(rounds, times).p99);
    let mut rows = Vec::new();
    for it in all {
        let figures = Figures::of(&it.rounds, times);
        rows.push(vec![
            it.way.name().to_owned(),
            format!("{:.3}", figures.p50),
            ratio(figures.p50, raw_p50),
            format!("{:.3}", figures.p99),
            ratio(figures.p99, raw_p99),
            format!("{:.1}", figures.max),
        ]);
    }
    let columns = [title, "p50 ms", "of raw", "p99 ms", "of raw", "max ms"];
    bench.report.table(&columns, &rows);
}

/// What remains of the rounds, in milliseconds.
struct Figures {
    p50: f64,
    p99: f64,
    max: f64,
    keystrokes: f64,
}

impl Figures {
    fn of(rounds: &[Echo], times: impl Fn(&Echo) -> Vec<f64>) -> Self {
        let rounds: Vec<Vec<f64>> = rounds.iter().map(times).collect();
        let over_rounds = |percent: usize| {
            let each = rounds.iter().map(|round| percentile(round, percent));
            median(&each.collect::<Vec<_>>())
        };
        let longest: Vec<f64> = rounds.iter().map(|round| most(round)).collect();
        Self {
            p50: over_rounds(50),
            p99: over_rounds(99),
            max: most(&longest),
            keystrokes: number(rounds.iter().map(Vec::len).sum()),
        }
    }

    fn json(&self) -> Value {
        json!({
            "keystrokes": self.keystrokes,
            "p50_ms": self.p50,
            "p99_ms": self.p99,
            "max_ms": self.max,
        })
    }
}
