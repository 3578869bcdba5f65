//! How cells look, as the bytes that make a terminal write so.

use std::io::Write;

use crate::cell::{
    BLINK, BOLD, COLOR, Cell, Color, DIM, INVERSE, INVISIBLE, ITALIC, OVERLINE, PROTECTED, STRIKE,
    UNDERLINE,
};
use crate::tables::{Extra, Extras};

/// How a cell looks, and what it is beside that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub fg: u32,
    pub bg: u32,
    pub extra: Extra,
}

impl Look {
    /// That of a cell.
    pub fn of(cell: Cell, extras: &Extras) -> Self {
        Self {
            fg: cell.fg,
            bg: cell.bg,
            extra: extras.get(cell.extra).cloned().unwrap_or_default(),
        }
    }

    /// Whether nothing but a background is to be seen of a cell that is empty.
    pub fn is_erased(&self) -> bool {
        self.fg == 0 && self.bg & !COLOR == 0 && self.extra == Extra::default()
    }

    /// Makes a terminal that writes as `self` write as `other`.
    pub fn change(&mut self, other: Self, out: &mut Vec<u8>) {
        if self.attributes() != other.attributes() {
            other.write_attributes(out);
        }
        if (self.bg ^ other.bg) & PROTECTED != 0 {
            let which = u8::from(other.bg & PROTECTED != 0);
            let _ = write!(out, "\x1b[{which}\"q");
        }
        if self.extra.link != other.extra.link {
            other.write_link(out);
        }
        *self = other;
    }

    /// What follows is the link, or none.
    pub fn write_link(&self, out: &mut Vec<u8>) {
        let _ = match &self.extra.link {
            None => write!(out, "\x1b]8;;\x1b\\"),
            Some(link) if link.id.is_empty() => write!(out, "\x1b]8;;{}\x1b\\", link.uri),
            Some(link) => write!(out, "\x1b]8;id={};{}\x1b\\", link.id, link.uri),
        };
    }

    /// As [`Self::change`], without a word of what few cells have.
    pub fn step(&mut self, other: Self, out: &mut Vec<u8>) {
        let protection = u8::from(other.bg & PROTECTED != 0);
        let _ = write!(out, "\x1b[{protection}\"q\x1b[22;23;25;27;28;29;39;49;55");
        other.write_flags(out);
        write_color(Color::of(other.fg & COLOR), 30, out);
        write_color(Color::of(other.bg & COLOR), 40, out);
        out.push(b'm');
        *self = other;
    }

    /// What SGR sets.
    fn attributes(&self) -> (u32, u32, u8, u32) {
        let bg = self.bg & !PROTECTED;
        let Extra {
            underline,
            underline_color,
            ..
        } = self.extra;
        (self.fg, bg, underline, underline_color)
    }

    fn write_flags(&self, out: &mut Vec<u8>) {
        for (is_set, code) in [
            (self.fg & BOLD, 1),
            (self.bg & DIM, 2),
            (self.bg & ITALIC, 3),
            (self.fg & BLINK, 5),
            (self.fg & INVERSE, 7),
            (self.fg & INVISIBLE, 8),
            (self.fg & STRIKE, 9),
            (self.bg & OVERLINE, 53),
        ] {
            if is_set != 0 {
                let _ = write!(out, ";{code}");
            }
        }
    }

    fn write_attributes(&self, out: &mut Vec<u8>) {
        // SGR 0 takes a protection away as well.
        out.extend_from_slice(b"\x1b[0");
        self.write_flags(out);
        if self.fg & UNDERLINE != 0 {
            let _ = match self.extra.underline {
                0 | 1 => write!(out, ";4"),
                style => write!(out, ";4:{style}"),
            };
        }
        write_color(Color::of(self.fg & COLOR), 30, out);
        write_color(Color::of(self.bg & COLOR), 40, out);
        match Color::of(self.extra.underline_color) {
            Color::Default => {}
            Color::Named(index) | Color::Indexed(index) => {
                let _ = write!(out, ";58:5:{index}");
            }
            Color::Rgb(r, g, b) => {
                let _ = write!(out, ";58:2::{r}:{g}:{b}");
            }
        }
        out.push(b'm');
        if self.bg & PROTECTED != 0 {
            out.extend_from_slice(b"\x1b[1\"q");
        }
    }
}

fn write_color(color: Color, base: u8, out: &mut Vec<u8>) {
    let _ = match color {
        Color::Default => Ok(()),
        Color::Named(index @ 0..=7) => write!(out, ";{}", base + index),
        Color::Named(index) => write!(out, ";{}", base + 60 + (index & 7)),
        Color::Indexed(index) => write!(out, ";{};5;{index}", base + 8),
        Color::Rgb(r, g, b) => write!(out, ";{};2;{r};{g};{b}", base + 8),
    };
}
