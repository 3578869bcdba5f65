//! Keys by their names, as the bytes that a terminal sends for them.
//!
//! They are those of xterm: <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>, "PC-Style Function Keys".

/// What is held down with a key.
#[derive(Clone, Copy, Debug, Default)]
struct Modifiers {
    shift: bool,
    alt: bool,
    ctrl: bool,
}

impl Modifiers {
    /// As a parameter of a sequence; none when nothing is held down.
    fn parameter(self) -> Option<u8> {
        let flags = u8::from(self.shift) | u8::from(self.alt) << 1 | u8::from(self.ctrl) << 2;
        (flags > 0).then_some(flags + 1)
    }
}

/// How a key is sent that is no character.
enum Key {
    /// `CSI` and this, or `SS3` and this where applications want it.
    Cursor(char),
    /// `SS3` and this.
    Function(char),
    /// `CSI`, this number, and a tilde.
    Number(u8),
}

/// What is sent for a key such as `Enter`, `Ctrl+C`, `Alt+x`, `Shift+Tab` or `Up`; none for one that is not known.
/// `application` is what the program has asked of cursor keys (DECCKM).
pub fn encode(name: &str, application: bool) -> Option<Vec<u8>> {
    let mut held = Modifiers::default();
    let mut key = name;
    // A plus may be the key itself.
    while let Some((modifier, rest)) = key.split_once('+').filter(|(_, rest)| !rest.is_empty()) {
        let flag = match modifier.to_ascii_lowercase().as_str() {
            "shift" => &mut held.shift,
            "alt" => &mut held.alt,
            "ctrl" => &mut held.ctrl,
            _ => return None,
        };
        *flag = true;
        key = rest;
    }
    if let Some(sequence) = special(key) {
        return Some(with_modifiers(&sequence, held, application));
    }
    let mut bytes = match key.to_ascii_lowercase().as_str() {
        "enter" => b"\r".to_vec(),
        "tab" if held.shift => b"\x1b[Z".to_vec(),
        "tab" => b"\t".to_vec(),
        "escape" => b"\x1b".to_vec(),
        "backspace" if held.ctrl => b"\x08".to_vec(),
        "backspace" => b"\x7f".to_vec(),
        "space" if held.ctrl => b"\0".to_vec(),
        "space" => b" ".to_vec(),
        _ => character(key, held)?,
    };
    if held.alt {
        bytes.insert(0, 0x1b);
    }
    Some(bytes)
}

fn special(key: &str) -> Option<Key> {
    Some(match key.to_ascii_lowercase().as_str() {
        "up" => Key::Cursor('A'),
        "down" => Key::Cursor('B'),
        "right" => Key::Cursor('C'),
        "left" => Key::Cursor('D'),
        "home" => Key::Cursor('H'),
        "end" => Key::Cursor('F'),
        "insert" => Key::Number(2),
        "delete" => Key::Number(3),
        "pageup" => Key::Number(5),
        "pagedown" => Key::Number(6),
        "f1" => Key::Function('P'),
        "f2" => Key::Function('Q'),
        "f3" => Key::Function('R'),
        "f4" => Key::Function('S'),
        "f5" => Key::Number(15),
        "f6" => Key::Number(17),
        "f7" => Key::Number(18),
        "f8" => Key::Number(19),
        "f9" => Key::Number(20),
        "f10" => Key::Number(21),
        "f11" => Key::Number(23),
        "f12" => Key::Number(24),
        _ => return None,
    })
}

fn with_modifiers(key: &Key, held: Modifiers, application: bool) -> Vec<u8> {
    let text = match (key, held.parameter()) {
        (Key::Cursor(last), None) if application => format!("\x1bO{last}"),
        (Key::Cursor(last), None) => format!("\x1b[{last}"),
        (Key::Function(last), None) => format!("\x1bO{last}"),
        (Key::Cursor(last) | Key::Function(last), Some(held)) => format!("\x1b[1;{held}{last}"),
        (Key::Number(number), None) => format!("\x1b[{number}~"),
        (Key::Number(number), Some(held)) => format!("\x1b[{number};{held}~"),
    };
    text.into_bytes()
}

/// One character, with what is held down beside Alt.
fn character(key: &str, held: Modifiers) -> Option<Vec<u8>> {
    let mut characters = key.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else {
        return None;
    };
    if held.ctrl {
        let code = match character.to_ascii_uppercase() {
            letter @ ('@'..='_') => u8::try_from(letter).ok()? & 0x1f,
            '?' => 0x7f,
            _ => return None,
        };
        return Some(vec![code]);
    }
    let character = if held.shift {
        character.to_uppercase().next()?
    } else {
        character
    };
    (!character.is_control()).then(|| character.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sent_as_xterm_sends_them() {
        for (name, bytes) in [
            ("Enter", "\r"),
            ("Ctrl+C", "\x03"),
            ("ctrl+c", "\x03"),
            ("Ctrl+[", "\x1b"),
            ("Ctrl+Space", "\0"),
            ("Alt+x", "\x1bx"),
            ("Alt+Enter", "\x1b\r"),
            ("Shift+a", "A"),
            ("Shift+Tab", "\x1b[Z"),
            ("+", "+"),
            ("Alt++", "\x1b+"),
            ("\u{e9}", "\u{e9}"),
            ("Up", "\x1b[A"),
            ("Ctrl+Left", "\x1b[1;5D"),
            ("Shift+Alt+F1", "\x1b[1;4P"),
            ("F5", "\x1b[15~"),
            ("Ctrl+Delete", "\x1b[3;5~"),
        ] {
            assert_eq!(
                encode(name, false),
                Some(bytes.as_bytes().to_vec()),
                "{name}"
            );
        }
        assert_eq!(encode("Up", true), Some(b"\x1bOA".to_vec()));
        assert_eq!(encode("Ctrl+Up", true), Some(b"\x1b[1;5A".to_vec()));
        for name in ["", "Hyper+x", "Ctrl+1", "ab", "Ctrl+", "\x07"] {
            assert_eq!(encode(name, false), None, "{name:?}");
        }
    }
}
