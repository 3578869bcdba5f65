//! Bytes per second of a flood, and the CPU time of whoever serves it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::connection::{connect_to, end, next};
use super::super::statistics::{least, median, most, number};
use super::super::wait::{Result, STEP, within};
use super::super::ways::{Place, Way};
use super::super::workload::{FLOOD, Tally, WORKLOADS, Workload};
use super::{Bench, Rounds, by_way, of_raw, ratio};

/// Blocks of a MiB in one flood.
const BLOCKS: usize = 48;

/// Bytes that the agent draws at a time.
const PIECE: usize = 4096;

/// The least share of a raw PTY's throughput that Shellport is to have.
const TARGET: f64 = 0.9;

/// How a flood went.
struct Flood {
    time: Duration,
    /// What it cost the serving side, by part.
    cpu: Vec<(&'static str, Duration)>,
}

/// What remains of a way's floods.
struct Figures {
    /// Bytes in a second.
    rates: Vec<f64>,
    /// CPU seconds for 10⁹ bytes, altogether and by part.
    costs: Vec<f64>,
    parts: Vec<(&'static str, f64)>,
}

/// Measures both workloads.
pub async fn run(bench: &mut Bench) -> Result<Value> {
    bench.report.title(
        "Throughput",
        "A flood to one viewer that takes all it gets, each byte compared. CPU time is that of the \
         serving side: for the raw PTY of the thread that reads it, for Docker of its daemon, \
         containerd, the shim and the client, for Shellport of server and agent, which keeps the \
         screen up to date, for others of their server.",
    );
    let mut all = json!({});
    for workload in &*WORKLOADS {
        let floods = bench
            .in_turn(bench.ways.clone(), async |way, place| {
                flood(way, place, workload).await
            })
            .await;
        let of = |rounds: &[Flood]| Figures::of(rounds, workload.len(BLOCKS));
        all[workload.file] = by_way(&floods, |rounds| of(rounds).json());
        print(bench, workload, &floods, of);
    }
    Ok(all)
}

async fn flood(way: &Arc<dyn Way>, place: &Place, workload: &Workload) -> Result<Flood> {
    let mut terminal = connect_to(&**way, place, FLOOD).await?;
    let processes = way.serving().await?;
    let before = processes.cpu()?;
    let start = Instant::now();
    terminal.send(workload.command(BLOCKS).as_bytes()).await?;
    let mut tally = Tally::new(workload, BLOCKS);
    let flood = async {
        while !tally.take(next(&mut terminal).await?) {}
        Result::Ok(())
    };
    within("a flood", STEP, flood).await??;
    let time = start.elapsed();
    let cpu = processes.cpu_since(&before)?;
    end(terminal).await?;
    match tally.fault() {
        None => Ok(Flood { time, cpu }),
        Some(fault) => Err(fault.into()),
    }
}

fn print(
    bench: &mut Bench,
    workload: &Workload,
    floods: &[Rounds<Flood>],
    of: impl Fn(&[Flood]) -> Figures,
) {
    let raw_rate = of_raw(floods, |rounds| median(&of(rounds).rates));
    let raw_cost = of_raw(floods, |rounds| median(&of(rounds).costs));
    let mut rows = Vec::new();
    for it in floods {
        let Figures {
            rates,
            costs,
            parts,
        } = of(&it.rounds);
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, cost)| format!("{name} {cost:.1}"))
            .collect();
        rows.push(vec![
            it.way.name().to_owned(),
            format!("{:.1}", median(&rates) / 1e6),
            ratio(median(&rates), raw_rate),
            format!("{:.0}–{:.0}", least(&rates) / 1e6, most(&rates) / 1e6),
            format!("{:.1}", median(&costs)),
            ratio(median(&costs), raw_cost),
            parts.join(", "),
        ]);
    }
    let columns = [
        workload.name,
        "MB/s",
        "of raw",
        "rounds",
        "CPU s/GB",
        "of raw",
        "by part",
    ];
    bench.report.table(&columns, &rows);
    let own = floods.iter().find(|it| it.way.key() == "shellport-docker");
    if let Some(own) = own {
        let (drawing, all) = (drawing(workload), median(&of(&own.rounds).costs));
        let path = all - drawing;
        let share = ratio(path, raw_cost);
        bench.report.paragraph(&format!(
            "Drawing alone costs {drawing:.1} CPU s/GB, so under docker the path alone costs {path:.1}, \
             {share} of raw."
        ));
        let share = median(&of(&own.rounds).rates) / raw_rate;
        let what = format!("at least {TARGET} of the raw PTY under docker");
        bench
            .report
            .target(&what, format!("{share:.2}"), share >= TARGET);
    }
}

/// What the agent's screen costs for 10⁹ bytes when nothing else is done: CPU seconds.
fn drawing(workload: &Workload) -> f64 {
    let mut screen = shellport_screen::Screen::new(80, 24);
    let start = Instant::now();
    for _ in 0..BLOCKS {
        for piece in workload.rendered.chunks(PIECE) {
            screen.advance(piece);
        }
    }
    start.elapsed().as_secs_f64() / number(BLOCKS * workload.rendered.len()) * 1e9
}

impl Figures {
    fn of(rounds: &[Flood], bytes: usize) -> Self {
        let bytes = number(bytes);
        let per_gb = |time: Duration| time.as_secs_f64() / bytes * 1e9;
        let names = rounds
            .first()
            .map(|it| it.cpu.iter().map(|(name, _)| *name));
        let part = |(index, name): (usize, &'static str)| {
            let costs = rounds.iter().map(|it| per_gb(it.cpu[index].1));
            (name, median(&costs.collect::<Vec<_>>()))
        };
        let sum = |it: &Flood| per_gb(it.cpu.iter().map(|(_, time)| *time).sum());
        Self {
            rates: rounds
                .iter()
                .map(|it| bytes / it.time.as_secs_f64())
                .collect(),
            costs: rounds.iter().map(sum).collect(),
            parts: names.into_iter().flatten().enumerate().map(part).collect(),
        }
    }

    fn json(&self) -> Value {
        let parts = self
            .parts
            .iter()
            .map(|(name, cost)| ((*name).to_owned(), json!(cost)));
        json!({
            "bytes_per_second": median(&self.rates),
            "cpu_seconds_per_gb": median(&self.costs),
            "cpu_seconds_per_gb_by_part": parts.collect::<serde_json::Map<_, _>>(),
            "rounds": {"bytes_per_second": self.rates, "cpu_seconds_per_gb": self.costs},
        })
    }
}
