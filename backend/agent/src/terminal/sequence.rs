//! Where in a stream of terminal output the parser is: between sequences, or within one.

/// The place after some byte of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Between sequences.
    #[default]
    Ground,
    /// In a character of UTF-8, with so many bytes to come.
    Character(u8),
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte.
    Intermediate,
    /// In a control sequence.
    Control,
    /// In an operating system command (OSC), which ends with BEL, or with ESC \.
    Command,
    /// In another string (DCS, SOS, PM, APC), which only ends with ESC \.
    Text,
}

/// Begins every sequence, wherever it comes.
pub const ESC: u8 = 0x1b;
/// End a sequence without its effect.
pub const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const BEL: u8 = 0x07;

impl Place {
    /// The place after `byte`.
    ///
    /// <https://vt100.net/emu/dec_ansi_parser>, with UTF-8 and with the BEL of xterm.
    pub fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (_, ESC) => Self::Escape,
            (Self::Ground, 0xc2..=0xdf) => Self::Character(1),
            (Self::Ground, 0xe0..=0xef) => Self::Character(2),
            (Self::Ground, 0xf0..=0xf4) => Self::Character(3),
            (Self::Character(left @ 2..), 0x80..=0xbf) => Self::Character(left - 1),
            (Self::Escape, b'[') => Self::Control,
            (Self::Escape, b']') => Self::Command,
            (Self::Escape, b'P' | b'X' | b'^' | b'_') => Self::Text,
            (Self::Escape | Self::Intermediate, 0x20..=0x2f) => Self::Intermediate,
            (_, CAN | SUB)
            | (Self::Character(1), 0x80..=0xbf)
            | (Self::Escape | Self::Intermediate, 0x30..=0x7e)
            | (Self::Control, 0x40..=0x7e)
            | (Self::Command, BEL) => Self::Ground,
            // Not a character after all: this byte may begin one.
            (Self::Character(_), _) => Self::Ground.after(byte),
            (place, _) => place,
        }
    }
}
