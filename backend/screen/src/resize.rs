//! Another size: lines that were wrapped are wrapped anew.
//!
//! Each step is the page's terminal's, in its order, because the page makes the same change at the same
//! place in the output: the line of the cursor stays as it is, for its program draws it anew.

use std::ops::Range;

use crate::buffer::Buffer;
use crate::cell::Cell;
use crate::row::Row;
use crate::term::{Term, history};

impl Term {
    /// Gives both screens this size.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        for buffer in [&mut self.main, &mut self.alternate] {
            buffer.resize(columns, rows);
            buffer.set_tabs(columns);
        }
        self.columns = columns;
        self.rows = rows;
        // Lines have other numbers then.
        self.input = None;
        self.main.history = history(columns);
        self.main.trim();
    }
}

impl Buffer {
    fn resize(&mut self, columns: usize, rows: usize) {
        if !self.lines.is_empty() {
            if self.columns < columns {
                self.lines.iter_mut().for_each(|row| row.resize(columns));
            }
            let mut base = self.base();
            let mut added = 0;
            for _ in self.rows..rows {
                if self.lines.len() < rows + base {
                    if base > 0 && self.lines.len() <= base + self.y + added + 1 {
                        base -= 1;
                        added += 1;
                    } else {
                        self.lines.push_back(Row::new(columns, Cell::EMPTY));
                    }
                }
            }
            for _ in rows..self.rows {
                if self.lines.len() > rows + base {
                    if self.lines.len() > base + self.y + 1 {
                        self.lines.pop_back();
                    } else {
                        base += 1;
                    }
                }
            }
            if self.history == 0 {
                let over = self.lines.len().saturating_sub(rows);
                self.lines.drain(..over);
                self.saved.line = self.saved.line.saturating_sub(over as u64);
            }
            self.x = self.x.min(columns - 1);
            self.y = self.y.min(rows - 1) + added;
            self.saved.x = self.saved.x.min(columns - 1);
            self.top = 0;
        }
        let old = std::mem::replace(&mut self.columns, columns);
        self.rows = rows;
        self.bottom = rows - 1;
        if self.history > 0 && old != columns {
            if columns > old {
                self.widen(old);
            } else {
                self.narrow(old);
                self.lines.iter_mut().for_each(|row| row.resize(columns));
            }
        }
    }

    /// Takes back what was wrapped at `old` columns and need not be any more.
    fn widen(&mut self, old: usize) {
        let cursor = self.base() + self.y;
        let mut first = 0;
        let mut gone: Vec<Range<usize>> = Vec::new();
        while first + 1 < self.lines.len() {
            let end = self.group_end(first);
            let group = first..end;
            if group.len() > 1 && !group.contains(&cursor) {
                let kept = self.join(group.clone(), old);
                gone.extend((kept < end).then_some(kept..end));
            }
            first = end;
        }
        let count: usize = gone.iter().map(Range::len).sum();
        for range in gone.into_iter().rev() {
            self.lines.drain(range);
        }
        let above = self.lines.len() + count - self.rows;
        for _ in above..count {
            // There was nothing above the screen any more.
            self.y = self.y.saturating_sub(1);
            if self.lines.len() < self.rows {
                self.lines.push_back(Row::new(self.columns, Cell::EMPTY));
            }
        }
        self.move_saved(-i64::try_from(count).unwrap_or(0));
    }

    fn group_end(&self, first: usize) -> usize {
        let mut end = first + 1;
        while self.lines.get(end).is_some_and(|row| row.wrapped) {
            end += 1;
        }
        end
    }

    /// Joins the lines of a group, and returns which is the first that is not needed any more.
    fn join(&mut self, group: Range<usize>, old: usize) -> usize {
        let columns = self.columns;
        let mut to = (group.start, self.length(&group, group.start, old));
        let mut from = (group.start + 1, 0);
        while from.0 < group.end && to.0 < group.end {
            let length = self.length(&group, from.0, old);
            let count = (length - from.1).min(columns - to.1);
            self.copy(from, to, count);
            to.1 += count;
            if to.1 == columns {
                to = (to.0 + 1, 0);
            }
            from.1 += count;
            if from.1 == length {
                from = (from.0 + 1, 0);
            }
            if to.1 == 0 && to.0 != group.start && to.0 < group.end {
                let before = to.0 - 1;
                // Half a wide character at the end goes to the next line.
                if self.lines[before].get(columns - 1).width() == 2 {
                    self.copy((before, columns - 1), to, 1);
                    to.1 += 1;
                    self.lines[before].set(columns - 1, Cell::EMPTY);
                }
            }
        }
        if to.0 < group.end {
            self.lines[to.0].erase(to.1, columns, Cell::EMPTY, false);
        }
        let mut kept = group.end;
        while kept - 1 > group.start && (kept - 1 > to.0 || self.lines[kept - 1].written() == 0) {
            kept -= 1;
        }
        kept
    }

    /// How much of a line in a group is text: all, but for a cell at the end into which a wide character
    /// did not fit.
    fn length(&self, group: &Range<usize>, line: usize, columns: usize) -> usize {
        let row = &self.lines[line];
        if line + 1 == group.end {
            return row.written();
        }
        let last = row.get(columns - 1);
        let is_left_out = !last.has_content() && last.width() == 1;
        columns - usize::from(is_left_out && self.lines[line + 1].get(0).width() == 2)
    }

