//! What a terminal has: its two screens, and how it takes what comes next.

use std::sync::Arc;

use crate::buffer::Buffer;
use crate::cell::{Cell, Content};
use crate::charset::Charset;
use crate::colors::Colors;
use crate::mode::Modes;
use crate::row::Row;
use crate::said::{Said, Start};
use crate::tables::{Clusters, Extra, Extras, Link};
use crate::titles::Titles;
use crate::unicode::Preceding;

/// Lines that have scrolled off and are kept.
const HISTORY: usize = 1000;

/// And the most bytes of them.
const HISTORY_BYTES: usize = 2 * 1024 * 1024;

/// Whether [`Pen::bg`] says that the pen has an [`Extra`].
pub const HAS_EXTRA: u32 = 1 << 28;

/// How the next character looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pen {
    /// As in a cell.
    pub fg: u32,
    /// As in a cell, with [`HAS_EXTRA`].
    pub bg: u32,
    /// What few have.
    pub extra: Extra,
}

/// A terminal; see the module.
#[derive(Debug)]
pub struct Term {
    pub columns: usize,
    pub rows: usize,
    pub main: Buffer,
    pub alternate: Buffer,
    pub is_alternate: bool,
    pub pen: Pen,
    /// The pen as a cell.
    template: Cell,
    /// What few have as the pen had it last, and its number.
    numbered: (Extra, u32),
    pub clusters: Clusters,
    pub extras: Extras,
    pub charsets: [Charset; 4],
    /// Which of them is in use.
    pub level: usize,
    /// What is in use; after a restored cursor it can be another than that.
    pub charset: Charset,
    pub modes: Modes,
    pub preceding: Preceding,
    /// Whether the last thing was text.
    pub in_text: bool,
    pub titles: Titles,
    pub colors: Colors,
    /// Where the shell is (OSC 7).
    pub directory: String,
    /// How many links had no id.
    pub links: u64,
    /// What programs have asked, answered.
    pub answers: Vec<u8>,
    /// What the shell has said.
    pub said: Vec<Said>,
    /// Where the user types a command.
    pub input: Option<Start>,
}

/// How many lines are kept at this width.
pub fn history(columns: usize) -> usize {
    HISTORY.min(HISTORY_BYTES / (columns * size_of::<Cell>()))
}

impl Term {
    /// One that shows nothing.
    pub fn new(columns: usize, rows: usize) -> Self {
        let mut main = Buffer::new(columns, rows, history(columns));
        main.show(Cell::EMPTY);
        Self {
            columns,
            rows,
            main,
            alternate: Buffer::new(columns, rows, 0),
            is_alternate: false,
            pen: Pen::default(),
            template: Cell::EMPTY,
            numbered: (Extra::default(), 0),
            clusters: Clusters::default(),
            extras: Extras::default(),
            charsets: [Charset::ASCII; 4],
            level: 0,
            charset: Charset::ASCII,
            modes: Modes::default(),
            preceding: Preceding::NOTHING,
            in_text: false,
            titles: Titles::default(),
            colors: Colors::default(),
            directory: String::new(),
            links: 0,
            answers: Vec::new(),
            said: Vec::new(),
            input: None,
        }
    }

    /// The screen that is shown.
    pub fn buffer(&mut self) -> &mut Buffer {
        if self.is_alternate {
            &mut self.alternate
        } else {
            &mut self.main
        }
    }

    /// What erased cells are.
    pub fn erased(&self) -> Cell {
        Cell::erased(self.pen.bg)
    }

    /// What the pen writes, without a character.
    pub fn template(&self) -> Cell {
        self.template
    }

    /// A cell without a character of its own, as the pen writes it.
    pub fn blank(&self, width: u8) -> Cell {
        self.template.with(Content::Empty, width)
    }

    /// Takes the pen as it is now.
    pub fn take_pen(&mut self) {
        let extra = if self.pen.bg & HAS_EXTRA != 0 {
            self.number_of_pen()
        } else {
            0
        };
        self.template = Cell::looking(self.pen.fg, self.pen.bg & !HAS_EXTRA, extra);
    }

