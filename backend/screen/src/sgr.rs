//! How the next characters look (SGR).

use crate::cell::{
    BLINK, BOLD, COLOR, Color, DIM, INVERSE, INVISIBLE, ITALIC, OVERLINE, PROTECTED, STRIKE,
    UNDERLINE,
};
use crate::params::Params;
use crate::tables::Extra;
use crate::term::{HAS_EXTRA, Pen, Term};

impl Term {
    /// SGR.
    pub fn set_attributes(&mut self, params: &Params) {
        let mut index = 0;
        while index < params.len() {
            index += 1 + attribute(&mut self.pen, params, index);
        }
        self.take_pen();
    }

    /// DECSCA.
    pub fn set_protected(&mut self, which: u32) {
        match which {
            1 => self.pen.bg |= PROTECTED,
            0 | 2 => self.pen.bg &= !PROTECTED,
            _ => {}
        }
        self.take_pen();
    }
}

/// One attribute; how many parameters it took beside its own.
fn attribute(pen: &mut Pen, params: &Params, index: usize) -> usize {
    let code = params.get(index);
    let named = |from: u32, bright: u8| {
        Color::Named(u8::try_from(code - from).unwrap_or(0) | bright).bits()
    };
    match code {
        0 => {
            pen.fg = 0;
            pen.bg = 0;
            pen.extra.underline = 0;
            pen.extra.underline_color = 0;
            pen.update();
        }
        1 => pen.fg |= BOLD,
        2 => pen.bg |= DIM,
        3 => pen.bg |= ITALIC,
        4 => {
            let style = params.parts(index).next();
            pen.underline(style.unwrap_or(Some(1)).unwrap_or(1));
        }
        5 => pen.fg |= BLINK,
        7 => pen.fg |= INVERSE,
        8 => pen.fg |= INVISIBLE,
        9 => pen.fg |= STRIKE,
        21 => pen.underline(2),
        22 => {
            pen.fg &= !BOLD;
            pen.bg &= !DIM;
        }
        23 => pen.bg &= !ITALIC,
        24 => pen.underline(0),
        25 => pen.fg &= !BLINK,
        27 => pen.fg &= !INVERSE,
        28 => pen.fg &= !INVISIBLE,
        29 => pen.fg &= !STRIKE,
        30..=37 => pen.fg = pen.fg & !COLOR | named(30, 0),
        39 => pen.fg &= !COLOR,
        40..=47 => pen.bg = pen.bg & !COLOR | named(40, 0),
        49 => pen.bg &= !COLOR,
        53 => pen.bg |= OVERLINE,
        55 => pen.bg &= !OVERLINE,
        59 => {
            // White in the page's terminal, not the text's own.
            pen.extra.underline_color = COLOR;
            pen.update();
        }
        90..=97 => pen.fg = pen.fg & !COLOR | named(90, 8),
        100..=107 => pen.bg = pen.bg & !COLOR | named(100, 8),
        38 | 48 | 58 => return color(pen, params, index),
        _ => {}
    }
    0
}

/// A colour in several parameters, or in parts of one (`38;5;1`, `38:2::1:2:3`). Many programs leave the
/// colour space out, between semicolons all do.
fn color(pen: &mut Pen, params: &Params, index: usize) -> usize {
    // Which one, how, the colour space, and up to three numbers.
    let mut found: [Option<u32>; 6] = [Some(0), Some(0), None, Some(0), Some(0), Some(0)];
    let mut space = 0;
    let mut advance = 0;
    loop {
        found[advance + space] = Some(params.get(index + advance));
        let mut parts = params.parts(index + advance).enumerate().peekable();
        if parts.peek().is_some() {
            for (part, value) in parts {
                if found[1] == Some(5) {
                    space = 1;
                }
                let Some(place) = found.get_mut(advance + part + 1 + space) else {
                    break;
                };
                *place = value;
            }
            break;
        }
        let whole = match found[1] {
            Some(5) => advance + space >= 2,
            Some(2) => advance + space >= 5,
            _ => false,
        };
        if whole {
            break;
        }
        if found[1].is_none_or(|how| how != 0) {
            space = 1;
        }
        advance += 1;
        if index + advance >= params.len() || advance + space >= found.len() {
            break;
        }
    }
    let byte = |value: Option<u32>| value.unwrap_or(0).to_le_bytes()[0];
    let bits = match found[1] {
        Some(2) => Color::Rgb(byte(found[3]), byte(found[4]), byte(found[5])).bits(),
        Some(5) => Color::Indexed(byte(found[3])).bits(),
        _ => return advance,
    };
    match found[0] {
        Some(38) => pen.fg = pen.fg & !COLOR | bits,
        Some(48) => pen.bg = pen.bg & !COLOR | bits,
        _ => pen.extra.underline_color = bits,
    }
    advance
}

impl Pen {
    fn underline(&mut self, style: u32) {
        let style = u8::try_from(style).ok().filter(|it| *it <= 5).unwrap_or(1);
        self.extra.underline = style;
        if style == 0 {
            self.fg &= !UNDERLINE;
        } else {
            self.fg |= UNDERLINE;
        }
        self.update();
    }

    /// Uses what few have when there is something.
    pub fn update(&mut self) {
        let Extra {
            underline, link, ..
        } = &self.extra;
        if *underline == 0 && link.is_none() {
            self.bg &= !HAS_EXTRA;
        } else {
            self.bg |= HAS_EXTRA;
        }
    }
}