    fn copy(&mut self, from: (usize, usize), to: (usize, usize), count: usize) {
        let cells = self.lines[from.0].part(from.1, count);
        self.lines[to.0].put(to.1, &cells);
    }

    /// Wraps what was wrapped at `old` columns, or fitted in, at fewer.
    fn narrow(&mut self, old: usize) {
        let (columns, rows) = (self.columns, self.rows);
        let most = rows + self.history;
        let mut base = self.base();
        // Where, and what; from the last on.
        let mut more: Vec<(usize, Vec<Row>)> = Vec::new();
        let mut inserted = 0;
        let mut next = self.lines.len();
        while next > 0 {
            let last = next - 1;
            next = last;
            if last >= self.lines.len()
                || !self.lines[last].wrapped && self.lines[last].written() <= columns
            {
                continue;
            }
            while self.lines[next].wrapped && next > 0 {
                next -= 1;
            }
            let group = next..last + 1;
            if group.contains(&(base + self.y)) {
                continue;
            }
            let lengths = self.lengths(&group, old);
            let Some(count) = lengths.len().checked_sub(group.len()) else {
                continue;
            };
            let trimmed = if base == 0 && self.y + 1 != self.lines.len() {
                (next + count).saturating_sub(most)
            } else {
                (self.lines.len() + count).saturating_sub(most)
            };
            let mut rows_of: Vec<Row> = self.lines.range(group.clone()).cloned().collect();
            let mut blank = Row::new(columns, Cell::EMPTY);
            blank.wrapped = true;
            rows_of.extend(std::iter::repeat_n(blank, count));
            self.spread(&group, &mut rows_of, &lengths, old);
            let new = rows_of.split_off(group.len());
            for (place, row) in self.lines.range_mut(group.clone()).zip(rows_of) {
                *place = row;
            }
            inserted += new.len();
            if !new.is_empty() {
                more.push((group.end, new));
            }
            for _ in trimmed..count {
                if base > 0 {
                    let all = most.min(self.lines.len() + inserted);
                    base += usize::from(base + rows < all);
                } else if self.y + 1 < rows {
                    self.y += 1;
                    self.lines.pop_back();
                } else {
                    base += 1;
                }
            }
            self.move_saved(i64::try_from(count).unwrap_or(0));
            let last = self.number(0) - self.base() as u64 + (base + rows - 1) as u64;
            self.saved.line = self.saved.line.min(last);
        }
        let mut old = std::mem::take(&mut self.lines);
        let end = old.len();
        let mut taken = 0;
        // From the first on; of those behind the end, the last one comes first.
        let (behind, within): (Vec<_>, Vec<_>) = more.into_iter().partition(|(at, _)| *at >= end);
        for (at, new) in within.into_iter().rev() {
            self.lines.extend(old.drain(..at - taken));
            taken = at;
            self.lines.extend(new);
        }
        self.lines.extend(old);
        for (_, new) in behind.into_iter().rev() {
            self.lines.extend(new);
        }
        self.trim();
    }

    /// How long the lines of a group are at fewer columns.
    fn lengths(&self, group: &Range<usize>, old: usize) -> Vec<usize> {
        let needed: usize = group
            .clone()
            .map(|line| self.length(group, line, old))
            .sum();
        let mut lengths = Vec::new();
        let (mut line, mut column, mut available) = (group.start, 0, 0);
        while available < needed {
            if needed - available < self.columns {
                lengths.push(needed - available);
                break;
            }
            column += self.columns;
            let length = self.length(group, line, old);
            if column > length {
                column -= length;
                line += 1;
            }
            let is_wide = self.lines.get(line).is_some_and(|row| {
                column > 0 && row.get(column - 1).width() == 2 && column <= row.cells().len()
            });
            column -= usize::from(is_wide);
            let length = self.columns - usize::from(is_wide);
            lengths.push(length);
            available += length;
        }
        lengths
    }

    /// Spreads the lines of a group over `rows`, of these lengths, from the end on.
    fn spread(&self, group: &Range<usize>, rows: &mut [Row], lengths: &[usize], old: usize) {
        let length = |rows: &[Row], line: usize| {
            let Some(next) = rows.get(line + 1) else {
                return rows[line].written();
            };
            let last = rows[line].get(old - 1);
            let is_left_out = !last.has_content() && last.width() == 1;
            old - usize::from(is_left_out && next.get(0).width() == 2)
        };
        let mut to = lengths.len();
        let mut to_column = 0;
        let mut from = group.len();
        let mut from_column = 0;
        let mut is_first = true;
        loop {
            if to_column == 0 {
                if to == 0 {
                    break;
                }
                to -= 1;
                to_column = lengths[to];
                continue;
            }
            if from_column == 0 {
                if from == 0 {
                    break;
                }
                from -= 1;
                from_column = if is_first {
                    rows[from].written()
                } else {
                    length(rows, from)
                };
                is_first = false;
                continue;
            }
            let count = from_column.min(to_column);
            from_column -= count;
            to_column -= count;
            let cells = rows[from].part(from_column, count);
            rows[to].put(to_column, &cells);
        }
        for (row, &length) in rows.iter_mut().zip(lengths) {
            if length < self.columns {
                row.set(length, Cell::EMPTY);
            }
        }
    }

    /// Moves the line at which the cursor was saved with the lines, but not off the kept ones.
    fn move_saved(&mut self, by: i64) {
        let line = self.saved.line.saturating_add_signed(by);
        let first = self.number(0) - self.base() as u64;
        self.saved.line = line.max(first);
    }
}
