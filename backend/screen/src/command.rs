//! Commands to the terminal's surroundings (OSC).

use crate::parser::Place;
use crate::tables::MAX_LINK;
use crate::term::Term;

/// The longest name of a directory, in bytes.
const MAX_DIRECTORY: usize = 4096;

/// The longest mark of a shell, in bytes: a letter and an exit code, or a few options.
const MAX_MARK: usize = 64;

impl Term {
    /// A number, and what is behind it; and where it is in the output.
    pub fn operating_system_command(&mut self, text: &str, place: Place) {
        let (code, text) = text.split_once(';').unwrap_or((text, ""));
        let is_number = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
        let Some(code) = code.parse().ok().filter(|_| is_number) else {
            return;
        };
        match code {
            0 => {
                self.titles.window.set(text);
                self.titles.icon.set(text);
            }
            1 => self.titles.icon.set(text),
            2 => self.titles.window.set(text),
            4 => self.colors.change_indexed(text, &mut self.answers),
            7 if text.len() <= MAX_DIRECTORY => text.clone_into(&mut self.directory),
            8 => self.set_link(text),
            10..=12 => self.colors.change_special(code, text, &mut self.answers),
            104 => self.colors.restore_indexed(text),
            110..=112 => self.colors.restore_special(code - 100),
            133 => {
                // Options may be long: of what is too long there is only what it is.
                let mark = match text.split_once(';') {
                    Some((mark, _)) if text.len() > MAX_MARK => mark,
                    _ => text,
                };
                if mark.len() > MAX_MARK {
                    return;
                }
                self.hear(mark, place);
                let text = mark.to_owned();
                let buffer = self.buffer();
                let x = buffer.x;
                buffer.current().mark(x, text);
            }
            _ => {}
        }
    }

    /// OSC 8: from here on, text is a link; or, without an address, none.
    fn set_link(&mut self, text: &str) {
        let Some((options, uri)) = text.split_once(';') else {
            return;
        };
        if uri.is_empty() {
            if options.trim().is_empty() {
                self.pen.extra.link = None;
            }
        } else if text.len() > MAX_LINK {
            self.pen.extra.link = None;
        } else {
            let mut options = options.trim().split(':');
            let id = options.find_map(|option| option.strip_prefix("id="));
            let link = self.link(id.unwrap_or_default().to_owned(), uri.to_owned());
            self.pen.extra.link = Some(link);
        }
        self.pen.update();
        self.take_pen();
    }
}
