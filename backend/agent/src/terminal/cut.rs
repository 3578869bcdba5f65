//! Where a stream of terminal output may be cut.
//!
//! A snapshot says what has been drawn, not what the parser was in the middle of. It is therefore
//! valid not at the end of the output but before the sequence or character that has only begun, and
//! this module counts the bytes of that.

use memchr::memrchr;

use super::sequence::{ESC, Place};

/// The bytes at the end of the output that have not been drawn yet.
#[derive(Debug, Default)]
pub struct Tail {
    place: Place,
    len: u64,
}

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
            self.place = Place::Ground;
            self.len = 0;
        }
        let rest = &output[from..];
        // And in plain text, only the last character does.
        let rest = if self.place == Place::Ground && rest.first() != Some(&ESC) {
            &rest[rest.len().saturating_sub(3)..]
        } else {
            rest
        };
        for &byte in rest {
            if begins_anew(self.place, byte) {
                self.len = 0;
            }
            self.place = self.place.after(byte);
            self.len = match self.place {
                Place::Ground => 0,
                _ => self.len + 1,
            };
        }
    }
}

/// Whether `byte` ends what was begun by not belonging to it.
fn begins_anew(place: Place, byte: u8) -> bool {
    let broken = matches!(place, Place::Character(_)) && !(0x80..=0xbf).contains(&byte);
    broken || byte == ESC
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::terminal::sequence::CAN;

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
            (b"\x1bPq\x07a", 5),
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
                    Just(ESC), Just(b'['), Just(b']'), Just(b'm'), Just(7), Just(0xc3),
                    Just(0xa9), Just(0xf0), Just(CAN), any::<u8>(),
                ],
                0..60,
            ),
            piece in 1usize..9,
        ) {
            let mut simple = Place::Ground;
            let mut len = 0;
            for &byte in &output {
                if begins_anew(simple, byte) {
                    len = 0;
                }
                simple = simple.after(byte);
                len = match simple {
                    Place::Ground => 0,
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
