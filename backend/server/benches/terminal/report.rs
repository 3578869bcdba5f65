//! The table, and the file with all that was measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::measure::{Echo, Flood};
use super::wait::Result;
use super::workload::{WORKLOADS, Workload};

/// The least share of a raw PTY's throughput.
const THROUGHPUT: f64 = 0.7;

/// How a terminal is reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A PTY of our own.
    Raw,
    /// The engine's attach.
    Engine,
    /// Shellport.
    Shellport,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw PTY",
            Self::Engine => "engine attach",
            Self::Shellport => "Shellport",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Engine => "engine",
            Self::Shellport => "shellport",
        }
    }
}

/// Everything that was measured.
pub struct Report {
    /// The engine's name and version.
    pub engine: Option<String>,
    load: String,
    floods: BTreeMap<(&'static str, Way), Vec<Flood>>,
    echoes: BTreeMap<Way, Vec<Echo>>,
}

/// What remains of the rounds of a flood.
struct Throughput {
    /// Bytes in a second.
    rates: Vec<f64>,
    /// CPU seconds for 10⁹ bytes, altogether and by part.
    costs: Vec<f64>,
    parts: Vec<(&'static str, f64)>,
}

/// What remains of the rounds of echoes, in milliseconds.
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
    keystrokes: usize,
}

impl Report {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            engine: None,
            load: load(),
            floods: BTreeMap::new(),
            echoes: BTreeMap::new(),
        }
    }

    /// Takes a flood in; those of round 0 were for warming up.
    pub fn flood(&mut self, round: usize, workload: &Workload, way: Way, flood: Flood) {
        if round > 0 {
            let rounds = self.floods.entry((workload.name, way)).or_default();
            rounds.push(flood);
        }
    }

    /// Takes echoes in; those of round 0 were for warming up.
    pub fn echo(&mut self, round: usize, way: Way, echo: Echo) {
        if round > 0 {
            self.echoes.entry(way).or_default().push(echo);
        }
    }

    /// Prints the tables, and whether the targets are met.
    pub fn print(&self) {
        println!(
            "\n{} · {}",
            machine(),
            self.engine.as_deref().unwrap_or("no engine")
        );
        println!("load average {} before, {} after", self.load, load());
        for workload in &*WORKLOADS {
            self.print_floods(workload.name);
        }
        self.print_echoes();
        println!();
    }

    fn print_floods(&self, workload: &'static str) {
        let of = |way| {
            self.floods
                .get(&(workload, way))
                .map(|it| Throughput::of(it))
        };
        let Some(raw) = of(Way::Raw) else { return };
        let (raw_rate, raw_cost) = (median(&raw.rates), median(&raw.costs));
        println!("\n| {workload} | MB/s | of raw | rounds | CPU s/GB | of raw | by part |");
        println!("| --- | ---: | ---: | ---: | ---: | ---: | --- |");
        for way in [Way::Raw, Way::Engine, Way::Shellport] {
            let Some(it) = of(way) else { continue };
            let (rate, cost) = (median(&it.rates), median(&it.costs));
            let least = it.rates.iter().copied().fold(f64::INFINITY, f64::min);
            let most = it.rates.iter().copied().fold(0.0, f64::max);
            let parts: Vec<_> = it
                .parts
                .iter()
                .map(|(name, cost)| format!("{name} {cost:.1}"))
                .collect();
            println!(
                "| {} | {:.1} | {:.2} | {:.0}–{:.0} | {cost:.1} | {:.2} | {} |",
                way.name(),
                rate / 1e6,
                rate / raw_rate,
                least / 1e6,
                most / 1e6,
                cost / raw_cost,
                parts.join(", "),
            );
        }
        if let Some(own) = of(Way::Shellport) {
            let share = median(&own.rates) / raw_rate;
            let verdict = verdict(share >= THROUGHPUT);
            println!("target: at least {THROUGHPUT} of the raw PTY: {share:.2}, {verdict}");
        }
    }

    fn print_echoes(&self) {
        let of = |way| self.echoes.get(&way).map(|it| Latency::of(it));
        let Some(raw) = of(Way::Raw) else { return };
        println!(
            "\n| echo of {} keystrokes | p50 ms | of raw | p99 ms | of raw | max ms |",
            raw.keystrokes
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: |");
        for way in [Way::Raw, Way::Engine, Way::Shellport] {
            let Some(it) = of(way) else { continue };
            println!(
                "| {} | {:.3} | {:.1} | {:.3} | {:.1} | {:.2} |",
                way.name(),
                it.p50,
                it.p50 / raw.p50,
                it.p99,
                it.p99 / raw.p99,
                it.max,
            );
        }
        if let (Some(engine), Some(own)) = (of(Way::Engine), of(Way::Shellport)) {
            let verdict = verdict(own.p99 < engine.p99);
            println!(
                "target: p99 below the engine's attach: {:.3} against {:.3} ms, {verdict}",
                own.p99, engine.p99
            );
        }
    }

    /// Writes target/bench/terminal.json.
    pub fn save(&self) -> Result<()> {
        let mut floods = json!({});
        for ((workload, way), rounds) in &self.floods {
            let it = Throughput::of(rounds);
            let parts: BTreeMap<_, _> = it.parts.into_iter().collect();
            floods[workload][way.key()] = json!({
                "bytes": rounds.first().map(|flood| flood.bytes),
                "bytes_per_second": median(&it.rates),
                "cpu_seconds_per_gb": median(&it.costs),
                "cpu_seconds_per_gb_by_part": parts,
                "rounds": {"bytes_per_second": it.rates, "cpu_seconds_per_gb": it.costs},
            });
        }
        let mut echoes = json!({});
        for (way, rounds) in &self.echoes {
            let it = Latency::of(rounds);
            echoes[way.key()] = json!({
                "keystrokes": it.keystrokes,
                "p50_ms": it.p50,
                "p99_ms": it.p99,
                "max_ms": it.max,
            });
        }
        let all: Value = json!({
            "shellport": env!("CARGO_PKG_VERSION"),
            "machine": machine(),
            "engine": self.engine,
            "load_before": self.load,
            "load_after": load(),
            "throughput": floods,
            "echo": echoes,
        });
        // The only directory of the target that Cargo names is target/tmp.
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench");
        fs::create_dir_all(&directory)?;
        let text = serde_json::to_string_pretty(&all)? + "\n";
        Ok(fs::write(directory.join("terminal.json"), text)?)
    }
}

