//! Cells, and how what is in them looks.

use crate::tables::Clusters;

/// Where the kind of a colour is in [`Cell::fg`] and [`Cell::bg`], and the colour itself.
const COLOR_KIND: u32 = 0x0300_0000;
const COLOR_VALUE: u32 = 0x00ff_ffff;
/// A colour with its kind.
pub const COLOR: u32 = COLOR_KIND | COLOR_VALUE;

/// Flags beside the foreground.
pub const INVERSE: u32 = 1 << 26;
pub const BOLD: u32 = 1 << 27;
pub const UNDERLINE: u32 = 1 << 28;
pub const BLINK: u32 = 1 << 29;
pub const INVISIBLE: u32 = 1 << 30;
pub const STRIKE: u32 = 1 << 31;

/// Flags beside the background.
pub const ITALIC: u32 = 1 << 26;
pub const DIM: u32 = 1 << 27;
pub const PROTECTED: u32 = 1 << 29;
pub const OVERLINE: u32 = 1 << 30;

/// A colour, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// The terminal's own.
    Default,
    /// One of the 16 that have names.
    Named(u8),
    /// One of 256.
    Indexed(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

impl Color {
    /// As it stands in a cell.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Default => 0,
            Self::Named(index) => 1 << 24 | index as u32,
            Self::Indexed(index) => 2 << 24 | index as u32,
            Self::Rgb(r, g, b) => 3 << 24 | (r as u32) << 16 | (g as u32) << 8 | b as u32,
        }
    }

    /// What stands in a cell.
    pub const fn of(bits: u32) -> Self {
        let [_, r, g, b] = bits.to_be_bytes();
        match (bits & COLOR_KIND) >> 24 {
            0 => Self::Default,
            1 => Self::Named(b),
            2 => Self::Indexed(b),
            _ => Self::Rgb(r, g, b),
        }
    }
}

/// What is in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing was written there.
    Empty,
    /// A character.
    Char(char),
    /// Several that belong together: a number of [`Clusters`](crate::tables::Clusters).
    Cluster(u32),
}

const CLUSTER: u32 = 1 << 21;
const VALUE: u32 = CLUSTER - 1;
const WIDTH: u32 = 22;

/// One cell of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    content: u32,
    /// A colour, and flags.
    pub fg: u32,
    /// A colour, and flags.
    pub bg: u32,
    /// A number of [`Extras`](crate::tables::Extras).
    pub extra: u32,
}

impl Cell {
    /// One in which nothing was written.
    pub const EMPTY: Self = Self {
        content: 1 << WIDTH,
        fg: 0,
        bg: 0,
        extra: 0,
    };

    /// An empty one that looks so.
    pub const fn looking(fg: u32, bg: u32, extra: u32) -> Self {
        Self {
            fg,
            bg,
            extra,
            ..Self::EMPTY
        }
    }

    /// The same look, with this in it. A `width` of 0 is that of a cell behind a wide character.
    pub const fn with(self, content: Content, width: u8) -> Self {
        let content = match content {
            Content::Empty => 0,
            Content::Char(character) => character as u32,
            Content::Cluster(number) => CLUSTER | number & VALUE,
        };
        Self {
            content: content | (width as u32) << WIDTH,
            ..self
        }
    }

    /// The same look, with this printable character of ASCII in it.
    pub const fn ascii(self, byte: u8) -> Self {
        Self {
            content: byte as u32 | 1 << WIDTH,
            ..self
        }
    }

    /// Nothing, on this background.
    pub const fn erased(bg: u32) -> Self {
        Self {
            bg: bg & COLOR,
            ..Self::EMPTY
        }
    }

    /// What is in it.
    pub fn content(self) -> Content {
        let value = self.content & VALUE;
        if self.content & CLUSTER != 0 {
            return Content::Cluster(value);
        }
        match char::from_u32(value) {
            None | Some('\0') => Content::Empty,
            Some(character) => Content::Char(character),
        }
    }

    /// Puts what is in it behind `text`: a blank when nothing was written there, and nothing for one behind a wide
    /// character.
    pub fn write(self, clusters: &Clusters, text: &mut String) {
        match self.content() {
            Content::Empty if self.width() == 0 => {}
            Content::Empty => text.push(' '),
            Content::Char(character) => text.push(character),
            Content::Cluster(number) => {
                text.push_str(clusters.get(number).map_or(" ", |cluster| cluster));
            }
        }
    }

    /// Whether something was written there.
    pub const fn has_content(self) -> bool {
        self.content & (CLUSTER | VALUE) != 0
    }

    /// 0, 1 or 2.
    pub const fn width(self) -> u8 {
        let [width, ..] = (self.content >> WIDTH).to_le_bytes();
        width
    }

    /// Whether DECSEL and DECSED leave it.
    pub const fn is_protected(self) -> bool {
        self.bg & PROTECTED != 0
    }
}
