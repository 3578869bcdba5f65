//! National replacement character sets, and line drawing (ISO 2022).
//! See <https://vt100.net/docs/vt220-rm/table2-4.html>.

/// A character set, by the character that designates it. `B` is ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(u8);

/// What each set has instead of a character of ASCII.
const REPLACED: [(&[u8], &str, &str); 13] = [
    (
        b"0",
        "`abcdefghijklmnopqrstuvwxyz{|}~",
        "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·",
    ),
    (b"A", "#", "£"),
    (b"4", "#@[\\]{|}~", "£¾i½|¨f¼´"),
    (b"C5", "[\\]^`{|}~", "ÄÖÅÜéäöåü"),
    (b"R", "#@[\\]{|}~", "£à°ç§éùè¨"),
    (b"Q", "@[\\]^`{|}~", "àâçêîôéùèû"),
    (b"K", "@[\\]{|}~", "§ÄÖÜäöüß"),
    (b"Y", "#@[\\]`{|}~", "£§°çéùàòèì"),
    (b"E6", "@[\\]^`{|}~", "ÄÆØÅÜäæøåü"),
    (b"Z", "#@[\\]{|}", "£§¡Ñ¿°ñç"),
    (b"H7", "@[\\]^`{|}~", "ÉÄÖÅÜéäöåü"),
    (b"=", "#@[\\]^_`{|}~", "ùàéçêîèôäöüû"),
    (b"B", "", ""),
];

impl Charset {
    /// The one that is there at first.
    pub const ASCII: Self = Self(b'B');

    /// The set that this character designates, if there is one.
    pub fn designated(by: u8) -> Option<Self> {
        let known = REPLACED.iter().any(|(names, ..)| names.contains(&by));
        known.then_some(Self(by))
    }

    /// The character that designates it.
    pub fn name(self) -> char {
        char::from(self.0)
    }

    /// What it has for this character of ASCII.
    pub fn map(self, byte: u8) -> char {
        let set = REPLACED.iter().find(|(names, ..)| names.contains(&self.0));
        let replaced = set.and_then(|(_, from, to)| {
            let mut pairs = from.chars().zip(to.chars());
            pairs.find(|(from, _)| *from == char::from(byte))
        });
        replaced.map_or(char::from(byte), |(_, to)| to)
    }
}
