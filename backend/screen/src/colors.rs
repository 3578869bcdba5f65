//! Colours that a program has given other values.

use std::collections::BTreeMap;

use crate::report::MAX_ANSWERS;

/// Red, green and blue.
pub type Rgb = [u8; 3];

/// How many colours have numbers.
const INDEXED: usize = 256;

/// The colours that have names of their own, and the code (OSC) that changes each.
pub const SPECIAL: [u32; 3] = [10, 11, 12];

/// The colours that programs are told when they ask, where none has given others: those of the page's dark
/// theme. The text's own, its background, the cursor.
const SPECIAL_DEFAULTS: [Rgb; 3] = [[0xd8, 0xde, 0xe9], [0x11, 0x15, 0x1c], [0xd8, 0xde, 0xe9]];

/// The same for the first 16; the others are xterm's cube and greys.
const NAMED_DEFAULTS: [Rgb; 16] = [
    [0x2e, 0x34, 0x36],
    [0xcc, 0x00, 0x00],
    [0x4e, 0x9a, 0x06],
    [0xc4, 0xa0, 0x00],
    [0x34, 0x65, 0xa4],
    [0x75, 0x50, 0x7b],
    [0x06, 0x98, 0x9a],
    [0xd3, 0xd7, 0xcf],
    [0x55, 0x57, 0x53],
    [0xef, 0x29, 0x29],
    [0x8a, 0xe2, 0x34],
    [0xfc, 0xe9, 0x4f],
    [0x72, 0x9f, 0xcf],
    [0xad, 0x7f, 0xa8],
    [0x34, 0xe2, 0xe2],
    [0xee, 0xee, 0xec],
];

/// Colours that a program has given other values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Colors {
    /// By number, in order.
    indexed: BTreeMap<usize, Rgb>,
    special: [Option<Rgb>; SPECIAL.len()],
}

impl Colors {
    /// Those with numbers that have other values.
    pub fn indexed(&self) -> impl Iterator<Item = (usize, Rgb)> + '_ {
        self.indexed.iter().map(|(index, color)| (*index, *color))
    }

    /// Those with names that have other values.
    pub fn special(&self) -> impl Iterator<Item = (u32, Rgb)> + '_ {
        let all = SPECIAL.into_iter().zip(self.special);
        all.filter_map(|(code, color)| color.map(|color| (code, color)))
    }

    /// The value of the one with this number.
    pub fn value(&self, index: usize) -> Rgb {
        let color = self.indexed.get(&index).copied();
        color.unwrap_or_else(|| default(index))
    }

    /// The values of those with names: of text, its background, the cursor.
    pub fn special_values(&self) -> [Rgb; SPECIAL.len()] {
        std::array::from_fn(|place| self.special[place].unwrap_or(SPECIAL_DEFAULTS[place]))
    }

    /// OSC 4: pairs of a number and a colour. What was asked is answered.
    pub fn change_indexed(&mut self, text: &str, answers: &mut Vec<u8>) {
        let mut parts = text.split(';');
        while let (Some(index), Some(spec)) = (parts.next(), parts.next()) {
            let Some(index) = number(index) else {
                continue;
            };
            if spec == "?" {
                answer(&format!("4;{index}"), self.value(index), answers);
            } else if let Some(color) = parse(spec) {
                self.indexed.insert(index, color);
            }
        }
    }

    /// OSC 10 to 12: colours from the one with this code on.
    pub fn change_special(&mut self, code: u32, text: &str, answers: &mut Vec<u8>) {
        let first = SPECIAL.iter().position(|it| *it == code);
        let places = (first.unwrap_or(SPECIAL.len())..SPECIAL.len()).zip(text.split(';'));
        for (place, spec) in places {
            if spec == "?" {
                let color = self.special_values()[place];
                answer(&SPECIAL[place].to_string(), color, answers);
            } else if let Some(color) = parse(spec) {
                self.special[place] = Some(color);
            }
        }
    }

    /// OSC 104: gives those with numbers their own values again, all when none is named.
    pub fn restore_indexed(&mut self, text: &str) {
        if text.is_empty() {
            self.indexed.clear();
        }
        for index in text.split(';').filter_map(number) {
            self.indexed.remove(&index);
        }
    }

    /// OSC 110 to 112.
    pub fn restore_special(&mut self, code: u32) {
        if let Some(place) = SPECIAL.iter().position(|it| *it == code) {
            self.special[place] = None;
        }
    }
}

fn number(text: &str) -> Option<usize> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let index = text.parse().ok()?;
    (is_number && index < INDEXED).then_some(index)
}

fn answer(code: &str, [r, g, b]: Rgb, answers: &mut Vec<u8>) {
    let text = format!("\x1b]{code};rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}\x1b\\");
    if answers.len() + text.len() <= MAX_ANSWERS {
        answers.extend(text.into_bytes());
    }
}

fn default(index: usize) -> Rgb {
    if let Some(color) = NAMED_DEFAULTS.get(index) {
        return *color;
    }
    let byte = |value: usize| u8::try_from(value).unwrap_or(u8::MAX);
    if index >= 232 {
        return [byte(8 + (index - 232) * 10); 3];
    }
    let level = |value: usize| byte(if value == 0 { 0 } else { 55 + value * 40 });
    let cube = index - 16;
    [level(cube / 36), level(cube / 6 % 6), level(cube % 6)]
}

/// A colour as XParseColor(3) takes it, in its two usual forms.
fn parse(spec: &str) -> Option<Rgb> {
    let spec = spec.to_ascii_lowercase();
    let hex = |text: &str| {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u32::from_str_radix(text, 16).ok();
        value.filter(|_| is_hex && (1..=4).contains(&text.len()))
    };
    let byte = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
    if let Some(spec) = spec.strip_prefix("rgb:") {
        let parts: Vec<&str> = spec.split('/').collect();
        let parts: [&str; 3] = parts.try_into().ok()?;
        let length = parts[0].len();
        if !(1..=4).contains(&length) {
            return None;
        }
        let mut color = [0; 3];
        for (value, part) in color.iter_mut().zip(parts) {
            let most = (1_u32 << (4 * length)) - 1;
            let part = hex(part).filter(|_| part.len() == length)?;
            // To the nearest.
            *value = byte((part * 255 * 2 + most) / (most * 2));
        }
        return Some(color);
    }
    let spec = spec.strip_prefix('#').filter(|spec| spec.is_ascii())?;
    let length = spec.len() / 3;
    if !(1..=4).contains(&length) || !spec.len().is_multiple_of(3) {
        return None;
    }
    let mut color = [0; 3];
    for (index, value) in color.iter_mut().enumerate() {
        let part = hex(&spec[index * length..(index + 1) * length])?;
        *value = byte(match length {
            1 => part << 4,
            2 => part,
            3 => part >> 4,
            _ => part >> 8,
        });
    }
    Some(color)
}
