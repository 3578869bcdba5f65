//! Programs that print much, of which every byte is known.
//!
//! It is lines of [`LINE`] bytes: a number, and text that is no two times the same within a line, so that
//! a byte which is missing, double or elsewhere shows.

use super::api::BEGIN_OFFSET;
use super::viewer::Viewer;

/// The bytes of a line.
pub const LINE: u64 = 1024;

/// The bytes of a line before its text.
const NUMBER: usize = 9;

/// What a line has behind its number.
fn text() -> String {
    let text: String = (0..).map(|index| format!("{index:x}.")).take(500).collect();
    // The last byte is the end of the line.
    let length = usize::try_from(LINE).unwrap() - NUMBER - 1;
    text[..length].to_owned()
}

/// A line of shell that prints so many lines at once, and ends with 3.
pub fn at_once(lines: u64) -> String {
    let print = format!("for (n = 0; n < {lines}; n++) printf \"%08d %s\\n\", n, text");
    program(&format!("BEGIN {{ {print}; exit 3 }}"))
}

/// A line of shell that prints a block of so many lines at first, and another one for each line that is
/// typed. After so many of those it prints the SHA-256 of what was typed, and ends with 3.
pub fn on_request(block: u64, requests: u64) -> String {
    let print = format!("for (i = 0; i < {block}; i++) printf \"%08d %s\\n\", n++, text");
    let sum = "print | \"sha256sum\"";
    let end = format!("if (NR == {requests}) {{ close(\"sha256sum\"); exit 3 }}");
    program(&format!("BEGIN {{ {print} }} {{ {sum}; {print}; {end} }}"))
}

/// Busybox is in the image, and where images are made.
fn program(script: &str) -> String {
    let text = text();
    format!("stty raw -echo; busybox awk -v text={text} '{script}'")
}

/// Checks what comes, byte for byte.
#[derive(Debug)]
pub struct Flood {
    text: String,
    /// How many bytes there were.
    pub length: u64,
}

impl Flood {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            text: text(),
            length: 0,
        }
    }

    /// Takes what has come to a viewer, who may have been given a snapshot instead of some of it.
    pub fn expect_of(&mut self, viewer: &mut Viewer) {
        let start = viewer.start - BEGIN_OFFSET;
        let is_declared = viewer.snapshots > 0 && start > self.length;
        assert!(
            start == self.length || is_declared,
            "a hole at {}",
            self.length
        );
        self.length = start;
        self.expect(&viewer.take_output());
    }

    /// Takes what comes next; anything else fails.
    pub fn expect(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let line = self.line(self.length / LINE);
            let from = usize::try_from(self.length % LINE).unwrap();
            let length = rest.len().min(line.len() - from);
            let (come, later) = rest.split_at(length);
            assert!(
                come == &line.as_bytes()[from..from + length],
                "at {} not {:?} but {:?}",
                self.length,
                &line[from..from + length],
                String::from_utf8_lossy(come),
            );
            self.length += length as u64;
            rest = later;
        }
    }

    fn line(&self, number: u64) -> String {
        format!("{number:08} {}\n", self.text)
    }

    /// This many of its lines.
    pub fn lines(&self, count: u64) -> Vec<u8> {
        let lines: Vec<_> = (0..count).map(|number| self.line(number)).collect();
        lines.concat().into_bytes()
    }
}
