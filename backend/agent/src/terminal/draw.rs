//! Drawing: output goes through the emulator's parser, but for runs of plain text.
//!
//! Most of what programs put out is runs of printable ASCII. The emulator takes one character at a
//! time and asks each for its width, its character set and its place. Here a run is written into
//! its cells at once, which takes little more than half the time for plain text. Only the simple
//! case is: whatever else there is, and the last character of each run, is the parser's. (That one
//! may have to be repeated by REP, or wrap the line.)

use alacritty_terminal::Term;
use alacritty_terminal::event::EventListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::Column;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{CharsetIndex, Processor, StandardCharset, Timeout};
use memchr::memchr;

use super::sequence::{ESC, Place};

/// The shortest run that is worth it.
const RUN: usize = 8;

/// Draws output on a grid.
#[derive(Default)]
pub struct Pen {
    parser: Processor<Unsynchronized>,
    /// Where the parser is. A character of UTF-8 counts as no place of its own.
    place: Place,
    /// Whether the last byte was part of a character of UTF-8, perhaps not the last part.
    in_character: bool,
}

impl Pen {
    /// Draws `output`.
    pub fn draw<L: EventListener>(&mut self, term: &mut Term<L>, mut output: &[u8]) {
        while !output.is_empty() {
            let (before, rest) = output.split_at(self.find(output));
            let (run, rest) = rest.split_at(printable(rest));
            self.parser.advance(term, before);
            self.print(term, run);
            output = rest;
        }
    }

    /// Where the next run begins, or the end; the place is the one there.
    fn find(&mut self, output: &[u8]) -> usize {
        let mut at = 0;
        while at < output.len() {
            if self.place == Place::Ground {
                let text = &output[at..];
                let text = &text[..memchr(ESC, text).unwrap_or(text.len())];
                if let Some(start) = self.find_in_text(text) {
                    return at + start;
                }
                at += text.len();
                let whole = control_sequence(&output[at..]);
                if whole > 0 {
                    self.in_character = false;
                    at += whole;
                    continue;
                }
            }
            if let Some(&byte) = output.get(at) {
                self.place = self.place.after(byte);
                self.in_character = false;
                at += 1;
            }
        }
        at
    }

    /// Where the first run begins in text without sequences.
    ///
    /// The byte after a character of UTF-8 never begins a run. Only with it does the parser know
    /// that the character was incomplete, and it must not be left in the middle of one.
    fn find_in_text(&mut self, text: &[u8]) -> Option<usize> {
        if text.len() < RUN {
            // Between sequences, most of it is.
            self.in_character = text
                .last()
                .map_or(self.in_character, |byte| !byte.is_ascii());
            return None;
        }
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            let start = at + usize::from(self.in_character);
            let length = printable(&text[at..]);
            self.in_character = length == 0 && !byte.is_ascii();
            if at + length >= start + RUN {
                return Some(start);
            }
            at += length.max(1);
        }
        None
    }

    fn print<L: EventListener>(&mut self, term: &mut Term<L>, mut run: &[u8]) {
        while let Some((_, but_last)) = run.split_last() {
            let written = write(term, but_last);
            // One character may fill the line; the next is the first of another.
            let parsed = run.len().min(written.map_or(run.len(), |count| count + 2));
            self.parser
                .advance(term, &run[written.unwrap_or(0)..parsed]);
            run = &run[parsed..];
        }
    }
}

/// How many bytes at the front are printable ASCII.
fn printable(output: &[u8]) -> usize {
    let is_printable = |byte: &u8| matches!(byte, 0x20..=0x7e);
    // Without a branch for each byte, so that the compiler makes one comparison of many.
    let (chunks, _) = output.as_chunks::<16>();
    let are_printable =
        |chunk: &&[u8; 16]| chunk.iter().fold(true, |all, it| all & is_printable(it));
    let whole = 16 * chunks.iter().take_while(are_printable).count();
    let rest = &output[whole..];
    whole
        + rest
            .iter()
            .position(|it| !is_printable(it))
            .unwrap_or(rest.len())
}

/// The length of the control sequence at the front: 0 when there is no whole one.
fn control_sequence(output: &[u8]) -> usize {
    let Some(rest) = output.strip_prefix(b"\x1b[") else {
        return 0;
    };
    let end = rest.iter().position(|byte| !matches!(byte, 0x20..=0x3f));
    match end {
        Some(end) if matches!(rest[end], 0x40..=0x7e) => 2 + end + 1,
        _ => 0,
    }
}

