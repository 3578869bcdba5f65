//! What a screen shows, for those who do not draw it as a terminal does.

use std::ops::Range;
use std::sync::Arc;

use crate::Screen;
use crate::buffer::Buffer;
use crate::cell::{
    BLINK, BOLD, Cell, Color, DIM, INVERSE, INVISIBLE, ITALIC, OVERLINE, STRIKE, UNDERLINE,
};
use crate::colors::Rgb;
use crate::row::Row;
use crate::tables::{Extra, Link};

/// Where the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The column, from 0; the number of columns behind a line that is full.
    pub x: usize,
    /// The line of the screen, from 0.
    pub y: usize,
    /// Whether it is shown.
    pub is_visible: bool,
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Whether it goes on with what did not fit the one before.
    pub is_wrapped: bool,
    /// What is in it, up to the last thing that was written or has a look of its own.
    pub runs: Vec<Run>,
}

/// Cells in a row that look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What they show; blanks for cells in which nothing was written.
    pub text: String,
    /// The column of the first, from 0.
    pub x: usize,
    /// How many cells they are. Where that is twice the number of characters, they are wide ones.
    pub columns: usize,
    /// How they look.
    pub look: Look,
}

/// How cells look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each of them is one")]
pub struct Look {
    /// The text's colour.
    pub foreground: Color,
    /// The colour behind it.
    pub background: Color,
    /// SGR 1.
    pub bold: bool,
    /// SGR 2.
    pub dim: bool,
    /// SGR 3.
    pub italic: bool,
    /// SGR 4: 0 none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed.
    pub underline: u8,
    /// SGR 5.
    pub blink: bool,
    /// SGR 7: the two colours have changed places.
    pub inverse: bool,
    /// SGR 8.
    pub invisible: bool,
    /// SGR 9.
    pub strike: bool,
    /// SGR 53.
    pub overline: bool,
    /// Where it leads (OSC 8).
    pub link: Option<Arc<Link>>,
}

impl Line {
    /// Its text.
    pub fn text(&self) -> String {
        self.runs.iter().map(|run| &*run.text).collect()
    }
}

impl Screen {
    /// Where the cursor is.
    pub fn cursor(&self) -> Cursor {
        let buffer = self.shown();
        Cursor {
            x: buffer.x,
            y: buffer.y,
            is_visible: self.term.modes.cursor,
        }
    }

    /// Whether the other screen is shown, which has no lines that have scrolled off.
    pub fn is_alternate(&self) -> bool {
        self.term.is_alternate
    }

    /// Where the shell is, as it says itself (OSC 7); empty when it does not.
    pub fn directory(&self) -> &str {
        &self.term.directory
    }

    /// Whether cursor keys are to send what applications want (DECCKM).
    pub fn has_application_cursor(&self) -> bool {
        self.term.modes.application_cursor
    }

    /// Whether what is pasted is to be put in brackets (mode 2004).
    pub fn has_bracketed_paste(&self) -> bool {
        self.term.modes.bracketed_paste
    }

    /// How many lines have scrolled off and are kept.
    pub fn history(&self) -> usize {
        self.shown().base()
    }

    /// These lines: 0 is the first on the screen, and -1 the last that has scrolled off. There are none for
    /// numbers beyond those that there are.
    pub fn lines(&self, numbers: Range<i64>) -> Vec<Line> {
        let buffer = self.shown();
        let base = i64::try_from(buffer.base()).unwrap_or(i64::MAX);
        let index = |number: i64| usize::try_from(number.saturating_add(base)).unwrap_or(0);
        let end = index(numbers.end).min(buffer.lines.len());
        let rows = index(numbers.start)..end;
        rows.map(|row| self.line(&buffer.lines[row])).collect()
    }

    /// The text of the lines on the screen, with those in one that were wrapped.
    pub fn shown_text(&self) -> String {
        let buffer = self.shown();
        let mut text = String::new();
        for (index, row) in buffer.lines.iter().skip(buffer.base()).enumerate() {
            if index > 0 && !row.wrapped {
                text.push('\n');
            }
            for cell in &row.cells()[..row.written().min(buffer.columns)] {
                cell.write(&self.term.clusters, &mut text);
            }
        }
        text.truncate(text.trim_end_matches('\n').len());
        text
    }

    /// Whether the shell waits for a command, as far as it says so (OSC 133).
    pub fn is_at_prompt(&self) -> bool {
        let buffer = self.shown();
        let end = (buffer.base() + buffer.y + 1).min(buffer.lines.len());
        let mut rows = buffer.lines.range(..end).rev();
        let last = rows.find_map(|row| row.marks.last());
        last.is_some_and(|mark| mark.text.starts_with(['A', 'B', 'P']))
    }

    /// The value of a colour; none for the terminal's own.
    pub fn rgb(&self, color: Color) -> Option<Rgb> {
        match color {
            Color::Default => None,
            Color::Named(index) | Color::Indexed(index) => {
                Some(self.term.colors.value(usize::from(index)))
            }
            Color::Rgb(r, g, b) => Some([r, g, b]),
        }
    }

    /// The colours of text and of what is behind it, where they have no other.
    pub fn own_colors(&self) -> (Rgb, Rgb) {
        let [foreground, background, _] = self.term.colors.special_values();
        (foreground, background)
    }

