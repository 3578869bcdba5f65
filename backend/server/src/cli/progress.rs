//! How far a pull is: bars for people, lines for programs.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::time::sleep;

use super::say;
use crate::image::pull::{LayerProgress, Progress, Step};

/// How often something new is shown.
const PACE: Duration = Duration::from_millis(100);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Bars on standard error, when that is a terminal.
    Bars,
    /// A line of JSON on standard output for each change.
    Json,
    /// Not at all.
    Nothing,
}

impl Show {
    /// What these flags ask for.
    pub fn of(quiet: bool, json: bool) -> Self {
        match (quiet, json) {
            (true, _) => Self::Nothing,
            (_, true) => Self::Json,
            _ => Self::Bars,
        }
    }
}

/// Shows what `progress` tells until its other end is gone.
pub async fn show(how: Show, mut progress: watch::Receiver<Progress>) {
    let mut bars = Bars::default();
    let is_terminal = std::io::stderr().is_terminal();
    loop {
        let gone = progress.changed().await.is_err();
        let now = progress.borrow_and_update().clone();
        match how {
            Show::Bars if is_terminal => bars.show(&now),
            Show::Json if !gone => say(&serde_json::to_string(&now).unwrap_or_default()),
            _ => {}
        }
        if gone {
            return bars.clear();
        }
        sleep(PACE).await;
    }
}

/// A bar for each layer.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Bars {
    fn show(&mut self, progress: &Progress) {
        for (index, layer) in progress.layers.iter().enumerate() {
            if index == self.bars.len() {
                self.bars.push(self.all.add(bar(layer)));
            }
            let bar = &self.bars[index];
            bar.set_position(layer.current);
            bar.set_message(match layer.step {
                Step::Waiting => "waiting",
                Step::Downloading => "downloading",
                Step::Unpacking => "unpacking",
                Step::Done => "done",
            });
        }
    }

    fn clear(&mut self) {
        for bar in self.bars.drain(..) {
            bar.finish_and_clear();
        }
    }
}

fn bar(layer: &LayerProgress) -> ProgressBar {
    let template = "{prefix} {bar:30} {bytes:>10} / {total_bytes:<10} {msg}";
    let style = ProgressStyle::with_template(template).expect("it is one");
    ProgressBar::new(layer.total)
        .with_style(style)
        .with_prefix(layer.digest.short().to_owned())
}
