//! What a program asks, and what the page's terminal would say.

use crate::cell::PROTECTED;
use crate::mode::{Mouse, MouseEncoding};
use crate::params::Params;
use crate::term::Term;

/// The most bytes of answers that are kept. A program that asks for more does not read them.
pub const MAX_ANSWERS: usize = 16 * 1024;

/// What a cell measures in pixels; the page's font is close to it.
const CELL: (usize, usize) = (8, 16);

impl Term {
    /// Answers, if this is a question.
    pub fn report(&mut self, collected: &[u8], params: &Params, last: u8) {
        let first = params.get(0);
        let (columns, rows) = (self.columns, self.rows);
        let buffer = self.buffer();
        let (x, y) = (buffer.x + 1, buffer.y + 1);
        let answer = match (collected, last, first) {
            (b"", b'c', 0) => "\x1b[?1;2c".to_owned(),
            (b">", b'c', 0) => "\x1b[>0;276;0c".to_owned(),
            (b"", b'n', 5) => "\x1b[0n".to_owned(),
            (b"", b'n', 6) => format!("\x1b[{y};{x}R"),
            (b"?", b'n', 6) => format!("\x1b[?{y};{x}R"),
            (b"$", b'p', mode) => format!("\x1b[{mode};{}$y", self.mode(mode)),
            (b"?$", b'p', mode) => format!("\x1b[?{mode};{}$y", self.private_mode(mode)),
            (b"", b't', 14) if params.get(1) != 2 => {
                format!("\x1b[4;{};{}t", rows * CELL.1, columns * CELL.0)
            }
            (b"", b't', 16) => format!("\x1b[6;{};{}t", CELL.1, CELL.0),
            (b"", b't', 18) => format!("\x1b[8;{rows};{columns}t"),
            _ => return,
        };
        self.answer(&answer);
    }

    /// DECRQSS.
    pub fn report_setting(&mut self, setting: &[u8]) {
        let is_protected = self.pen.bg & PROTECTED != 0;
        let style = self.modes.cursor_style.unwrap_or(2);
        let buffer = self.buffer();
        let answer = match setting {
            b"\"q" => format!("1$r{}\"q", u8::from(is_protected)),
            b"\"p" => "1$r61;1\"p".to_owned(),
            b"r" => format!("1$r{};{}r", buffer.top + 1, buffer.bottom + 1),
            b"m" => "1$r0m".to_owned(),
            b" q" => format!("1$r{style} q"),
            _ => "0$r".to_owned(),
        };
        self.answer(&format!("\x1bP{answer}\x1b\\"));
    }

    fn answer(&mut self, answer: &str) {
        if self.answers.len() + answer.len() <= MAX_ANSWERS {
            self.answers.extend_from_slice(answer.as_bytes());
        }
    }

    /// 0 unknown, 1 set, 2 reset, 3 always set, 4 never.
    fn mode(&self, mode: u32) -> u8 {
        match mode {
            2 => 4,
            4 => set(self.modes.insert),
            12 => 3,
            20 => set(self.modes.line_feed_returns),
            _ => 0,
        }
    }

    fn private_mode(&self, mode: u32) -> u8 {
        let modes = &self.modes;
        match mode {
            1 => set(modes.application_cursor),
            6 => set(modes.origin),
            7 => set(modes.wraparound),
            8 => 3,
            9 => set(modes.mouse == Mouse::X10),
            12 => set(modes.cursor_blinks.unwrap_or(true)),
            25 => set(modes.cursor),
            45 => set(modes.reverse_wraparound),
            47 | 1047 | 1049 => set(self.is_alternate),
            66 => set(modes.application_keypad),
            67 | 1005 | 1015 => 4,
            1000 => set(modes.mouse == Mouse::Clicks),
            1002 => set(modes.mouse == Mouse::Drags),
            1003 => set(modes.mouse == Mouse::All),
            1004 => set(modes.focus),
            1006 => set(modes.mouse_encoding == MouseEncoding::Sgr),
            1016 => set(modes.mouse_encoding == MouseEncoding::SgrPixels),
            1048 => 1,
            2004 => set(modes.bracketed_paste),
            2026 => set(modes.synchronized),
            _ => 0,
        }
    }
}

fn set(on: bool) -> u8 {
    if on { 1 } else { 2 }
}
