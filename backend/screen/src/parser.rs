//! Takes output apart into text, control characters and sequences.
//!
//! The states are those of <https://vt100.net/emu/dec_ansi_parser>. Like xterm.js, which shows the same
//! bytes, this one decodes UTF-8 first, takes C1 controls only as characters of UTF-8 (U+009B is CSI), and
//! drops what is not UTF-8.

use crate::params::Params;
use crate::utf8::Decoder;

/// The most bytes of a string (OSC or DCS) that are kept. A longer one is ignored as a whole.
const MAX_STRING: usize = 64 * 1024;

/// Where a command is in the output that is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Behind how many bytes it ends. That may be one more than there are yet.
    pub end: usize,
    /// How many bytes it has.
    pub length: usize,
}

/// Acts upon what is in the output.
pub trait Handler {
    /// Text of printable ASCII.
    fn ascii(&mut self, text: &[u8]);
    /// Another printable character.
    fn character(&mut self, character: char);
    /// Behind text: something else, or the end of the output so far.
    fn text_ends(&mut self);
    /// A control character.
    fn execute(&mut self, control: u8);
    /// `ESC`, intermediate characters, and the final one.
    fn escape(&mut self, intermediates: &[u8], last: u8);
    /// `CSI`, a prefix and intermediates, the parameters, and the final character.
    fn control(&mut self, collected: &[u8], params: &Params, last: u8);
    /// `OSC` and its string, and where it is in the output.
    fn command(&mut self, text: &[u8], place: Place);
    /// `DCS`, as [`Self::control`], and its string.
    fn device(&mut self, collected: &[u8], params: &Params, last: u8, text: &[u8]);
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    EscapeIntermediate,
    CsiEntry,
    CsiParam,
    CsiIntermediate,
    CsiIgnore,
    DcsEntry,
    DcsParam,
    DcsIntermediate,
    DcsIgnore,
    DcsString,
    OscString,
    /// SOS, PM and APC.
    Ignored,
}

/// What is known of a sequence that has begun.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    decoder: Decoder,
    params: Params,
    collected: Vec<u8>,
    last: u8,
    text: Vec<u8>,
    is_too_long: bool,
    /// How many bytes of this output have been taken.
    taken: usize,
    /// Bytes since the output was at rest.
    begun: u64,
    /// What a sequence without a string has had so far, but for the controls in it, which have been acted
    /// upon.
    prefix: Vec<u8>,
    has_acted: bool,
}

/// The most bytes of a sequence with a control in it that a snapshot has.
const MAX_PREFIX: usize = 1024;

/// The most prefixes and intermediates. No sequence has more than two that anybody knows.
const MAX_COLLECTED: usize = 8;

impl Parser {
    /// What a terminal has to be given to be where this one is, beside what has been acted upon: bytes, and
    /// then so many from the end of the output.
    pub fn begun(&self) -> (&[u8], u64) {
        // A control within a sequence must not be acted upon again.
        if self.has_acted {
            (&self.prefix, 0)
        } else {
            (&[], self.begun)
        }
    }

    /// Takes `output` apart.
    pub fn advance(&mut self, handler: &mut impl Handler, output: &[u8]) {
        let mut rest = output;
        let mut in_text = false;
        while let Some(&byte) = rest.first() {
            if self.state == State::Ground && !self.decoder.has_begun() {
                let length = self.at_rest(handler, rest, &mut in_text);
                if length > 0 {
                    rest = &rest[length..];
                    continue;
                }
            } else if matches!(
                self.state,
                State::OscString | State::DcsString | State::Ignored
            ) && !self.decoder.has_begun()
            {
                let length = printable(rest);
                if length > 0 {
                    self.keep(&rest[..length]);
                    self.begun += length as u64;
                    rest = &rest[length..];
                    continue;
                }
            }
            rest = &rest[1..];
            self.taken = output.len() - rest.len();
            // Whatever it was in the middle of, these begin anew.
            let is_broken = self.state == State::Ground && byte & 0xc0 != 0x80;
            if byte == 0x1b || is_broken {
                self.begun = 0;
            }
            self.begun += 1;
            if let Some(character) = self.decoder.decode(byte) {
                let is_text = self.state == State::Ground && is_text(character);
                if in_text && !is_text {
                    handler.text_ends();
                }
                in_text = is_text;
                self.take(handler, character);
            }
            if self.state == State::Ground && !self.decoder.has_begun() {
                self.begun = 0;
            }
        }
        if in_text {
            handler.text_ends();
        }
    }

