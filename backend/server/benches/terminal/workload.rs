//! What the terminals put out. The same program runs in all of them.

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use super::wait::Result;

/// Bytes of a block, before its last line is completed.
const BLOCK: usize = 1024 * 1024;

/// How often a block is put out in one measurement.
pub const BLOCKS: usize = 96;

/// What the programs say when they are ready.
pub const READY: &str = "READY";

/// What comes after the last block.
const END: &[u8] = b"END\r\n";

/// Sends each byte back, without a line discipline in between.
pub const ECHO_SCRIPT: &str = "stty raw -echo; printf READY; exec cat";

/// Reads a count and a file's name, and puts the file out that many times by one `cat`, so that no
/// time goes into starting programs. The PTY makes CR LF of each LF, as it does by default.
pub fn flood_script(directory: &Path) -> String {
    format!(
        "stty -echo; cd '{}'; echo READY; \
         while read -r count file; do \
           set --; while [ $# -lt $count ]; do set -- \"$@\" \"$file\"; done; \
           cat \"$@\"; echo END; \
         done",
        directory.display()
    )
}

/// A block of output.
pub struct Workload {
    /// What it is.
    pub name: &'static str,
    /// Its file.
    pub file: &'static str,
    /// What is in the file.
    pub block: Vec<u8>,
    /// What the PTY makes of it.
    rendered: Vec<u8>,
}

/// Plain text, and a coloured log.
pub static WORKLOADS: LazyLock<[Workload; 2]> = LazyLock::new(|| {
    [
        Workload::new("plain text", "plain", plain_line),
        Workload::new("coloured log", "log", log_line),
    ]
});

impl Workload {
    fn new(
        name: &'static str,
        file: &'static str,
        line: impl Fn(&mut Random, &mut Vec<u8>),
    ) -> Self {
        let mut random = Random(1);
        let mut block = Vec::new();
        while block.len() < BLOCK {
            line(&mut random, &mut block);
            block.push(b'\n');
        }
        let mut rendered = Vec::new();
        for &byte in &block {
            if byte == b'\n' {
                rendered.push(b'\r');
            }
            rendered.push(byte);
        }
        Self {
            name,
            file,
            block,
            rendered,
        }
    }

    /// What is typed to get it.
    pub fn command(&self) -> String {
        format!("{BLOCKS} {}\n", self.file)
    }

    /// How many bytes come of it.
    pub fn len(&self) -> usize {
        BLOCKS * self.rendered.len() + END.len()
    }
}

/// What has come of a workload so far.
pub struct Tally<'a> {
    workload: &'a Workload,
    seen: usize,
    end: Vec<u8>,
    compare: bool,
}

impl<'a> Tally<'a> {
    /// Counts, checks the end and, when asked, compares each byte.
    pub fn new(workload: &'a Workload, compare: bool) -> Self {
        Self {
            workload,
            seen: 0,
            end: Vec::new(),
            compare,
        }
    }

    /// Takes the next bytes in; true when they were the last.
    pub fn take(&mut self, bytes: &[u8]) -> Result<bool> {
        let all = self.workload.len();
        let body = all - END.len();
        if self.compare {
            self.compare(&bytes[..bytes.len().min(body.saturating_sub(self.seen))])?;
        }
        let from_end = body.saturating_sub(self.seen).min(bytes.len());
        self.end.extend_from_slice(&bytes[from_end..]);
        self.seen += bytes.len();
        if self.seen < all {
            return Ok(false);
        }
        if self.seen > all || self.end != END {
            let (seen, end) = (self.seen, self.end.escape_ascii());
            return Err(format!("{seen} bytes came instead of {all}; the last are {end}").into());
        }
        Ok(true)
    }

    fn compare(&self, mut bytes: &[u8]) -> Result<()> {
        let rendered = &self.workload.rendered;
        let mut at = self.seen % rendered.len();
        while !bytes.is_empty() {
            let count = bytes.len().min(rendered.len() - at);
            let (now, rest) = bytes.split_at(count);
            if now != &rendered[at..at + count] {
                return Err(format!("other bytes than were put out, after {}", self.seen).into());
            }
            (bytes, at) = (rest, 0);
        }
        Ok(())
    }
}

/// Words, 79 columns of them.
fn plain_line(random: &mut Random, line: &mut Vec<u8>) {
    let start = line.len();
    while line.len() - start < 79 {
        for _ in 0..=random.below(9) {
            line.push(b'a' + random.below(26));
        }
        line.push(b' ');
    }
    line.truncate(start + 79);
}

/// A line of a log as many programs colour it, 80 columns wide, with characters beyond ASCII.
fn log_line(random: &mut Random, line: &mut Vec<u8>) {
    const LEVELS: [(&str, u8); 4] = [("DEBUG", 34), ("INFO ", 32), ("WARN ", 33), ("ERROR", 31)];
    const WORDS: [&str; 8] = [
        "größe",
        "café",
        "→ done",
        "naïve",
        "request",
        "✓ ok",
        "socket",
        "日本語",
    ];
    let (level, colour) = LEVELS[usize::from(random.below(4))];
    let (minute, second, milli) = (random.below(60), random.below(60), random.below(100));
    // 13 + 1 + 5 + 1 columns.
    let _ = write!(
        line,
        "\x1b[2m12:{minute:02}:{second:02}.{milli:03} \x1b[0m \x1b[1;{colour}m{level}\x1b[0m "
    );
    let mut columns = 20;
    while columns < 80 {
        let word = WORDS[usize::from(random.below(8))];
        let width: usize = word
            .chars()
            .map(|c| if c >= '\u{3000}' { 2 } else { 1 })
            .sum();
        if columns + width + 1 > 80 {
            line.resize(line.len() + 80 - columns, b'.');
            break;
        }
        let shade = 16 + random.below(215);
        let _ = write!(line, "\x1b[38;5;{shade}m{word}\x1b[39m ");
        columns += width + 1;
    }
}

/// The same numbers each time (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u8) -> u8 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let [high, ..] = self.0.to_be_bytes();
        high % bound
    }
}