    fn shown(&self) -> &Buffer {
        if self.term.is_alternate {
            &self.term.alternate
        } else {
            &self.term.main
        }
    }

    fn line(&self, row: &Row) -> Line {
        let cells = row.cells();
        let shows = |cell: &Cell| cell.has_content() || cell.bg != 0 || cell.fg & INVERSE != 0;
        let end = cells.iter().rposition(shows).map_or(0, |last| last + 1);
        let mut runs: Vec<Run> = Vec::new();
        let mut last: Option<(Cell, u8)> = None;
        for (x, cell) in cells[..end].iter().enumerate() {
            let width = cell.width();
            if width == 0 {
                // Behind a wide character, which has it with it.
                continue;
            }
            let look = (cell.fg, cell.bg, cell.extra, width);
            let same = last.is_some_and(|(it, width)| (it.fg, it.bg, it.extra, width) == look);
            if !same {
                runs.push(Run {
                    text: String::new(),
                    x,
                    columns: 0,
                    look: self.look(*cell),
                });
                last = Some((*cell, width));
            }
            let Some(run) = runs.last_mut() else { continue };
            run.columns += usize::from(width);
            cell.write(&self.term.clusters, &mut run.text);
        }
        Line {
            is_wrapped: row.wrapped,
            runs,
        }
    }

    fn look(&self, cell: Cell) -> Look {
        let extra = self.term.extras.get(cell.extra);
        let is = |flag: u32| cell.fg & flag != 0;
        let has = |flag: u32| cell.bg & flag != 0;
        let style = extra.map_or(0, |extra: &Extra| extra.underline);
        Look {
            foreground: Color::of(cell.fg),
            background: Color::of(cell.bg),
            bold: is(BOLD),
            dim: has(DIM),
            italic: has(ITALIC),
            underline: if is(UNDERLINE) { style.max(1) } else { style },
            blink: is(BLINK),
            inverse: is(INVERSE),
            invisible: is(INVISIBLE),
            strike: is(STRIKE),
            overline: has(OVERLINE),
            link: extra.and_then(|extra| extra.link.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(output: &str) -> Screen {
        let mut screen = Screen::new(10, 3);
        screen.advance(output.as_bytes());
        screen
    }

    #[test]
    fn lines_are_numbered_from_the_screen() {
        let screen = drawn("one\r\ntwo\r\nthree\r\nfour\r\n");
        assert_eq!(screen.history(), 2);
        let text =
            |numbers| -> Vec<String> { screen.lines(numbers).iter().map(Line::text).collect() };
        assert_eq!(text(0..3), ["three", "four", ""]);
        assert_eq!(text(-1..1), ["two", "three"]);
        assert_eq!(text(-100..100), ["one", "two", "three", "four", ""]);
        assert_eq!(text(3..3), [""; 0]);
        assert_eq!(screen.shown_text(), "three\nfour");
        let Cursor { x, y, is_visible } = screen.cursor();
        assert_eq!((x, y, is_visible), (0, 2, true));
    }

    #[test]
    fn runs_are_cells_that_look_the_same() {
        let screen = drawn("a\x1b[1;31mbc\x1b[0m \u{4f60}\u{597d}\x1b[44m \x1b[0m");
        let runs = &screen.lines(0..1)[0].runs;
        let shown: Vec<_> = runs
            .iter()
            .map(|run| (&*run.text, run.x, run.columns))
            .collect();
        let expected = [
            ("a", 0, 1),
            ("bc", 1, 2),
            (" ", 3, 1),
            ("\u{4f60}\u{597d}", 4, 4),
            (" ", 8, 1),
        ];
        assert_eq!(shown, expected);
        assert!(runs[1].look.bold && !runs[0].look.bold);
        assert_eq!(runs[1].look.foreground, Color::Named(1));
        assert_eq!(
            screen.rgb(runs[4].look.background),
            Some([0x34, 0x65, 0xa4])
        );
    }

    #[test]
    fn what_was_wrapped_is_one_line_of_text() {
        let screen = drawn("0123456789abc\r\nnext");
        assert_eq!(screen.shown_text(), "0123456789abc\nnext");
        assert!(screen.lines(1..2)[0].is_wrapped);
    }

    #[test]
    fn a_link_and_an_underline_are_told() {
        let screen = drawn("\x1b]8;;http://x/\x1b\\y\x1b]8;;\x1b\\\x1b[4:3mz");
        let runs = &screen.lines(0..1)[0].runs;
        let link = runs[0].look.link.as_ref();
        assert_eq!(link.map(|link| &*link.uri), Some("http://x/"));
        assert_eq!((runs[1].look.underline, &runs[1].look.link), (3, &None));
    }

    #[test]
    fn a_prompt_is_where_the_shell_says() {
        let mut screen = drawn("x");
        assert!(!screen.is_at_prompt());
        screen.advance(b"\r\n\x1b]133;A\x07$ \x1b]133;B\x07");
        assert!(screen.is_at_prompt());
        screen.advance(b"ls\r\n\x1b]133;C\x07file\r\n");
        assert!(!screen.is_at_prompt());
        screen.advance(b"\x1b]133;D;0\x07\x1b]133;A\x07$ \x1b]133;B\x07");
        assert!(screen.is_at_prompt());
    }
}