impl Throughput {
    fn of(rounds: &[Flood]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
        let bytes = |flood: &Flood| flood.bytes as f64;
        let per_gb = |flood: &Flood, time: Duration| time.as_secs_f64() / bytes(flood) * 1e9;
        let names = rounds
            .first()
            .map(|it| it.cpu.iter().map(|(name, _)| *name));
        let part = |(index, name): (usize, &'static str)| {
            let costs = rounds.iter().map(|it| per_gb(it, it.cpu[index].1));
            (name, median(&costs.collect::<Vec<_>>()))
        };
        Self {
            rates: rounds
                .iter()
                .map(|it| bytes(it) / it.time.as_secs_f64())
                .collect(),
            costs: rounds
                .iter()
                .map(|it| per_gb(it, it.cpu.iter().map(|(_, time)| *time).sum()))
                .collect(),
            parts: names.into_iter().flatten().enumerate().map(part).collect(),
        }
    }
}

impl Latency {
    /// The median over the rounds of each round's percentiles, and the longest of all.
    fn of(rounds: &[Echo]) -> Self {
        let millis = |time: &Duration| time.as_secs_f64() * 1e3;
        let rounds: Vec<Vec<f64>> = rounds
            .iter()
            .map(|round| sorted(round.iter().map(millis)))
            .collect();
        let over_rounds = |percent: usize| {
            let each = rounds.iter().map(|round| percentile(round, percent));
            median(&each.collect::<Vec<_>>())
        };
        Self {
            p50: over_rounds(50),
            p99: over_rounds(99),
            max: rounds.iter().flatten().copied().fold(0.0, f64::max),
            keystrokes: rounds.iter().map(Vec::len).sum(),
        }
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "NOT met" }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: &[f64]) -> f64 {
    percentile(&sorted(values.iter().copied()), 50)
}

/// The value below or at which so many percent are.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let info = read("/proc/cpuinfo");
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split_once(": "))
        .unwrap_or_default()
        .1;
    let cores = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    format!("{cores} × {model} · Linux {}", kernel.trim())
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
