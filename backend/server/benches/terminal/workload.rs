//! What the terminals put out. The same programs run in all of them.

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use super::wait::Result;

/// Bytes of a block, before its last line is completed.
const BLOCK: usize = 1024 * 1024;

/// Bytes of what a program puts out just before it ends.
const PIECE: usize = 256 * 1024;

/// What the programs say when they are ready, and nothing behind it.
pub const READY: &str = "READY";

/// What comes after the last block. No line of a block ends like that.
const END: &[u8] = b"END\r\n";

/// Puts out so many blocks of a file, each time that it reads `COUNT FILE`, until it reads `exit`.
pub const FLOOD: &str = "flood.sh";

/// Sends so many bytes back, each by itself, without a line discipline in between:
/// `echo.sh COUNT`.
pub const ECHO: &str = "echo.sh";

/// Puts out so many blocks of a file, once: `long.sh COUNT FILE`.
pub const LONG: &str = "long.sh";

/// Puts out the piece, and ends.
pub const LAST_WORDS: &str = "last-words.sh";

/// The programs, all for `sh`. One `cat` puts out all blocks, so that no time goes into starting
/// programs. The PTY makes CR LF of each LF, as it does by default.
pub const PROGRAMS: [(&str, &str); 4] = [
    (
        FLOOD,
        "stty -echo; cd \"${0%/*}\"; printf READY
while read -r count file && [ \"$count\" != exit ]; do
  set --; while [ $# -lt $count ]; do set -- \"$@\" \"$file\"; done
  cat \"$@\"; echo END
done
",
    ),
    (
        ECHO,
        "stty raw -echo; printf READY; exec dd bs=1 count=$1 2>/dev/null\n",
    ),
    (
        LONG,
        "cd \"${0%/*}\"; count=$1 file=$2; set --
while [ $# -lt $count ]; do set -- \"$@\" \"$file\"; done
exec cat \"$@\"
",
    ),
    (LAST_WORDS, "cd \"${0%/*}\"; printf READY; exec cat piece\n"),
];

/// A block of output.
pub struct Workload {
    /// What it is.
    pub name: &'static str,
    /// Its file, and what it is called in results.
    pub file: &'static str,
    /// What is in the file.
    block: Vec<u8>,
    /// What the PTY makes of it.
    pub rendered: Vec<u8>,
}

/// Plain text, and a coloured log.
pub static WORKLOADS: LazyLock<[Workload; 2]> = LazyLock::new(|| {
    [
        Workload::new("plain text", "plain", BLOCK, plain_line),
        Workload::new("coloured log", "log", BLOCK, log_line),
    ]
});

/// What [`LAST_WORDS`] puts out after [`READY`].
pub static LAST_PIECE: LazyLock<Workload> =
    LazyLock::new(|| Workload::new("last words", "piece", PIECE, log_line));

/// The files that a terminal needs, and what is in them.
pub fn files() -> Vec<(&'static str, &'static [u8])> {
    let workloads = WORKLOADS.iter().chain([&*LAST_PIECE]);
    let blocks = workloads.map(|it| (it.file, it.block.as_slice()));
    let programs = PROGRAMS.iter().map(|(file, text)| (*file, text.as_bytes()));
    blocks.chain(programs).collect()
}

/// Writes them into a directory of this machine.
pub fn write_files(directory: &Path) -> Result<()> {
    for (file, contents) in files() {
        std::fs::write(directory.join(file), contents)?;
    }
    Ok(())
}

impl Workload {
    fn new(
        name: &'static str,
        file: &'static str,
        bytes: usize,
        line: impl Fn(&mut Random, &mut Vec<u8>),
    ) -> Self {
        let mut random = Random(1);
        let mut block = Vec::new();
        while block.len() < bytes {
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

    /// What is typed to get so many blocks from [`FLOOD`].
    pub fn command(&self, blocks: usize) -> String {
        format!("{blocks} {}\n", self.file)
    }

    /// How many bytes come of so many blocks.
    pub fn len(&self, blocks: usize) -> usize {
        blocks * self.rendered.len() + END.len()
    }
}

/// What has come of a workload so far.
pub struct Tally<'a> {
    workload: &'a Workload,
    blocks: usize,
    seen: usize,
    /// The offset of the first byte that was not put out, or is not where it was.
    differs: Option<usize>,
    tail: Vec<u8>,
}

impl<'a> Tally<'a> {
    /// Of so many blocks.
    pub fn new(workload: &'a Workload, blocks: usize) -> Self {
        Self {
            workload,
            blocks,
            seen: 0,
            differs: None,
            tail: Vec::new(),
        }
    }

    /// Takes the next bytes in and compares them; true when they were the last.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        let body = self.workload.len(self.blocks) - END.len();
        if self.differs.is_none() {
            let in_body = bytes.len().min(body.saturating_sub(self.seen));
            self.compare(&bytes[..in_body]);
        }
        self.seen += bytes.len();
        self.tail
            .extend_from_slice(&bytes[bytes.len().saturating_sub(END.len())..]);
        let known = self.tail.len().saturating_sub(END.len());
        self.tail.drain(..known);
        self.tail == END
    }

    fn compare(&mut self, mut bytes: &[u8]) {
        let rendered = &self.workload.rendered;
        let mut offset = self.seen;
        while !bytes.is_empty() {
            let at = offset % rendered.len();
            let count = bytes.len().min(rendered.len() - at);
            let (now, rest) = bytes.split_at(count);
            if now != &rendered[at..at + count] {
                self.differs = Some(offset);
                return;
            }
            (bytes, offset) = (rest, offset + count);
        }
    }

    /// What is wrong with what has come, if anything.
    pub fn fault(&self) -> Option<String> {
        let all = self.workload.len(self.blocks);
        match (self.seen, self.differs) {
            (seen, None) if seen == all => None,
            (seen, None) => Some(format!("{seen} bytes instead of {all}")),
            (seen, Some(offset)) => Some(format!(
                "other bytes than were put out, after {offset}; {seen} instead of {all}"
            )),
        }
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