    /// Takes what is whole at the front, and returns how many bytes that was. This is what nearly all output
    /// is made of; what it leaves goes byte by byte.
    fn at_rest(&mut self, handler: &mut impl Handler, rest: &[u8], in_text: &mut bool) -> usize {
        let length = printable(rest);
        if length > 0 {
            *in_text = true;
            handler.ascii(&rest[..length]);
            return length;
        }
        if let Some((character, length)) = whole(rest) {
            *in_text = true;
            handler.character(character);
            return length;
        }
        let length = match rest {
            [0x1b, b'[', sequence @ ..] => self.whole_control(sequence),
            [0x00..=0x1a | 0x1c..=0x1f, ..] => 1,
            _ => 0,
        };
        if length > 0 && std::mem::take(in_text) {
            handler.text_ends();
        }
        match length {
            0 => 0,
            1 => {
                handler.execute(rest[0]);
                1
            }
            _ => {
                handler.control(&self.collected, &self.params, rest[length - 1]);
                length
            }
        }
    }

    /// Takes the parameters of a control sequence without anything unusual in it, and returns its length.
    fn whole_control(&mut self, sequence: &[u8]) -> usize {
        self.collected.clear();
        self.params.clear();
        let mut at = 0;
        if let Some(prefix @ b'<'..=b'?') = sequence.first() {
            self.collected.push(*prefix);
            at = 1;
        }
        for &byte in &sequence[at..] {
            at += 1;
            match byte {
                b'0'..=b';' => self.params.take(byte),
                0x40..=0x7e => return 2 + at,
                _ => return 0,
            }
        }
        0
    }

    fn take(&mut self, handler: &mut impl Handler, character: char) {
        let is_control = matches!(character, '\0'..='\x1f') && character != '\x1b';
        let before = self.prefix.len();
        self.act(handler, character);
        let is_sequence = !matches!(
            self.state,
            State::Ground | State::OscString | State::DcsString | State::Ignored
        );
        if !is_sequence {
            self.has_acted = false;
            self.prefix.clear();
        } else if is_control {
            self.has_acted = true;
        } else if self.prefix.len() == before
            && self.prefix.len() < MAX_PREFIX
            && let Ok(byte) = u8::try_from(character)
        {
            self.prefix.push(byte);
        }
    }

    fn act(&mut self, handler: &mut impl Handler, character: char) {
        let Ok(byte) = u8::try_from(u32::from(character)) else {
            return self.other(handler, character);
        };
        match (self.state, byte) {
            (State::DcsString, 0x18 | 0x1a | 0x1b | 0x9c) => self.end_device(handler, byte),
            (State::OscString, 0x07 | 0x18 | 0x1a | 0x1b | 0x9c) => self.end_command(handler, byte),
            (_, 0x18 | 0x1a | 0x80..=0x8f | 0x91..=0x97 | 0x99 | 0x9a) => {
                handler.execute(byte);
                self.state = State::Ground;
            }
            (_, 0x9c) => self.state = State::Ground,
            (_, 0x1b) => self.begin(State::Escape),
            (_, 0x90) => self.begin(State::DcsEntry),
            (_, 0x9b) => self.begin(State::CsiEntry),
            (_, 0x9d) => self.begin_string(State::OscString),
            (_, 0x98 | 0x9e | 0x9f) => self.state = State::Ignored,
            (_, 0xa0..) => self.other(handler, character),
            (State::Ground, 0x00..=0x1f) => handler.execute(byte),
            (State::Ground, 0x20..=0x7e) => handler.ascii(&[byte]),
            (State::Escape, _) => self.escape(handler, byte),
            (State::EscapeIntermediate, _) => match byte {
                0x00..=0x1f => handler.execute(byte),
                0x20..=0x2f => self.collect(byte),
                0x30..=0x7e => {
                    self.state = State::Ground;
                    handler.escape(&self.collected, byte);
                }
                _ => {}
            },
            (State::CsiEntry | State::CsiParam | State::CsiIntermediate | State::CsiIgnore, _) => {
                self.control(handler, byte);
            }
            (State::DcsEntry | State::DcsParam | State::DcsIntermediate, _) => self.device(byte),
            (State::DcsString, 0x00..=0x7e) | (State::OscString, 0x20..=0x7f) => {
                self.keep(&[byte]);
            }
            // Nothing acts upon the rest.
            _ => {}
        }
    }

    /// A printable character beyond ASCII.
    fn other(&mut self, handler: &mut impl Handler, character: char) {
        match self.state {
            State::Ground => handler.character(character),
            State::OscString | State::DcsString => {
                let mut bytes = [0; 4];
                self.keep(character.encode_utf8(&mut bytes).as_bytes());
            }
            State::CsiIgnore | State::DcsIgnore => {}
            // It has no place there.
            _ => self.state = State::Ground,
        }
    }

    fn begin(&mut self, state: State) {
        self.prefix.clear();
        self.prefix.extend_from_slice(match state {
            State::CsiEntry => b"\x1b[",
            State::DcsEntry => b"\x1bP",
            _ => b"\x1b",
        });
        self.has_acted = false;
        self.state = state;
        self.collected.clear();
        self.params.clear();
    }

    fn begin_string(&mut self, state: State) {
        self.state = state;
        self.text.clear();
        self.is_too_long = false;
    }

