//! The lines of a screen, and what has scrolled off it, as text.
//!
//! Lines that were wrapped are written through, so that they wrap there as well and can be unwrapped by a
//! later resize. Where nothing was written is left out: the page's terminal knows it from blanks.

use std::io::Write;

use super::look::Look;
use crate::buffer::Buffer;
use crate::cell::{COLOR, Cell, Content};
use crate::row::{Mark, Row};
use crate::term::Term;
use crate::unicode::Preceding;

/// The most bytes of lines that have scrolled off; the oldest are left out.
const MAX_HISTORY: usize = 512 * 1024;

/// The most bytes of the lines on the screen with links. What is more goes without.
const MAX_LINKED: usize = 1024 * 1024;

/// The most bytes with looks. What is more goes as text alone.
const MAX_DRESSED: usize = 16 * 1024 * 1024;

/// Appends the lines of a screen. The cursor is where the first one begins.
pub fn write(term: &Term, buffer: &Buffer, out: &mut Vec<u8>) {
    let base = buffer.base();
    let mut screen = Vec::new();
    for index in base..buffer.lines.len() {
        let detail = match screen.len() {
            ..MAX_LINKED => Detail::All,
            MAX_LINKED..MAX_DRESSED => Detail::NoLinks,
            _ => Detail::Text,
        };
        screen.append(&mut drawn(term, buffer, index, detail));
    }
    let mut history = Vec::new();
    let mut budget = MAX_HISTORY;
    for index in (0..base).rev() {
        let line = drawn(term, buffer, index, Detail::All);
        let Some(left) = budget.checked_sub(line.len()) else {
            break;
        };
        budget = left;
        history.push(line);
    }
    for line in history.iter().rev() {
        out.extend_from_slice(line);
    }
    out.append(&mut screen);
}

/// A line as the bytes that draw it, and lead to the next.
fn drawn(term: &Term, buffer: &Buffer, index: usize, detail: Detail) -> Vec<u8> {
    let row = &buffer.lines[index];
    let before = index.checked_sub(1).map(|index| &buffer.lines[index]);
    let next = buffer.lines.get(index + 1);
    let mut line = Line {
        term,
        detail,
        columns: buffer.columns,
        rows: buffer.rows,
        look: Look::default(),
        column: 0,
        out: Vec::new(),
        preceding: Preceding::NOTHING,
        text_end: 0,
    };
    line.write(
        before.filter(|_| row.wrapped),
        row,
        next.filter(|it| it.wrapped),
    );
    if next.is_some_and(|next| !next.wrapped) {
        line.out.extend_from_slice(b"\r\n");
    }
    line.out
}

/// How much of a line is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    All,
    NoLinks,
    Text,
}

struct Line<'a> {
    term: &'a Term,
    detail: Detail,
    columns: usize,
    rows: usize,
    look: Look,
    /// Where the cursor is; behind the last one when the next character wraps.
    column: usize,
    out: Vec<u8>,
    /// The last character of the text that ends there.
    preceding: Preceding,
    text_end: usize,
}

