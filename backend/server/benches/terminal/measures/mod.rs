//! The measurements.

mod burst;
mod connect;
mod echo;
mod idle;
mod interrupt;
mod lost;
mod memory;
mod peak;
mod sessions;
mod stalled;
mod thousand;
mod throughput;
mod watchers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::report::Report;
use super::wait::Result;
use super::ways::{Place, RAW, Way};

/// Between two measurements: what the last one woke goes to sleep.
const PAUSE: Duration = Duration::from_millis(200);

/// A measurement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Bytes per second, and what they cost.
    Throughput,
    /// Until a keystroke is back.
    Echo,
    /// Until Ctrl-C shows.
    Interrupt,
    /// Until the prompt is there.
    Connect,
    /// The same for many at once.
    Burst,
    /// What is missing at the end.
    Lost,
    /// Of what is idle.
    Memory,
    /// CPU time of what is idle.
    Idle,
    /// A viewer that reads nothing.
    Stalled,
    /// Many viewers of one terminal.
    Watchers,
    /// Many sessions.
    Thousand,
}

impl Measure {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 11] = [
        Self::Throughput,
        Self::Echo,
        Self::Interrupt,
        Self::Connect,
        Self::Burst,
        Self::Lost,
        Self::Memory,
        Self::Idle,
        Self::Stalled,
        Self::Watchers,
        Self::Thousand,
    ];

    /// What it is called on the command line, and its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Echo => "echo",
            Self::Interrupt => "interrupt",
            Self::Connect => "connect",
            Self::Burst => "burst",
            Self::Lost => "lost",
            Self::Memory => "memory",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::Watchers => "watchers",
            Self::Thousand => "thousand",
        }
    }

    /// Whether it is of other ways than a Shellport of its own.
    pub fn compares_ways(self) -> bool {
        !matches!(self, Self::Watchers | Self::Thousand)
    }

    /// Measures, prints and saves.
    pub async fn run(self, bench: &mut Bench) -> Result<()> {
        let figures = match self {
            Self::Throughput => throughput::run(bench).await?,
            Self::Echo => echo::run(bench).await?,
            Self::Interrupt => interrupt::run(bench).await?,
            Self::Connect => connect::run(bench).await?,
            Self::Burst => burst::run(bench).await?,
            Self::Lost => lost::run(bench).await?,
            Self::Memory => memory::run(bench).await?,
            Self::Idle => idle::run(bench).await?,
            Self::Stalled => stalled::run(bench).await?,
            Self::Watchers => watchers::run(bench).await?,
            Self::Thousand => thousand::run(bench).await?,
        };
        bench.report.save(self.name(), figures)
    }
}

/// What the measurements work with.
pub struct Bench {
    /// Where results go.
    pub report: Report,
    /// What is compared.
    pub ways: Vec<Arc<dyn Way>>,
    /// Where servers of a measurement's own may be.
    pub directory: PathBuf,
    /// How often each way is measured.
    pub rounds: usize,
}

/// What the rounds of a way have come to.
pub struct Rounds<T> {
    /// The way.
    pub way: Arc<dyn Way>,
    /// In the order in which they were.
    pub rounds: Vec<T>,
}

impl Bench {
    /// The ways that can have many connections.
    pub fn light_ways(&self) -> Vec<Arc<dyn Way>> {
        let light = self.ways.iter().filter(|way| !way.is_heavy());
        light.cloned().collect()
    }

    /// Measures each of the ways once a round in the same place, after a round for warming up.
    pub async fn in_turn<T>(
        &mut self,
        ways: Vec<Arc<dyn Way>>,
        measure: impl AsyncFn(&Arc<dyn Way>, &Place) -> Result<T>,
    ) -> Vec<Rounds<T>> {
        self.in_turn_at(ways, async |way| way.place().await, measure)
            .await
    }

    /// As [`Self::in_turn`], in the places that are made so. A way that fails is told and left out
    /// from there on. Between the rounds nothing is connected, because nobody would answer pings.
    pub async fn in_turn_at<P, T>(
        &mut self,
        ways: Vec<Arc<dyn Way>>,
        places: impl AsyncFn(&Arc<dyn Way>) -> Result<P>,
        measure: impl AsyncFn(&Arc<dyn Way>, &P) -> Result<T>,
    ) -> Vec<Rounds<T>> {
        let mut running = Vec::new();
        for way in ways {
            match places(&way).await {
                Ok(places) => running.push((way, places, Vec::new())),
                Err(error) => self.report.fault(&*way, error),
            }
        }
        for round in 0..=self.rounds {
            let mut still = Vec::new();
            for (way, places, mut rounds) in running {
                sleep(PAUSE).await;
                match measure(&way, &places).await {
                    Ok(done) => {
                        if round > 0 {
                            rounds.push(done);
                        }
                        still.push((way, places, rounds));
                    }
                    Err(error) => self.report.fault(&*way, error),
                }
            }
            running = still;
        }
        let done = running.into_iter();
        done.map(|(way, _, rounds)| Rounds { way, rounds })
            .collect()
    }
}

/// A figure of the raw PTY, which others are compared with.
pub fn of_raw<T>(all: &[Rounds<T>], figure: impl Fn(&[T]) -> f64) -> f64 {
    let raw = all.iter().find(|it| it.way.key() == RAW);
    raw.map_or(f64::NAN, |it| figure(&it.rounds))
}

/// How often `base` is in `figure`, as a cell of a table.
pub fn ratio(figure: f64, base: f64) -> String {
    let ratio = figure / base;
    if ratio.is_finite() {
        format!("{ratio:.2}")
    } else {
        "–".to_owned()
    }
}

/// Results by the keys of their ways.
pub fn by_way<T>(all: &[Rounds<T>], figures: impl Fn(&[T]) -> Value) -> Value {
    let entries = all
        .iter()
        .map(|it| (it.way.key().to_owned(), figures(&it.rounds)));
    json!(entries.collect::<serde_json::Map<_, _>>())
}
