//! Where the cursor goes.
//!
//! In origin mode the page's terminal counts lines from where scrolling begins also when the cursor is
//! only moved. So does this one.

use crate::buffer::Saved;
use crate::params::Params;
use crate::term::Term;

impl Term {
    /// Moves the cursor up, not out of what scrolls unless it is above it.
    pub fn up(&mut self, count: usize) {
        let buffer = self.buffer();
        let most = buffer.y.checked_sub(buffer.top).unwrap_or(buffer.y);
        let count = count.min(most);
        self.restrict(false);
        let buffer = self.buffer();
        let (x, y) = (buffer.x, buffer.y.saturating_sub(count));
        self.place(x, y);
    }

    /// Moves the cursor down, not out of what scrolls unless it is below it.
    pub fn down(&mut self, count: usize) {
        let rows = self.rows;
        let buffer = self.buffer();
        let count = match buffer.bottom.checked_sub(buffer.y) {
            Some(most) => count.min(most),
            None => count.min(rows),
        };
        self.restrict(false);
        let buffer = self.buffer();
        let (x, y) = (buffer.x, buffer.y + count);
        self.place(x, y);
    }

    /// Moves the cursor to the right.
    pub fn right(&mut self, count: usize) {
        self.restrict(false);
        let count = count.min(self.columns);
        let buffer = self.buffer();
        let (x, y) = (buffer.x + count, buffer.y);
        self.place(x, y);
    }

    /// Moves the cursor to the left.
    pub fn left(&mut self, count: usize) {
        self.restrict(false);
        let buffer = self.buffer();
        let (x, y) = (buffer.x.saturating_sub(count), buffer.y);
        self.place(x, y);
    }

    /// CUP.
    pub fn go_to(&mut self, params: &Params) {
        self.place(params.count(1) - 1, params.count(0) - 1);
    }

    /// CHA and HPA.
    pub fn go_to_column(&mut self, params: &Params) {
        let y = self.buffer().y;
        self.place(params.count(0) - 1, y);
    }

    /// VPA.
    pub fn go_to_line(&mut self, params: &Params) {
        let x = self.buffer().x;
        self.place(x, params.count(0) - 1);
    }

    /// VPR.
    pub fn line_relative(&mut self, params: &Params) {
        self.restrict(false);
        let count = params.count(0).min(self.rows);
        let buffer = self.buffer();
        let (x, y) = (buffer.x, buffer.y + count);
        self.place(x, y);
    }

    /// BS.
    pub fn backspace(&mut self) {
        self.restrict(self.modes.reverse_wraparound);
        let columns = self.columns;
        let back = self.modes.reverse_wraparound;
        let buffer = self.buffer();
        if buffer.x > 0 {
            buffer.x -= 1;
        } else if back
            && (buffer.top + 1..=buffer.bottom).contains(&buffer.y)
            && buffer.current().wrapped
        {
            buffer.current().wrapped = false;
            buffer.y -= 1;
            buffer.x = columns - 1;
            let cell = buffer.current().get(columns - 1);
            // Nothing but a wide character that did not fit leaves such a cell.
            if cell.width() > 0 && !cell.has_content() {
                buffer.x -= 1;
            }
        }
        self.restrict(false);
    }

    /// LF.
    pub fn line_feed(&mut self) {
        let (columns, rows) = (self.columns, self.rows);
        let returns = self.modes.line_feed_returns;
        let buffer = self.buffer();
        if returns {
            buffer.x = 0;
        }
        if buffer.y == buffer.bottom {
            self.scroll(false);
        } else if buffer.y + 1 < rows {
            buffer.y += 1;
            buffer.current().wrapped = false;
        }
        let buffer = self.buffer();
        buffer.x = buffer.x.min(columns - 1);
    }

    /// IND.
    pub fn index(&mut self) {
        self.restrict(false);
        let rows = self.rows;
        let buffer = self.buffer();
        if buffer.y == buffer.bottom {
            self.scroll(false);
        } else if buffer.y + 1 < rows {
            buffer.y += 1;
        }
        self.restrict(false);
    }

    /// RI.
    pub fn reverse_index(&mut self) {
        self.restrict(false);
        let fill = self.erased();
        let buffer = self.buffer();
        if buffer.y == buffer.top {
            buffer.rotate(buffer.bottom, buffer.top, 1, fill);
        } else {
            buffer.y = buffer.y.saturating_sub(1);
            self.restrict(false);
        }
    }

    /// HT and CHT.
    pub fn tab(&mut self, count: usize) {
        let columns = self.columns;
        let buffer = self.buffer();
        if buffer.x < columns {
            for _ in 0..count.min(columns) {
                buffer.x = buffer.tab_after(buffer.x);
            }
        }
    }

    /// CBT.
    pub fn tab_back(&mut self, count: usize) {
        let columns = self.columns;
        let buffer = self.buffer();
        if buffer.x < columns {
            for _ in 0..count.min(columns) {
                buffer.x = buffer.tab_before(buffer.x);
            }
        }
    }

    /// TBC.
    pub fn clear_tabs(&mut self, which: u32) {
        let buffer = self.buffer();
        match which {
            0 => {
                if let Some(stop) = buffer.tabs.get_mut(buffer.x) {
                    *stop = false;
                }
            }
            3 => buffer.tabs.clear(),
            _ => {}
        }
    }

    /// DECSTBM.
    pub fn set_region(&mut self, params: &Params) {
        let rows = self.rows;
        let top = params.count(0);
        let bottom = match usize::try_from(params.get(1)) {
            Ok(bottom) if params.len() >= 2 && (1..=rows).contains(&bottom) => bottom,
            _ => rows,
        };
        if bottom > top {
            let buffer = self.buffer();
            buffer.top = top - 1;
            buffer.bottom = bottom - 1;
            self.place(0, 0);
        }
    }

    /// DECSC.
    pub fn save_cursor(&mut self) {
        let (fg, bg, charset) = (self.pen.fg, self.pen.bg, self.charset);
        let buffer = self.buffer();
        buffer.saved = Saved {
            x: buffer.x,
            line: buffer.number(buffer.y),
            fg,
            bg,
            charset: Some(charset),
        };
    }

    /// DECRC.
    pub fn restore_cursor(&mut self) {
        let buffer = self.buffer();
        let saved = buffer.saved;
        buffer.x = saved.x;
        buffer.y = buffer.row_of(saved.line);
        self.pen.fg = saved.fg;
        self.pen.bg = saved.bg;
        self.take_pen();
        self.charset = saved.charset.unwrap_or(crate::charset::Charset::ASCII);
        self.restrict(false);
    }
}
