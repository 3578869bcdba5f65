//! The lines of one of a terminal's two screens, with what has scrolled off the first.

use std::collections::VecDeque;

use crate::cell::Cell;
use crate::charset::Charset;
use crate::row::Row;

/// How far apart tab stops are at first.
const TAB: usize = 8;

/// Where the cursor was when it was saved, and how it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The column.
    pub x: usize,
    /// The line, from the first that ever was.
    pub line: u64,
    /// The foreground, with its flags.
    pub fg: u32,
    /// The background, with its flags.
    pub bg: u32,
    /// The character set in use; none where none was ever saved.
    pub charset: Option<Charset>,
}

/// One of the two screens.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// What has scrolled off, and what is on the screen. No lines at all while it was never shown.
    pub lines: VecDeque<Row>,
    /// Lines that have gone for ever.
    gone: u64,
    pub x: usize,
    pub y: usize,
    pub columns: usize,
    pub rows: usize,
    /// The first line of what scrolls.
    pub top: usize,
    /// The last line of what scrolls.
    pub bottom: usize,
    pub tabs: Vec<bool>,
    pub saved: Saved,
    /// The most lines that have scrolled off.
    pub history: usize,
}

impl Buffer {
    /// An empty one, which keeps so many lines that have scrolled off.
    pub fn new(columns: usize, rows: usize, history: usize) -> Self {
        let mut buffer = Self {
            lines: VecDeque::new(),
            gone: 0,
            x: 0,
            y: 0,
            columns,
            rows,
            top: 0,
            bottom: rows - 1,
            tabs: Vec::new(),
            saved: Saved {
                x: 0,
                line: 0,
                fg: 0,
                bg: 0,
                charset: None,
            },
            history,
        };
        buffer.set_tabs(0);
        buffer
    }

    /// Gives it lines, unless it has some.
    pub fn show(&mut self, fill: Cell) {
        if self.lines.is_empty() {
            let row = Row::new(self.columns, fill);
            self.lines.resize(self.rows, row);
        }
    }

    /// Forgets everything but what was saved.
    pub fn clear(&mut self) {
        let saved = self.saved;
        *self = Self::new(self.columns, self.rows, self.history);
        self.saved = saved;
    }

    /// How many lines have scrolled off and are kept.
    pub fn base(&self) -> usize {
        self.lines.len().saturating_sub(self.rows)
    }

    /// The number of a line on the screen, from the first that ever was.
    pub fn number(&self, y: usize) -> u64 {
        self.gone + (self.base() + y) as u64
    }

    /// The line on the screen that has this number; the first one when it has scrolled off.
    pub fn row_of(&self, number: u64) -> usize {
        let base = self.gone + self.base() as u64;
        usize::try_from(number.saturating_sub(base)).unwrap_or(usize::MAX)
    }

    /// Where the line with this number is among those that are kept; the first when it has gone.
    pub fn index_of(&self, number: u64) -> usize {
        usize::try_from(number.saturating_sub(self.gone)).unwrap_or(usize::MAX)
    }

    /// A line of the screen.
    pub fn row(&mut self, y: usize) -> &mut Row {
        let at = self.base() + y;
        &mut self.lines[at]
    }

    /// The line of the cursor.
    pub fn current(&mut self) -> &mut Row {
        self.row(self.y)
    }

    /// Lets go of the oldest lines that are too many.
    pub fn trim(&mut self) {
        let most = self.rows + self.history;
        while self.lines.len() > most {
            self.lines.pop_front();
            self.let_go();
        }
    }

    /// Lets go of all lines that have scrolled off. Those that are left take their numbers, as in the
    /// page's terminal.
    pub fn forget(&mut self) {
        let base = self.base();
        self.lines.drain(..base);
    }

    /// Where nothing ever scrolls off, lines have no other numbers than on the screen.
    fn let_go(&mut self) {
        self.gone += u64::from(self.history > 0);
    }

    /// Scrolls by one line, which goes on with the one before when it is `wrapped`.
    pub fn scroll(&mut self, fill: Cell, wrapped: bool) {
        let base = self.base();
        if self.top > 0 {
            let mut row = self.lines.remove(base + self.top).expect("it is there");
            row.reset(self.columns, fill);
            row.wrapped = wrapped;
            self.lines.insert(base + self.bottom, row);
            return;
        }
        let mut row = if base >= self.history {
            let mut row = self.lines.pop_front().expect("there is one at least");
            self.let_go();
            row.reset(self.columns, fill);
            row
        } else {
            Row::new(self.columns, fill)
        };
        row.wrapped = wrapped;
        if self.bottom + 1 == self.rows {
            self.lines.push_back(row);
        } else {
            let behind = self.lines.len() - (self.rows - 1 - self.bottom);
            self.lines.insert(behind, row);
        }
    }

    /// Takes a line out and puts an empty one in, on the screen.
    pub fn rotate(&mut self, from: usize, to: usize, count: usize, fill: Cell) {
        let base = self.base();
        for _ in 0..count.min(self.rows) {
            let mut row = self.lines.remove(base + from).expect("it is on the screen");
            row.reset(self.columns, fill);
            self.lines.insert(base + to, row);
        }
    }

    /// Sets tab stops from that column on, in a line with the one before it.
    pub fn set_tabs(&mut self, from: usize) {
        let mut at = from;
        if from > 0 && !self.has_tab(from) {
            at = self.tab_before(from);
        } else if from == 0 {
            self.tabs.clear();
        }
        while at < self.columns {
            self.set_tab(at);
            at += TAB;
        }
    }

    /// Sets a tab stop.
    pub fn set_tab(&mut self, column: usize) {
        if self.tabs.len() <= column {
            self.tabs.resize(column + 1, false);
        }
        self.tabs[column] = true;
    }

    /// Whether a tab stops there.
    pub fn has_tab(&self, column: usize) -> bool {
        self.tabs.get(column).copied().unwrap_or(false)
    }

    /// Where a tab leads to from `column`.
    pub fn tab_after(&self, column: usize) -> usize {
        let mut stops = column + 1..self.columns;
        let found = stops.find(|&at| self.has_tab(at));
        found.unwrap_or(self.columns - 1)
    }

    /// Where a tab leads back to from `column`.
    pub fn tab_before(&self, column: usize) -> usize {
        let found = (0..column).rev().find(|&at| self.has_tab(at));
        found.unwrap_or(0).min(self.columns - 1)
    }
}
