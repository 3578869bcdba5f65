//! Decodes UTF-8 byte by byte. What is none is left out, as xterm.js leaves it out; replacing it would draw
//! something else than the page does.

/// A character that has perhaps begun.
#[derive(Debug, Default)]
pub struct Decoder {
    value: u32,
    /// Bytes that are to come.
    missing: u8,
    length: u8,
}

impl Decoder {
    /// Whether a character has begun and not ended.
    pub fn has_begun(&self) -> bool {
        self.missing > 0
    }

    /// Takes the next byte, and returns the character that it ends.
    pub fn decode(&mut self, byte: u8) -> Option<char> {
        if self.missing > 0 && byte & 0xc0 == 0x80 {
            self.value = self.value << 6 | u32::from(byte & 0x3f);
            self.missing -= 1;
            let least = [0x80, 0x800, 0x1_0000][usize::from(self.length - 2)];
            let is_whole = self.missing == 0 && self.value >= least && self.value != 0xfeff;
            return char::from_u32(self.value).filter(|_| is_whole);
        }
        (self.missing, self.value) = match byte {
            0x00..=0x7f => {
                self.missing = 0;
                return Some(char::from(byte));
            }
            0xc0..=0xdf => (1, u32::from(byte & 0x1f)),
            0xe0..=0xef => (2, u32::from(byte & 0x0f)),
            0xf0..=0xf7 => (3, u32::from(byte & 0x07)),
            _ => (0, 0),
        };
        self.length = self.missing + 1;
        None
    }
}
