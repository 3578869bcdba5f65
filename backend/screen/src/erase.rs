//! What takes away or makes room.

use crate::cell::{Cell, Content};
use crate::term::Term;

impl Term {
    /// ED and, if `selective`, DECSED.
    pub fn erase_display(&mut self, which: u32, selective: bool) {
        self.restrict(true);
        let rows = self.rows;
        let buffer = self.buffer();
        let (x, y) = (buffer.x, buffer.y);
        match which {
            0 => {
                self.erase_line_part(x, usize::MAX, x == 0, selective);
                for y in y + 1..rows {
                    self.erase_whole(y, selective);
                }
            }
            1 => {
                self.erase_line_part(0, x + 1, true, selective);
                if x + 1 >= self.columns && y + 1 < rows {
                    self.buffer().row(y + 1).wrapped = false;
                }
                for y in 0..y {
                    self.erase_whole(y, selective);
                }
            }
            2 => {
                for y in 0..rows {
                    self.erase_whole(y, selective);
                }
            }
            3 => buffer.forget(),
            _ => {}
        }
    }

    /// EL and, if `selective`, DECSEL.
    pub fn erase_line(&mut self, which: u32, selective: bool) {
        self.restrict(true);
        let x = self.buffer().x;
        match which {
            0 => self.erase_line_part(x, usize::MAX, x == 0, selective),
            1 => self.erase_line_part(0, x + 1, false, selective),
            2 => self.erase_line_part(0, usize::MAX, true, selective),
            _ => {}
        }
    }

    fn erase_line_part(&mut self, from: usize, to: usize, unwrap: bool, selective: bool) {
        let fill = self.erased();
        let to = to.min(self.columns);
        let row = self.buffer().current();
        row.erase(from, to, fill, selective);
        if unwrap {
            row.wrapped = false;
        }
    }

    fn erase_whole(&mut self, y: usize, selective: bool) {
        let fill = self.erased();
        let row = self.buffer().row(y);
        if selective {
            for cell in row.cells_mut() {
                if !cell.is_protected() {
                    *cell = fill;
                }
            }
            row.wrapped = false;
        } else {
            row.cells_mut().fill(fill);
            row.wrapped = false;
            row.marks.clear();
        }
    }

    /// ECH.
    pub fn erase_characters(&mut self, count: usize) {
        self.restrict(false);
        let fill = self.erased();
        let buffer = self.buffer();
        let x = buffer.x;
        buffer
            .current()
            .erase(x, x.saturating_add(count), fill, false);
    }

    /// ICH.
    pub fn insert_characters(&mut self, count: usize) {
        self.restrict(false);
        let fill = self.erased();
        let buffer = self.buffer();
        let x = buffer.x;
        buffer.current().insert(x, count, fill);
    }

    /// DCH.
    pub fn delete_characters(&mut self, count: usize) {
        self.restrict(false);
        let fill = self.erased();
        let buffer = self.buffer();
        let x = buffer.x;
        buffer.current().delete(x, count, fill);
    }

    fn is_in_region(&mut self) -> bool {
        let buffer = self.buffer();
        (buffer.top..=buffer.bottom).contains(&buffer.y)
    }

    /// IL.
    pub fn insert_lines(&mut self, count: usize) {
        self.restrict(false);
        if self.is_in_region() {
            let fill = self.erased();
            let buffer = self.buffer();
            buffer.rotate(buffer.bottom, buffer.y, count, fill);
            buffer.x = 0;
        }
    }

    /// DL.
    pub fn delete_lines(&mut self, count: usize) {
        self.restrict(false);
        if self.is_in_region() {
            let fill = self.erased();
            let buffer = self.buffer();
            buffer.rotate(buffer.y, buffer.bottom, count, fill);
            buffer.x = 0;
        }
    }

    /// SU.
    pub fn scroll_up(&mut self, count: usize) {
        let fill = self.erased();
        let buffer = self.buffer();
        buffer.rotate(buffer.top, buffer.bottom, count, fill);
    }

    /// SD.
    pub fn scroll_down(&mut self, count: usize) {
        let buffer = self.buffer();
        buffer.rotate(buffer.bottom, buffer.top, count, Cell::EMPTY);
    }

    /// SL and DECDC: takes columns out of what scrolls.
    pub fn delete_columns(&mut self, at: usize, count: usize) {
        self.columns_of_region(|row, fill| row.delete(at, count, fill));
    }

    /// SR and DECIC: puts empty columns into what scrolls.
    pub fn insert_columns(&mut self, at: usize, count: usize) {
        self.columns_of_region(|row, fill| row.insert(at, count, fill));
    }

    fn columns_of_region(&mut self, change: impl Fn(&mut crate::row::Row, Cell)) {
        if !self.is_in_region() {
            return;
        }
        let fill = self.erased();
        let buffer = self.buffer();
        for y in buffer.top..=buffer.bottom {
            let row = buffer.row(y);
            change(row, fill);
            row.wrapped = false;
        }
    }

    /// DECALN.
    pub fn fill_with_e(&mut self) {
        self.place(0, 0);
        let look = self.template();
        let cell = Cell::looking(look.fg, look.bg, 0).with(Content::Char('E'), 1);
        let rows = self.rows;
        let buffer = self.buffer();
        for y in buffer.y..rows {
            let row = buffer.row(y);
            row.cells_mut().fill(cell);
            row.wrapped = false;
        }
        self.place(0, 0);
    }
}
