//! Modes.

use crate::cell::Cell;
use crate::charset::Charset;
use crate::params::Params;
use crate::term::Term;

/// Which reports of the mouse a program wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mouse {
    /// None.
    #[default]
    Off,
    /// Presses (mode 9).
    X10,
    /// Presses and releases (mode 1000).
    Clicks,
    /// Also movement while a button is down (mode 1002).
    Drags,
    /// Also any movement (mode 1003).
    All,
}

/// How the mouse is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MouseEncoding {
    /// In bytes.
    #[default]
    Bytes,
    /// In decimals (mode 1006).
    Sgr,
    /// In decimals, of pixels (mode 1016).
    SgrPixels,
}

/// What is switched on and off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each of them is one")]
pub struct Modes {
    /// IRM.
    pub insert: bool,
    /// LNM: LF goes to the first column.
    pub line_feed_returns: bool,
    /// DECCKM.
    pub application_cursor: bool,
    /// DECKPAM.
    pub application_keypad: bool,
    /// DECOM.
    pub origin: bool,
    /// DECAWM.
    pub wraparound: bool,
    /// Mode 45.
    pub reverse_wraparound: bool,
    /// DECTCEM.
    pub cursor: bool,
    /// Mode 12; none where no program said.
    pub cursor_blinks: Option<bool>,
    /// DECSCUSR: 1 to 6; none where no program said.
    pub cursor_style: Option<u8>,
    /// Mode 1004.
    pub focus: bool,
    /// Mode 2004.
    pub bracketed_paste: bool,
    /// Mode 2026.
    pub synchronized: bool,
    pub mouse: Mouse,
    pub mouse_encoding: MouseEncoding,
    /// The flags of the kitty keyboard protocol, of each screen, the last ones in force.
    pub keyboard: [Vec<u8>; 2],
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            insert: false,
            line_feed_returns: false,
            application_cursor: false,
            application_keypad: false,
            origin: false,
            wraparound: true,
            reverse_wraparound: false,
            cursor: true,
            cursor_blinks: None,
            cursor_style: None,
            focus: false,
            bracketed_paste: false,
            synchronized: false,
            mouse: Mouse::Off,
            mouse_encoding: MouseEncoding::Bytes,
            keyboard: [Vec::new(), Vec::new()],
        }
    }
}

impl Modes {
    /// What RIS leaves: the page's terminal keeps these.
    pub fn after_reset(&self) -> Self {
        Self {
            cursor: self.cursor,
            line_feed_returns: self.line_feed_returns,
            cursor_blinks: self.cursor_blinks,
            ..Self::default()
        }
    }

    /// What DECSTR leaves.
    pub fn after_soft_reset(&self) -> Self {
        Self {
            line_feed_returns: self.line_feed_returns,
            cursor_blinks: self.cursor_blinks,
            mouse: self.mouse,
            mouse_encoding: self.mouse_encoding,
            keyboard: self.keyboard.clone(),
            ..Self::default()
        }
    }
}

/// The most flags of the keyboard that are kept under others.
const MAX_KEYBOARD: usize = 16;

impl Term {
    /// SM and RM.
    pub fn set_modes(&mut self, params: &Params, on: bool) {
        for index in 0..params.len() {
            match params.get(index) {
                4 => self.modes.insert = on,
                20 => self.modes.line_feed_returns = on,
                _ => {}
            }
        }
    }

    /// DECSET and DECRST.
    pub fn set_private_modes(&mut self, params: &Params, on: bool) {
        for index in 0..params.len() {
            self.set_private_mode(params.get(index), on);
        }
    }

