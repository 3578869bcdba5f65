//! Output as plain text: what was written, in the order in which it was written.

use crate::params::Params;
use crate::parser::{Handler, Parser, Place};

/// Output as text, with the offset of each byte of it. What moves the cursor or says how text looks leaves
/// nothing; a backspace takes a character away, and CR LF is one line feed.
#[derive(Debug, Default)]
pub struct Plain {
    parser: Parser,
    written: Written,
    /// The offset behind the output that each byte of the text came with.
    offsets: Vec<u64>,
    marks: Vec<PlainMark>,
}

/// What a shell has said of a place (OSC 133).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainMark {
    /// `A`, `B`, `C`, `D;0` and so on.
    pub mark: String,
    /// Before which byte of the text.
    pub at: usize,
    /// The offset behind it.
    pub offset: u64,
}

#[derive(Debug, Default)]
struct Written {
    text: String,
    /// How much of the text was there before what came last.
    kept: usize,
    /// What the shell has said, and how many bytes of it are still to come.
    mark: Option<(String, u64)>,
}

impl Plain {
    /// Takes output, of which the first byte has this offset.
    pub fn advance(&mut self, output: &[u8], offset: u64) {
        for (end, byte) in (offset + 1..).zip(output) {
            self.written.kept = self.written.text.len();
            self.parser
                .advance(&mut self.written, std::slice::from_ref(byte));
            self.offsets.truncate(self.written.kept);
            // A character's bytes came together.
            self.offsets.resize(self.written.text.len(), end);
            if let Some((mark, rest)) = self.written.mark.take() {
                self.marks.push(PlainMark {
                    mark,
                    at: self.written.text.len(),
                    offset: end + rest,
                });
            }
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.written.text
    }

    /// The offset behind what came with this byte of the text, counted from 0.
    pub fn offset(&self, at: usize) -> Option<u64> {
        self.offsets.get(at).copied()
    }

    /// What the shell has said of places.
    pub fn marks(&self) -> &[PlainMark] {
        &self.marks
    }

    /// Forgets all text but the last `most` bytes, or some less, and the marks.
    pub fn forget(&mut self, most: usize) {
        let text = &mut self.written.text;
        let mut surplus = text.len().saturating_sub(most);
        while !text.is_char_boundary(surplus) {
            surplus += 1;
        }
        text.drain(..surplus);
        self.offsets.drain(..surplus);
        self.marks.clear();
    }
}

impl Written {
    fn take_back(&mut self) {
        self.text.pop();
        self.kept = self.text.len();
    }
}

impl Handler for Written {
    fn ascii(&mut self, text: &[u8]) {
        self.text.extend(text.iter().map(|&byte| char::from(byte)));
    }

    fn character(&mut self, character: char) {
        self.text.push(character);
    }

    fn text_ends(&mut self) {}

    fn execute(&mut self, control: u8) {
        match control {
            0x08 if !self.text.ends_with('\n') => self.take_back(),
            b'\n' => {
                if self.text.ends_with('\r') {
                    self.take_back();
                }
                self.text.push('\n');
            }
            b'\t' | b'\r' => self.text.push(char::from(control)),
            _ => {}
        }
    }

    fn escape(&mut self, _: &[u8], _: u8) {}

    fn control(&mut self, _: &[u8], _: &Params, _: u8) {}

    fn command(&mut self, text: &[u8], place: Place) {
        let text = text
            .strip_prefix(b"133;")
            .and_then(|text| std::str::from_utf8(text).ok());
        // It is given one byte at a time.
        self.mark = text.map(|text| (text.to_owned(), place.end as u64 - 1));
    }

    fn device(&mut self, _: &[u8], _: &Params, _: u8, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_was_written_and_where() {
        let mut plain = Plain::default();
        plain.advance(b"\x1b[1mab\x08\xc3", 100);
        plain.advance(
            "\u{e9}\r\n\x1b]133;D;0\x07x\ty"
                .as_bytes()
                .get(1..)
                .unwrap(),
            108,
        );
        assert_eq!(plain.text(), "a\u{e9}\nx\ty");
        assert_eq!(plain.offset(0), Some(105));
        assert_eq!((plain.offset(1), plain.offset(2)), (Some(109), Some(109)));
        assert_eq!(plain.offset(3), Some(111));
        let mark = PlainMark {
            mark: "D;0".to_owned(),
            at: 4,
            offset: 121,
        };
        assert_eq!(plain.marks(), [mark]);
        assert_eq!(plain.offset(99), None);
        plain.forget(5);
        assert_eq!((plain.text(), plain.offset(0)), ("\nx\ty", Some(111)));
    }
}