impl Line<'_> {
    /// Each line ends as it began, so that lines before it can be left out, and so that no line takes the
    /// background of what scrolled it in.
    fn write(&mut self, before: Option<&Row>, row: &Row, next: Option<&Row>) {
        let mut marks = &row.marks[..];
        if let Some(before) = before {
            self.wrap(before, row);
        }
        let is_left_out = next.is_some_and(|next| next.get(0).width() == 2) && self.is_open(row);
        let end = self.end(row).min(self.columns - usize::from(is_left_out));
        let mut column = self.column;
        while column < end {
            self.marks(column, &mut marks);
            column = self.cells(row, column, marks);
        }
        self.marks(usize::MAX, &mut marks);
        if next.is_some() && self.is_open(row) && self.column < self.columns {
            self.forward(self.columns - 1);
            // Whatever is there, the line has to be full for the next one to be wrapped.
            if !is_left_out {
                self.change(Look::default());
                self.out.push(b' ');
            }
        }
        self.change(Look::default());
    }

    /// Writes the first cell of a line that goes on with `before`, whose last cell may have been filled for
    /// that alone.
    fn wrap(&mut self, before: &Row, row: &Row) {
        let first = row.get(0);
        let look = self.look_of(first);
        if first.has_content() {
            self.change(look.clone());
            // Whatever comes before, this one did not join it.
            if !matches!(first.content(), Content::Char(' '..='~')) {
                self.out.extend_from_slice(b"\x1b\\");
            }
            self.text(first.content());
            self.column = usize::from(first.width().max(1));
            // The line may have been scrolled in with that background.
            if self.look.bg & COLOR != 0 && self.column < self.columns {
                self.change(Look::default());
                self.out.extend_from_slice(b"\x1b[K");
            }
        } else {
            self.out.extend_from_slice(b" \r");
            self.erase(look.clone(), 1);
        }
        // It took a blank, or the look of the wide character that did not fit.
        let last = self.look_of(before.get(self.columns - 1));
        let is_other = last.is_erased() && (first.width() < 2 || last != look);
        if self.is_open(before) && is_other && self.rows > 1 && self.column < self.columns {
            let _ = write!(self.out, "\x1b[A\x1b[{}G", self.columns);
            self.erase(last, 1);
            let _ = write!(self.out, "\x1b[B\x1b[{}G", self.column + 1);
        }
    }

    /// Whether nothing was written to the last cell.
    fn is_open(&self, row: &Row) -> bool {
        let last = row.get(self.columns - 1);
        !last.has_content() && last.width() == 1
    }

    /// The column behind the last one that is to be seen.
    fn end(&self, row: &Row) -> usize {
        let cells = &row.cells()[..self.columns.min(row.cells().len())];
        let is_seen =
            |cell: &Cell| cell.has_content() || (cell.fg, cell.bg, cell.extra) != (0, 0, 0);
        let last = cells.iter().rposition(is_seen);
        last.map_or(0, |column| column + 1)
    }

    /// Writes the cell there, or the empty ones from there on, and returns the column of the next.
    fn cells(&mut self, row: &Row, column: usize, marks: &[Mark]) -> usize {
        let cell = row.get(column);
        let look = self.look_of(cell);
        // What a narrower size has cut in half is not there.
        let fits = column + usize::from(cell.width()) <= self.columns;
        if cell.has_content() && cell.width() > 0 && fits {
            self.forward(column);
            self.change(look);
            self.text(cell.content());
            self.column += usize::from(cell.width());
            return self.column;
        }
        let marked = marks.first().map_or(usize::MAX, |mark| mark.column);
        let end = self.columns.min(marked.max(column + 1));
        let is_alike = |it: &&Cell| {
            (!it.has_content() || it.width() == 0 || !fits)
                && (it.fg, it.bg, it.extra) == (cell.fg, cell.bg, cell.extra)
        };
        let alike = row.cells()[column..end].iter().take_while(is_alike);
        let alike = alike.count();
        if !look.is_erased() {
            // Nothing else shows a look without a character.
            self.forward(column);
            self.change(look);
            self.out.extend(std::iter::repeat_n(b' ', alike));
            self.column += alike;
            self.preceding = Preceding::PLAIN;
            self.text_end = self.out.len();
        } else if look != Look::default() {
            self.forward(column);
            self.erase(look, alike);
        }
        column + alike
    }

    fn erase(&mut self, look: Look, count: usize) {
        self.change(look);
        let _ = write!(self.out, "\x1b[{count}X");
    }

    /// Moves the cursor to the right, to that column.
    fn forward(&mut self, to: usize) {
        let _ = match to.saturating_sub(self.column) {
            0 => Ok(()),
            1 => write!(self.out, "\x1b[C"),
            count => write!(self.out, "\x1b[{count}C"),
        };
        self.column = to.max(self.column);
    }

    /// Writes the marks up to that column.
    fn marks(&mut self, column: usize, marks: &mut &[Mark]) {
        while let Some((mark, rest)) = marks.split_first()
            && mark.column <= column
        {
            self.forward(mark.column.min(self.columns - 1));
            let _ = write!(self.out, "\x1b]133;{}\x1b\\", mark.text);
            *marks = rest;
        }
    }

    /// Writes what stands in a cell of its own.
    fn text(&mut self, content: Content) {
        let text = self.term.text(content);
        let shares = |before: Preceding, character| before.next(character).joins;
        if self.out.len() == self.text_end {
            if text
                .first()
                .is_some_and(|first| shares(self.preceding, first))
            {
                // It came behind something else than text.
                self.out.extend_from_slice(b"\x1b\\");
                self.preceding = Preceding::NOTHING;
            }
        } else {
            self.preceding = Preceding::NOTHING;
        }
        text.write(&mut self.out);
        for character in text.characters() {
            self.preceding = Preceding::is(self.preceding.next(character));
        }
        self.text_end = self.out.len();
    }

    fn look_of(&self, cell: Cell) -> Look {
        if self.detail == Detail::Text {
            return Look::default();
        }
        let mut look = Look::of(cell, &self.term.extras);
        if self.detail == Detail::NoLinks {
            look.extra.link = None;
        }
        look
    }

    fn change(&mut self, look: Look) {
        self.look.change(look, &mut self.out);
    }
}