    fn set_private_mode(&mut self, mode: u32, on: bool) {
        let mouse = |to: Mouse| if on { to } else { Mouse::Off };
        let encoding = |to| if on { to } else { MouseEncoding::Bytes };
        match mode {
            1 => self.modes.application_cursor = on,
            2 if on => {
                self.charsets = [Charset::ASCII; 4];
                self.charset = Charset::ASCII;
            }
            6 => {
                self.modes.origin = on;
                self.place(0, 0);
            }
            7 => self.modes.wraparound = on,
            12 => self.modes.cursor_blinks = Some(on),
            25 => self.modes.cursor = on,
            45 => self.modes.reverse_wraparound = on,
            66 => self.modes.application_keypad = on,
            9 => self.modes.mouse = mouse(Mouse::X10),
            1000 => self.modes.mouse = mouse(Mouse::Clicks),
            1002 => self.modes.mouse = mouse(Mouse::Drags),
            1003 => self.modes.mouse = mouse(Mouse::All),
            1004 => self.modes.focus = on,
            1006 => self.modes.mouse_encoding = encoding(MouseEncoding::Sgr),
            1016 => self.modes.mouse_encoding = encoding(MouseEncoding::SgrPixels),
            1048 if on => self.save_cursor(),
            1048 => self.restore_cursor(),
            47 | 1047 | 1049 => {
                if on && mode == 1049 {
                    self.save_cursor();
                }
                self.switch(on);
                if !on && mode == 1049 {
                    self.restore_cursor();
                }
            }
            2004 => self.modes.bracketed_paste = on,
            2026 => self.modes.synchronized = on,
            _ => {}
        }
    }

    /// Shows the one screen or the other.
    fn switch(&mut self, alternate: bool) {
        if alternate == self.is_alternate {
            return;
        }
        self.is_alternate = alternate;
        if alternate {
            let fill = Cell::erased(self.pen.bg);
            self.alternate.show(fill);
            (self.alternate.x, self.alternate.y) = (self.main.x, self.main.y);
        } else {
            (self.main.x, self.main.y) = (self.alternate.x, self.alternate.y);
            self.alternate.clear();
        }
    }

    /// DECSTR.
    pub fn soft_reset(&mut self) {
        self.modes = self.modes.after_soft_reset();
        self.pen = crate::term::Pen::default();
        self.take_pen();
        self.charsets = [Charset::ASCII; 4];
        self.level = 0;
        self.charset = Charset::ASCII;
        let rows = self.rows;
        let buffer = self.buffer();
        buffer.top = 0;
        buffer.bottom = rows - 1;
        buffer.saved = crate::buffer::Saved {
            x: 0,
            line: buffer.number(0),
            fg: 0,
            bg: 0,
            charset: None,
        };
    }

    /// DECSCUSR.
    pub fn set_cursor_style(&mut self, style: u32) {
        self.modes.cursor_style = match u8::try_from(style) {
            Ok(0) => None,
            Ok(style @ 1..=6) => Some(style),
            _ => self.modes.cursor_style,
        };
    }

    /// The kitty keyboard protocol: `>` puts flags over others, `<` takes some away, `=` changes the last.
    pub fn set_keyboard(&mut self, how: u8, params: &Params) {
        let flags = u8::try_from(params.get(0) & 0x1f).unwrap_or(0);
        let stack = &mut self.modes.keyboard[usize::from(self.is_alternate)];
        match how {
            b'>' => {
                if stack.len() == MAX_KEYBOARD {
                    stack.remove(0);
                }
                stack.push(flags);
            }
            b'<' => stack.truncate(stack.len().saturating_sub(params.count(0))),
            _ => {
                if stack.is_empty() {
                    stack.push(0);
                }
                if let Some(last) = stack.last_mut() {
                    *last = match params.get(1) {
                        2 => *last | flags,
                        3 => *last & !flags,
                        _ => flags,
                    };
                }
            }
        }
    }

    /// Switches to a character set.
    pub fn set_level(&mut self, level: usize) {
        self.level = level;
        self.charset = self.charsets[level];
    }

    /// Makes `by` what this one of the four is.
    pub fn designate(&mut self, which: usize, charset: Charset) {
        self.charsets[which] = charset;
        if self.level == which {
            self.charset = charset;
        }
    }
}
