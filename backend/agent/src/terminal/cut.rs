//! Where a stream of terminal output may be cut.
//!
//! A snapshot says what has been drawn, not what the parser was in the middle of. It is therefore
//! valid not at the end of the output but before the sequence or character that has only begun, and
//! this module counts the bytes of that.

use memchr::memrchr;

/// The bytes at the end of the output that have not been drawn yet.
#[derive(Debug, Default)]
pub struct Tail {
    state: State,
    len: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
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
    /// In a string (OSC, DCS, SOS, PM, APC), which ends with BEL, or with ESC \.
    Text,
}

const ESC: u8 = 0x1b;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;
const BEL: u8 = 0x07;

impl Tail {
    /// How many bytes at the end belong to something that has only begun.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Takes the next `output` in.
    pub fn advance(&mut self, output: &[u8]) {
        // Whatever came before it, a sequence starts anew at ESC: only what follows the last one
        // matters.
        let last = memrchr(ESC, output);
        let from = last.unwrap_or(0);
        if last.is_some() {
            self.state = State::Ground;
            self.len = 0;
        }
        let rest = &output[from..];
        // And in plain text, only the last character does.
        let rest = if self.state == State::Ground && rest.first() != Some(&ESC) {
            &rest[rest.len().saturating_sub(3)..]
        } else {
            rest
        };
        for &byte in rest {
            if begins_anew(self.state, byte) {
                self.len = 0;
            }
            self.state = next(self.state, byte);
            self.len = match self.state {
                State::Ground => 0,
                _ => self.len + 1,
            };
        }
    }
}

/// Whether `byte` ends what was begun by not belonging to it.
fn begins_anew(state: State, byte: u8) -> bool {
    let broken = matches!(state, State::Character(_)) && !(0x80..=0xbf).contains(&byte);
    broken || byte == ESC
}

fn next(state: State, byte: u8) -> State {
    match (state, byte) {
        (_, ESC) => State::Escape,
        (State::Ground, 0xc2..=0xdf) => State::Character(1),
        (State::Ground, 0xe0..=0xef) => State::Character(2),
        (State::Ground, 0xf0..=0xf4) => State::Character(3),
        (State::Character(left @ 2..), 0x80..=0xbf) => State::Character(left - 1),
        (State::Escape, b'[') => State::Control,
        (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::Text,
        (State::Escape | State::Intermediate, 0x20..=0x2f) => State::Intermediate,
        (_, CAN | SUB)
        | (State::Character(1), 0x80..=0xbf)
        | (State::Escape | State::Intermediate, 0x30..=0x7e)
        | (State::Control, 0x40..=0x7e)
        | (State::Text, BEL) => State::Ground,
        // Not a character after all: this byte may begin one.
        (State::Character(_), _) => next(State::Ground, byte),
        (state, _) => state,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tail(output: &[u8]) -> u64 {
        let mut tail = Tail::default();
        tail.advance(output);
        tail.len()
    }

    #[test]
    fn complete_output_has_no_tail() {
        for output in [
            &b"hello"[..],
            "größe 漢字 🎉".as_bytes(),
            b"\x1b[31mred\x1b[0m",
            b"\x1b]2;title\x07",
            b"\x1b]2;title\x1b\\",
            b"\x1b(B",
            b"\x1b[38;5;1\x18plain",
            b"\xff\xfe",
        ] {
            assert_eq!(tail(output), 0, "{output:?}");
        }
    }

    #[test]
    fn an_unfinished_end_is_counted() {
        for (output, len) in [
            (&b"abc\x1b"[..], 1),
            (b"abc\x1b[", 2),
            (b"abc\x1b[38;5", 6),
            (b"\x1b]2;ti\xc3\xa9tle", 11),
            (b"x\x1b(", 2),
            (b"x\xe6\xbc", 2),
            (b"\xf0\x9f\x8e", 3),
            (b"\xf0\x9f\xc3", 1),
        ] {
            assert_eq!(tail(output), len, "{output:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_the_same_as_the_whole(
            output in prop::collection::vec(
                prop_oneof![
                    Just(ESC), Just(b'['), Just(b']'), Just(b'm'), Just(BEL), Just(0xc3),
                    Just(0xa9), Just(0xf0), Just(CAN), any::<u8>(),
                ],
                0..60,
            ),
            piece in 1usize..9,
        ) {
            let mut simple = State::Ground;
            let mut len = 0;
            for &byte in &output {
                if begins_anew(simple, byte) {
                    len = 0;
                }
                simple = next(simple, byte);
                len = match simple {
                    State::Ground => 0,
                    _ => len + 1,
                };
            }
            let mut tail = Tail::default();
            for piece in output.chunks(piece) {
                tail.advance(piece);
            }
            prop_assert_eq!(tail.len(), len);
        }
    }
}