    fn number_of_pen(&mut self) -> u32 {
        let (extra, number) = &self.numbered;
        if *extra == self.pen.extra {
            return *number;
        }
        let extra = self.pen.extra.clone();
        let number = self.number_of(&extra);
        self.numbered = (extra, number);
        number
    }

    fn number_of(&mut self, extra: &Extra) -> u32 {
        if let Some(number) = self.extras.number(extra) {
            return number;
        }
        let cells = self.count();
        if !self.extras.is_due(cells) {
            return 0;
        }
        let used: Vec<u32> = self.cells().map(|cell| cell.extra).collect();
        let moved = self.extras.keep(used.into_iter());
        for cell in self.rows_mut().flat_map(Row::cells_mut) {
            cell.extra = moved.get(&cell.extra).copied().unwrap_or(0);
        }
        self.extras.number(extra).unwrap_or(0)
    }

    /// The number of characters that share a cell; none when there are too many different ones.
    pub fn number_of_cluster(&mut self, text: &str) -> Option<u32> {
        let text: Box<str> = text.into();
        if let Some(number) = self.clusters.number(&text) {
            return Some(number);
        }
        let cells = self.count();
        if !self.clusters.is_due(cells) {
            return None;
        }
        let number = |cell: &Cell| match cell.content() {
            Content::Cluster(number) => Some(number),
            _ => None,
        };
        let used: Vec<u32> = self.cells().filter_map(number).collect();
        let moved = self.clusters.keep(used.into_iter());
        for cell in self.rows_mut().flat_map(Row::cells_mut) {
            if let Content::Cluster(number) = cell.content() {
                let content = moved
                    .get(&number)
                    .copied()
                    .map_or(Content::Empty, Content::Cluster);
                *cell = cell.with(content, cell.width());
            }
        }
        self.clusters.number(&text)
    }

    /// About how many cells there are.
    fn count(&self) -> usize {
        (self.main.lines.len() + self.alternate.lines.len()) * self.columns
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        let rows = self.main.lines.iter().chain(&self.alternate.lines);
        rows.flat_map(Row::cells)
    }

    fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.main.lines.iter_mut().chain(&mut self.alternate.lines)
    }

    /// Keeps the cursor on the screen, or, in origin mode, in what scrolls. Behind the last column only if
    /// `behind`.
    pub fn restrict(&mut self, behind: bool) {
        let origin = self.modes.origin;
        let most = self.columns - usize::from(!behind);
        let rows = self.rows;
        let buffer = self.buffer();
        buffer.x = buffer.x.min(most);
        buffer.y = if origin {
            buffer.y.max(buffer.top).min(buffer.bottom)
        } else {
            buffer.y.min(rows - 1)
        };
    }

    /// Puts the cursor there, in origin mode from where scrolling begins.
    pub fn place(&mut self, x: usize, y: usize) {
        let origin = self.modes.origin;
        let buffer = self.buffer();
        buffer.x = x;
        buffer.y = if origin {
            y.saturating_add(buffer.top)
        } else {
            y
        };
        self.restrict(false);
    }

    /// Scrolls by one line.
    pub fn scroll(&mut self, wrapped: bool) {
        let fill = self.erased();
        self.buffer().scroll(fill, wrapped);
    }

    /// As after it was switched on, but for its size, titles, colours and where the shell is.
    pub fn reset(&mut self) {
        let new = Self::new(self.columns, self.rows);
        let modes = self.modes.after_reset();
        let old = std::mem::replace(self, new);
        self.modes = modes;
        self.titles = old.titles;
        self.colors = old.colors;
        self.directory = old.directory;
        self.links = old.links;
        self.answers = old.answers;
        self.said = old.said;
    }

    /// A link to `uri`, one with others that have the same `id`.
    pub fn link(&mut self, id: String, uri: String) -> Arc<Link> {
        self.links += u64::from(id.is_empty());
        let serial = if id.is_empty() { self.links } else { 0 };
        Arc::new(Link { id, uri, serial })
    }
}