    fn collect(&mut self, byte: u8) {
        if self.collected.len() < MAX_COLLECTED {
            self.collected.push(byte);
        }
        match self.state {
            State::Escape => self.state = State::EscapeIntermediate,
            State::CsiEntry | State::CsiParam => self.state = State::CsiIntermediate,
            State::DcsEntry | State::DcsParam => self.state = State::DcsIntermediate,
            _ => {}
        }
    }

    fn keep(&mut self, text: &[u8]) {
        if self.state == State::Ignored || self.is_too_long {
            return;
        }
        if self.text.len() + text.len() > MAX_STRING {
            self.is_too_long = true;
            self.text = Vec::new();
            return;
        }
        self.text.extend_from_slice(text);
    }

    fn escape(&mut self, handler: &mut impl Handler, byte: u8) {
        match byte {
            0x00..=0x1f => handler.execute(byte),
            0x20..=0x2f => self.collect(byte),
            b'P' => self.begin(State::DcsEntry),
            b'[' => self.begin(State::CsiEntry),
            b']' => self.begin_string(State::OscString),
            b'X' | b'^' | b'_' => self.state = State::Ignored,
            0x30..=0x7e => {
                self.state = State::Ground;
                handler.escape(&self.collected, byte);
            }
            _ => {}
        }
    }

    fn control(&mut self, handler: &mut impl Handler, byte: u8) {
        match (self.state, byte) {
            (_, 0x00..=0x1f) => handler.execute(byte),
            (_, 0x7f) => {}
            (State::CsiIgnore, 0x40..) => self.state = State::Ground,
            (State::CsiIgnore, _) => {}
            (_, 0x40..) => {
                self.state = State::Ground;
                handler.control(&self.collected, &self.params, byte);
            }
            (_, 0x20..=0x2f) => self.collect(byte),
            (State::CsiEntry | State::CsiParam, b'0'..=b';') => {
                self.state = State::CsiParam;
                self.params.take(byte);
            }
            (State::CsiEntry, 0x3c..=0x3f) => {
                self.collected.push(byte);
                self.state = State::CsiParam;
            }
            _ => self.state = State::CsiIgnore,
        }
    }

    fn device(&mut self, byte: u8) {
        match (self.state, byte) {
            (_, 0x00..=0x1f | 0x7f) => {}
            (_, 0x40..) => {
                self.last = byte;
                self.begin_string(State::DcsString);
            }
            (_, 0x20..=0x2f) => self.collect(byte),
            (State::DcsEntry | State::DcsParam, b'0'..=b';') => {
                self.state = State::DcsParam;
                self.params.take(byte);
            }
            (State::DcsEntry, 0x3c..=0x3f) => {
                self.collected.push(byte);
                self.state = State::DcsParam;
            }
            _ => self.state = State::DcsIgnore,
        }
    }

    fn end_command(&mut self, handler: &mut impl Handler, byte: u8) {
        if !matches!(byte, 0x18 | 0x1a) && !self.is_too_long {
            // Of an ESC that ends it, the backslash is still to come.
            let (ending, rest) = match byte {
                0x1b => (2, 1),
                0x9c => (2, 0),
                _ => (1, 0),
            };
            let place = Place {
                end: self.taken + rest,
                length: 2 + self.text.len() + ending,
            };
            handler.command(&self.text, place);
        }
        self.end_string(byte);
    }

    fn end_device(&mut self, handler: &mut impl Handler, byte: u8) {
        if !matches!(byte, 0x18 | 0x1a) && !self.is_too_long {
            handler.device(&self.collected, &self.params, self.last, &self.text);
        }
        self.end_string(byte);
    }

    fn end_string(&mut self, byte: u8) {
        self.text.clear();
        self.begin(match byte {
            0x1b => State::Escape,
            _ => State::Ground,
        });
    }
}

fn is_text(character: char) -> bool {
    !matches!(character, '\0'..='\x1f' | '\x7f'..='\u{9f}')
}

/// The printable character beyond ASCII at the front, and its length.
fn whole(output: &[u8]) -> Option<(char, usize)> {
    let length = match output.first()? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let text = std::str::from_utf8(output.get(..length)?).ok()?;
    let character = text.chars().next()?;
    (is_text(character) && character != '\u{feff}').then_some((character, length))
}

/// How many bytes at the front are printable ASCII.
fn printable(output: &[u8]) -> usize {
    let is_printable = |byte: &u8| matches!(byte, 0x20..=0x7e);
    // Without a branch for each byte, so that the compiler makes one comparison of many.
    let (chunks, _) = output.as_chunks::<16>();
    let are_printable =
        |chunk: &&[u8; 16]| chunk.iter().fold(true, |all, it| all & is_printable(it));
    let whole = 16 * chunks.iter().take_while(are_printable).count();
    let rest = &output[whole..];
    let more = rest.iter().position(|it| !is_printable(it));
    whole + more.unwrap_or(rest.len())
}
