//! Which sequence does what, on one screen.

use crate::charset::Charset;
use crate::params::Params;
use crate::parser::{Handler, Place};
use crate::term::Term;
use crate::unicode::Preceding;

impl Handler for Term {
    fn ascii(&mut self, text: &[u8]) {
        self.print_ascii(text);
    }

    fn character(&mut self, character: char) {
        self.print(character);
    }

    fn text_ends(&mut self) {
        self.end_text();
    }

    fn execute(&mut self, control: u8) {
        match control {
            0x08 => self.backspace(),
            b'\t' => self.tab(1),
            b'\n' | 0x0b | 0x0c => self.line_feed(),
            b'\r' => self.buffer().x = 0,
            0x0e => self.set_level(1),
            0x0f => self.set_level(0),
            0x84 => self.index(),
            0x85 => self.next_line(),
            0x88 => self.set_tab(),
            _ => {}
        }
        self.preceding = Preceding::NOTHING;
    }

    fn escape(&mut self, intermediates: &[u8], last: u8) {
        match (intermediates, last) {
            ([], b'7') => self.save_cursor(),
            ([], b'8') => self.restore_cursor(),
            ([], b'D') => self.index(),
            ([], b'E') => self.next_line(),
            ([], b'H') => self.set_tab(),
            ([], b'M') => self.reverse_index(),
            ([], b'=') => self.modes.application_keypad = true,
            ([], b'>') => self.modes.application_keypad = false,
            ([], b'c') => self.reset(),
            ([], b'n' | b'}') => self.set_level(2),
            ([], b'o' | b'|') => self.set_level(3),
            ([], b'~') => self.set_level(1),
            (b"%", b'@' | b'G') => {
                self.set_level(0);
                self.designate(0, Charset::ASCII);
            }
            (b"#", b'8') => self.fill_with_e(),
            (&[which], by) => {
                let which = match which {
                    b'(' => Some(0),
                    b')' | b'-' => Some(1),
                    b'*' | b'.' => Some(2),
                    b'+' => Some(3),
                    _ => None,
                };
                if let (Some(which), Some(charset)) = (which, Charset::designated(by)) {
                    self.designate(which, charset);
                }
            }
            _ => {}
        }
        self.preceding = Preceding::NOTHING;
    }

    fn control(&mut self, collected: &[u8], params: &Params, last: u8) {
        let first = params.get(0);
        let count = params.count(0);
        match (collected, last) {
            (b"", b'@') => self.insert_characters(count),
            (b" ", b'@') => self.delete_columns(0, count),
            (b"", b'A') => self.up(count),
            (b" ", b'A') => self.insert_columns(0, count),
            (b"", b'B') => self.down(count),
            (b"", b'C' | b'a') => self.right(count),
            (b"", b'D') => self.left(count),
            (b"", b'E') => {
                self.down(count);
                self.buffer().x = 0;
            }
            (b"", b'F') => {
                self.up(count);
                self.buffer().x = 0;
            }
            (b"", b'G' | b'`') => self.go_to_column(params),
            (b"", b'H' | b'f') => self.go_to(params),
            (b"", b'I') => self.tab(count),
            (b"", b'J') => self.erase_display(first, false),
            (b"?", b'J') => self.erase_display(first, true),
            (b"", b'K') => self.erase_line(first, false),
            (b"?", b'K') => self.erase_line(first, true),
            (b"", b'L') => self.insert_lines(count),
            (b"", b'M') => self.delete_lines(count),
            (b"", b'P') => self.delete_characters(count),
            (b"", b'S') => self.scroll_up(count),
            (b"", b'T') => self.scroll_down(count),
            (b"", b'X') => self.erase_characters(count),
            (b"", b'Z') => self.tab_back(count),
            (b"", b'b') => self.repeat(count),
            (b"", b'd') => self.go_to_line(params),
            (b"", b'e') => self.line_relative(params),
            (b"", b'g') => self.clear_tabs(first),
            (b"", b'h') => self.set_modes(params, true),
            (b"?", b'h') => self.set_private_modes(params, true),
            (b"", b'l') => self.set_modes(params, false),
            (b"?", b'l') => self.set_private_modes(params, false),
            (b"", b'm') => self.set_attributes(params),
            (b"!", b'p') => self.soft_reset(),
            (b"\"", b'q') => self.set_protected(first),
            (b" ", b'q') => self.set_cursor_style(first),
            (b"", b'r') => self.set_region(params),
            (b"", b's') => self.save_cursor(),
            (b"", b'u') => self.restore_cursor(),
            (&[how @ (b'<' | b'=' | b'>')], b'u') => self.set_keyboard(how, params),
            (b"'", b'}') => {
                // Behind the last column is the first, for the page's terminal.
                let x = self.buffer().x % self.columns;
                self.insert_columns(x, count);
            }
            (b"'", b'~') => {
                let x = self.buffer().x % self.columns;
                self.delete_columns(x, count);
            }
            (b"", b't') if matches!(first, 22 | 23) => {
                self.titles.stack(params.get(1), first == 23);
            }
            _ => self.report(collected, params, last),
        }
        self.preceding = Preceding::NOTHING;
    }

    fn command(&mut self, text: &[u8], place: Place) {
        self.operating_system_command(&String::from_utf8_lossy(text), place);
        self.preceding = Preceding::NOTHING;
    }

    fn device(&mut self, collected: &[u8], _: &Params, last: u8, text: &[u8]) {
        if (collected, last) == (b"$", b'q') {
            self.report_setting(text);
        }
        self.preceding = Preceding::NOTHING;
    }
}

impl Term {
    fn next_line(&mut self) {
        self.buffer().x = 0;
        self.index();
    }

    fn set_tab(&mut self) {
        let buffer = self.buffer();
        let x = buffer.x;
        buffer.set_tab(x);
    }
}