/// Writes as much of `text` as goes on the line before its last column, and returns how many bytes
/// that is; nothing when it is not as simple as that.
fn write<L: EventListener>(term: &mut Term<L>, text: &[u8]) -> Option<usize> {
    if term.mode().contains(TermMode::INSERT) {
        return None;
    }
    let columns = term.columns();
    let grid = term.grid_mut();
    let cursor = &grid.cursor;
    let plain = cursor.template.extra.is_none()
        && SETS
            .iter()
            .all(|&set| cursor.charsets[set] == StandardCharset::Ascii);
    if !plain {
        return None;
    }
    if cursor.input_needs_wrap {
        return Some(0);
    }
    let (from, line) = (cursor.point.column.0, cursor.point.line);
    let (fg, bg, flags) = (
        cursor.template.fg,
        cursor.template.bg,
        cursor.template.flags,
    );
    let to = columns.saturating_sub(1).min(from + text.len()).max(from);
    let cells = &mut grid[line][Column(from)..Column(to)];
    // To overwrite half of a wide character is to change the other half too.
    let wide = Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER;
    if cells.iter().any(|cell| cell.flags.intersects(wide)) {
        return None;
    }
    for (cell, &byte) in cells.iter_mut().zip(text) {
        *cell = Cell {
            c: char::from(byte),
            fg,
            bg,
            flags,
            extra: None,
        };
    }
    grid.cursor.point.column = Column(to);
    Some(to - from)
}

/// Whichever of them is in use.
const SETS: [CharsetIndex; 4] = [
    CharsetIndex::G0,
    CharsetIndex::G1,
    CharsetIndex::G2,
    CharsetIndex::G3,
];

/// Draws a synchronized update (mode 2026) as it comes. Holding it back is the viewer's part; the
/// screen has to be right at every offset.
#[derive(Default)]
struct Unsynchronized;

impl Timeout for Unsynchronized {
    fn set_timeout(&mut self, _: std::time::Duration) {}

    fn clear_timeout(&mut self) {}

    fn pending_timeout(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use alacritty_terminal::event::VoidListener;
    use alacritty_terminal::index::Line;
    use alacritty_terminal::term::Config;
    use alacritty_terminal::term::test::TermSize;
    use proptest::prelude::*;

    use super::*;

    fn term() -> Term<VoidListener> {
        let config = Config {
            scrolling_history: 10,
            ..Config::default()
        };
        Term::new(config, &TermSize::new(24, 5), VoidListener)
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let known: Vec<&'static [u8]> = vec![
            b"\r\n",
            b"\r",
            b"\n",
            b"\t",
            b"\x08",
            b"\x1b[3b",
            b"\x1b[4h",
            b"\x1b[4l",
            b"\x1b[?7l",
            b"\x1b[?7h",
            b"\x1b(0",
            b"\x1b(B",
            b"\x0e",
            b"\x0f",
            b"\x1b)0",
            b"\x1b[31;1m",
            b"\x1b[48;5;20m",
            b"\x1b[4;58;5;3m",
            b"\x1b[0m",
            b"\x1b]8;id=1;http://a\x07",
            b"\x1b]8;;\x07",
            b"\x1b]2;long title here\x1b\\",
            b"\x1bPq long device text\x07 more\x1b\\",
            b"\x1b[2;4r",
            b"\x1b[?6h",
            b"\x1b[2;20H",
            b"\x1b[H",
            b"\x1b[?1049h",
            b"\x1b[?1049l",
            b"\x1b7",
            b"\x1b8",
            b"\x1b[K",
            b"\x1b[2J",
            b"\x1b[5P",
            b"\x1b[2@",
            b"\x1b[L",
            b"\x1b#8",
            b"\x1bc",
            b"\x1b[",
            b"\x1b",
            b"\x1b]0;",
            b"\x18",
            b"\xe6\xbc",
            b"\xf0\x9f",
            b"\xff",
            b"\xc3",
            "\u{9b}".as_bytes(),
            "日本語".as_bytes(),
            "e\u{301}".as_bytes(),
            "größe".as_bytes(),
            b"\x1b[?2026h",
            b"\x1b[?2026l",
        ];
        prop_oneof![
            2 => "[ -~]{1,40}".prop_map(String::into_bytes),
            3 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// However the output is made up and cut: the same cells, cursor and modes as by the
        /// parser alone.
        #[test]
        fn draws_what_the_parser_draws(
            pieces in prop::collection::vec(piece(), 0..30),
            cut in 1usize..50,
        ) {
            let output = pieces.concat();
            let (mut drawn, mut pen) = (term(), Pen::default());
            let (mut parsed, mut parser) = (term(), Processor::<Unsynchronized>::new());
            for part in output.chunks(cut) {
                pen.draw(&mut drawn, part);
                parser.advance(&mut parsed, part);
                prop_assert_eq!(drawn.mode(), parsed.mode());
                prop_assert_eq!(&drawn.grid().cursor, &parsed.grid().cursor);
                prop_assert_eq!(drawn.topmost_line(), parsed.topmost_line());
                for line in drawn.topmost_line().0..5 {
                    for column in 0..24 {
                        let (line, column) = (Line(line), Column(column));
                        prop_assert_eq!(&drawn.grid()[line][column], &parsed.grid()[line][column]);
                    }
                }
            }
        }
    }
}
