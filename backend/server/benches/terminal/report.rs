//! The tables that are printed, and the files with all that was measured.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::wait::Result;
use super::ways::Way;

/// What this run has found.
pub struct Report {
    directory: PathBuf,
    /// What was printed.
    text: String,
    load: String,
    /// Faults of what is not a peer.
    faults: usize,
}

impl Report {
    /// An empty one, which says where it is made.
    pub fn new() -> Result<Self> {
        let directory = results();
        fs::create_dir_all(&directory)?;
        let load = load();
        let mut report = Self {
            directory,
            text: String::new(),
            load,
            faults: 0,
        };
        let line = format!("{}; load average {} before", machine(), report.load);
        report.say(&line);
        Ok(report)
    }

    /// Begins a measurement.
    pub fn title(&mut self, title: &str, explanation: &str) {
        self.say("");
        self.say(&format!("### {title}"));
        self.say("");
        self.say(explanation);
    }

    /// A table; the first of the columns has names in it and all others have figures.
    pub fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
        self.say("");
        self.say(&format!("| {} |", columns.join(" | ")));
        let lines = vec!["---:"; columns.len().saturating_sub(1)];
        self.say(&format!("| --- | {} |", lines.join(" | ")));
        for row in rows {
            self.say(&format!("| {} |", row.join(" | ")));
        }
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.say("");
        self.say(text);
    }

    /// Whether Shellport is as good as it is meant to be.
    pub fn target(&mut self, what: &str, figure: impl Display, met: bool) {
        let verdict = if met { "met" } else { "NOT met" };
        self.paragraph(&format!("Target: {what}: {figure}, {verdict}."));
    }

    /// Something that did not go as it should.
    pub fn fault(&mut self, way: &dyn Way, fault: impl Display) {
        self.paragraph(&format!("{}: {fault}.", way.name()));
        if !way.is_peer() {
            self.faults += 1;
        }
    }

    /// Writes what was measured to a file of its own, and all that was printed to another.
    pub fn save(&self, measurement: &str, figures: Value) -> Result<()> {
        let all = json!({
            "shellport": env!("CARGO_PKG_VERSION"),
            "machine": machine(),
            "load_before": self.load,
            "load_after": load(),
            "measurement": measurement,
            "figures": figures,
        });
        let text = serde_json::to_string_pretty(&all)? + "\n";
        fs::write(self.directory.join(format!("{measurement}.json")), text)?;
        Ok(fs::write(self.directory.join("tables.md"), &self.text)?)
    }

    /// An error when anything but a peer had a fault.
    pub fn end(mut self) -> Result<()> {
        self.paragraph(&format!("Load average {} at the end.", load()));
        fs::write(self.directory.join("tables.md"), &self.text)?;
        match self.faults {
            0 => Ok(()),
            count => Err(format!("{count} faults, see above").into()),
        }
    }

    fn say(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Where results are, and what is compared is installed, wherever Cargo builds.
pub fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench")
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
    format!("{cores} × {model}, Linux {}", kernel.trim())
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
