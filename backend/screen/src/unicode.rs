//! How wide characters are, and which share cells: the rules of the page's terminal, that is of Unicode's
//! extended grapheme clusters (UAX #29) with the table that the page has.

use std::sync::LazyLock;

use crate::unicode_table::RUNS;

/// The last character, as the next one has to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preceding(Option<Properties>);

/// What is known of a character behind another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// How it breaks: one of the numbers below.
    kind: u8,
    /// Whether it came behind nothing, or was plain.
    is_plain: bool,
    /// Cells, of all that share them.
    pub width: u8,
    /// Whether it shares the cells of the one before.
    pub joins: bool,
}

const OTHER: u8 = 0;
const PREPEND: u8 = 1;
const EXTEND: u8 = 2;
const REGIONAL: u8 = 3;
const SPACING: u8 = 4;
const L: u8 = 5;
const V: u8 = 6;
const T: u8 = 7;
const LV: u8 = 8;
const LVT: u8 = 9;
const ZWJ: u8 = 10;
const PICTURE: u8 = 11;

/// The variation selector that makes a picture of what comes before.
const EMOJI: char = '\u{fe0f}';

/// A number of two levels: blocks of 256 characters, most of which are alike.
struct Table {
    blocks: Vec<u16>,
    entries: Vec<u8>,
}

const BLOCK: usize = 256;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table {
        blocks: Vec::with_capacity(0x11_0000 / BLOCK),
        entries: Vec::new(),
    };
    let (mut run, mut value) = (0, 0);
    for first in (0..0x11_0000_u32).step_by(BLOCK) {
        let mut block = [0; BLOCK];
        for (character, entry) in (first..).zip(&mut block) {
            while RUNS.get(run).is_some_and(|(from, _)| *from <= character) {
                value = RUNS[run].1;
                run += 1;
            }
            *entry = value;
        }
        let (known, _) = table.entries.as_chunks::<BLOCK>();
        let found = known.iter().position(|it| *it == block);
        let index = found.unwrap_or(known.len());
        if found.is_none() {
            table.entries.extend(block);
        }
        let index = u16::try_from(index).expect("there are not so many blocks");
        table.blocks.push(index);
    }
    table
});

fn entry(character: char) -> u8 {
    let character = u32::from(character) as usize;
    let block = usize::from(TABLE.blocks[character / BLOCK]);
    TABLE.entries[block * BLOCK + character % BLOCK]
}

impl Preceding {
    /// Nothing comes before.
    pub const NOTHING: Self = Self(None);

    /// A character of ASCII that shares no cell.
    pub const PLAIN: Self = Self(Some(Properties {
        kind: OTHER,
        is_plain: true,
        width: 1,
        joins: false,
    }));

    /// The character `properties` are of.
    pub fn is(properties: Properties) -> Self {
        Self(Some(properties))
    }

    /// The properties of the character that comes before, if any does.
    pub fn properties(self) -> Option<Properties> {
        self.0
    }

    /// Whether printable ASCII behind it is plain without a further look.
    pub fn is_plain(self) -> bool {
        self.0.is_none_or(|before| before.is_plain)
    }

    /// The properties of `character` behind it.
    pub fn next(self, character: char) -> Properties {
        if matches!(character, ' '..='~') && self.is_plain() {
            return Properties {
                kind: OTHER,
                is_plain: true,
                width: 1,
                joins: false,
            };
        }
        let entry = entry(character);
        let (after, wide) = (entry & 0xf, entry >> 4 == 3);
        // Of ambiguous width are the selectors, too, and one of them is wide.
        let mut width = 1 + u8::from(wide || entry >> 4 >= 2 && character == EMOJI);
        let Some(before) = self.0 else {
            return Properties {
                kind: after,
                is_plain: entry == 0,
                width,
                joins: false,
            };
        };
        let joins = shares(before.kind, after);
        if joins && before.width > width {
            width = before.width;
        } else if joins && after == REGIONAL {
            width = 2;
        }
        Properties {
            // A second pair of regional indicators is another flag.
            kind: if joins && after == REGIONAL {
                OTHER
            } else {
                after
            },
            is_plain: false,
            width,
            joins,
        }
    }
}

/// Whether a character of the second kind shares the cell of one of the first (rules GB6 to GB13).
fn shares(before: u8, after: u8) -> bool {
    let syllable = match before {
        L => matches!(after, L | V | LV | LVT),
        LV | V => matches!(after, V | T),
        LVT | T => after == T,
        _ => false,
    };
    syllable
        || matches!(after, EXTEND | ZWJ | SPACING)
        || before == PREPEND
        || before == ZWJ && after == PICTURE
        || before == REGIONAL && after == REGIONAL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widths(text: &str) -> Vec<(u8, bool)> {
        let mut before = Preceding::NOTHING;
        let each = text.chars().map(|character| {
            let found = before.next(character);
            before = Preceding::is(found);
            (found.width, found.joins)
        });
        each.collect()
    }

    #[test]
    fn characters_are_as_wide_as_on_the_page() {
        assert_eq!(widths("a漢"), [(1, false), (2, false)]);
        assert_eq!(widths("e\u{301}x"), [(1, false), (1, true), (1, false)]);
        assert_eq!(widths("🇩🇪🇫"), [(1, false), (2, true), (1, false)]);
        assert_eq!(widths("👩\u{200d}🚀"), [(2, false), (2, true), (2, true)]);
        assert_eq!(widths("❤\u{fe0f}"), [(1, false), (2, true)]);
        assert_eq!(widths("한"), [(2, false)]);
    }
}
