//! One line.

use crate::cell::{Cell, Content};

/// One line of cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    cells: Vec<Cell>,
    /// Whether it goes on with what did not fit the one before.
    pub wrapped: bool,
    /// What a shell said about places in it.
    pub marks: Vec<Mark>,
}

/// What a shell says about a place (OSC 133): where its prompt begins, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The column.
    pub column: usize,
    /// `A`, `B`, `C`, `D;0` and so on.
    pub text: String,
}

/// The most marks of one line.
const MAX_MARKS: usize = 8;

impl Row {
    /// A line of such cells.
    pub fn new(columns: usize, fill: Cell) -> Self {
        Self {
            cells: vec![fill; columns],
            wrapped: false,
            marks: Vec::new(),
        }
    }

    /// Makes it as [`Self::new`] does.
    pub fn reset(&mut self, columns: usize, fill: Cell) {
        self.cells.clear();
        self.cells.resize(columns, fill);
        self.wrapped = false;
        self.marks.clear();
    }

    /// Its cells.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Its cells.
    pub fn cells_mut(&mut self) -> &mut [Cell] {
        &mut self.cells
    }

    /// The cell there; an empty one behind the end.
    pub fn get(&self, column: usize) -> Cell {
        self.cells.get(column).copied().unwrap_or(Cell::EMPTY)
    }

    /// Puts a cell there.
    pub fn set(&mut self, column: usize, cell: Cell) {
        if let Some(place) = self.cells.get_mut(column) {
            *place = cell;
        }
    }

    /// Adds a mark.
    pub fn mark(&mut self, column: usize, text: String) {
        if self.marks.len() < MAX_MARKS {
            self.marks.push(Mark { column, text });
        }
    }

    /// Moves what is from `at` on to the right, by `count` cells, over the end.
    pub fn insert(&mut self, at: usize, count: usize, fill: Cell) {
        let blank = fill.with(Content::Empty, 1);
        if at > 0 && self.get(at - 1).width() == 2 {
            self.set(at - 1, blank);
        }
        let length = self.cells.len();
        let count = count.min(length - at);
        self.cells.copy_within(at..length - count, at + count);
        self.cells[at..at + count].fill(fill);
        if self.get(length - 1).width() == 2 {
            self.set(length - 1, blank);
        }
    }

    /// Takes `count` cells out from `at` on; what is behind moves to the left.
    pub fn delete(&mut self, at: usize, count: usize, fill: Cell) {
        let blank = fill.with(Content::Empty, 1);
        let length = self.cells.len();
        let count = count.min(length - at);
        self.cells.copy_within(at + count..length, at);
        self.cells[length - count..].fill(fill);
        if at > 0 && self.get(at - 1).width() == 2 {
            self.set(at - 1, blank);
        }
        let first = self.get(at);
        if first.width() == 0 && !first.has_content() {
            self.set(at, blank);
        }
    }

    /// Fills the cells from `start` until `end`. Halves of wide characters beside them go as well.
    /// Protected ones stay, if `selective`.
    pub fn erase(&mut self, start: usize, end: usize, fill: Cell, selective: bool) {
        let blank = fill.with(Content::Empty, 1);
        let length = self.cells.len();
        let stays = |cell: Cell| selective && cell.is_protected();
        if start > 0 && start <= length {
            let before = self.get(start - 1);
            if before.width() == 2 && !stays(before) {
                self.set(start - 1, blank);
            }
        }
        if end > 0 && end < length && self.get(end - 1).width() == 2 && !stays(self.get(end)) {
            self.set(end, blank);
        }
        for cell in &mut self.cells[start.min(length)..end.min(length)] {
            if !stays(*cell) {
                *cell = fill;
            }
        }
    }

    /// Gives it another length.
    pub fn resize(&mut self, columns: usize) {
        self.cells.resize(columns, Cell::EMPTY);
    }

    /// The column behind the last thing that was written.
    pub fn written(&self) -> usize {
        let last = self.cells.iter().rposition(|cell| cell.has_content());
        last.map_or(0, |column| column + usize::from(self.cells[column].width()))
    }

    /// So many cells from that column on.
    pub fn part(&self, from: usize, count: usize) -> Vec<Cell> {
        (from..from + count)
            .map(|column| self.get(column))
            .collect()
    }

    /// Puts cells there.
    pub fn put(&mut self, at: usize, cells: &[Cell]) {
        for (column, cell) in (at..).zip(cells) {
            self.set(column, *cell);
        }
    }
}
