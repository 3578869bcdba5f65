//! The screen of a terminal: what its output has drawn so far, and how to draw it again.
//!
//! Output goes through a [`parser`] to a [`term`], which has two [`buffer`]s of [`row`]s of [`cell`]s. It
//! takes every sequence as xterm.js does, which shows the same output in browsers: a [`snapshot`] is bytes
//! that bring xterm.js to where the whole output would have brought it. Programs that ask get the answers
//! that xterm.js would give.
//!
//! All memory is bounded, whatever the output is.

mod buffer;
mod cell;
mod charset;
mod colors;
mod command;
mod control;
mod cursor;
mod erase;
mod mode;
mod params;
mod parser;
mod plain;
mod print;
mod report;
mod resize;
mod row;
mod said;
mod sgr;
mod snapshot;
mod tables;
mod term;
mod titles;
mod unicode;
mod unicode_table;
mod utf8;
mod view;

use parser::Parser;
use term::Term;

pub use cell::Color;
pub use colors::Rgb;
pub use plain::{Plain, PlainMark};
pub use said::Said;
pub use tables::Link;
pub use view::{Cursor, Line, Look, Run};

/// A terminal's screen.
#[derive(Debug)]
pub struct Screen {
    parser: Parser,
    term: Term,
}

impl Screen {
    /// An empty one. There are two columns at least, and one row.
    pub fn new(columns: u16, rows: u16) -> Self {
        Self {
            parser: Parser::default(),
            term: Term::new(usize::from(columns.max(2)), usize::from(rows.max(1))),
        }
    }

    /// Draws `output`.
    pub fn advance(&mut self, output: &[u8]) {
        self.parser.advance(&mut self.term, output);
    }

    /// Gives it this size; when it is another, lines are wrapped again.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let (columns, rows) = (usize::from(columns.max(2)), usize::from(rows.max(1)));
        if (columns, rows) != (self.term.columns, self.term.rows) {
            self.term.resize(columns, rows);
        }
    }

    /// Its columns and rows.
    pub fn size(&self) -> (u16, u16) {
        let side = |cells: usize| u16::try_from(cells).unwrap_or(u16::MAX);
        (side(self.term.columns), side(self.term.rows))
    }

    /// The title that a program set last.
    pub fn title(&self) -> &str {
        &self.term.titles.window.text
    }

    /// The answers to queries in the output since this was last called.
    pub fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.term.answers)
    }

    /// What the shell has said of its prompts and commands since this was last called. It has to be called after each
    /// [`Self::advance`] if the places are to mean anything.
    pub fn take_said(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.term.said)
    }

    /// The bytes that draw this screen on a terminal of its size that has just been reset, and how many bytes
    /// before the end of the output they are valid at: a sequence that has only begun is in neither.
    pub fn snapshot(&self) -> (Vec<u8>, u64) {
        let mut bytes = snapshot::write(&self.term);
        let (prefix, begun) = self.parser.begun();
        bytes.extend_from_slice(prefix);
        (bytes, begun)
    }
}
