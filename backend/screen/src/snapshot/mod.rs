//! A screen written as the bytes that draw it again.
//!
//! The reader is a terminal of the same size that has just been reset. Whatever moves the cursor comes
//! first, then what does not, and at the end the cursor itself.

use std::io::Write;

use crate::buffer::Buffer;
use crate::mode::{Modes, Mouse, MouseEncoding};
use crate::term::Term;
use crate::titles::Title;

mod cursor;
mod lines;
mod look;

/// The screen of `term`.
pub fn write(term: &Term) -> Vec<u8> {
    let mut out = Vec::new();
    colors(term, &mut out);
    lines::write(term, &term.main, &mut out);
    places(term, &term.main, &mut out);
    keyboard(&term.modes.keyboard[0], &mut out);
    if term.is_alternate {
        // Where it was there says which lines go when there are fewer.
        let _ = write!(out, "\x1b[{};{}H", term.main.y + 1, term.main.x + 1);
        put(&mut out, "\x1b[?47h\x1b[H");
        lines::write(term, &term.alternate, &mut out);
        places(term, &term.alternate, &mut out);
        keyboard(&term.modes.keyboard[1], &mut out);
    } else if !cursor::is_first(&term.alternate) {
        put(&mut out, "\x1b[?47h");
        cursor::saved(term, &term.alternate, &mut out);
        put(&mut out, "\x1b[?47l");
    }
    titles(term, &mut out);
    cursor::write(term, &mut out);
    out
}

/// Appends text.
fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Colours that a program has given other values.
fn colors(term: &Term, out: &mut Vec<u8>) {
    for (index, [r, g, b]) in term.colors.indexed() {
        let _ = write!(out, "\x1b]4;{index};rgb:{r:02x}/{g:02x}/{b:02x}\x1b\\");
    }
    for (code, [r, g, b]) in term.colors.special() {
        let _ = write!(out, "\x1b]{code};rgb:{r:02x}/{g:02x}/{b:02x}\x1b\\");
    }
}

/// Tab stops, the saved cursor and what scrolls.
fn places(term: &Term, buffer: &Buffer, out: &mut Vec<u8>) {
    let stops = |buffer: &Buffer| -> Vec<usize> {
        let all = 0..buffer.columns;
        all.filter(|&column| buffer.has_tab(column)).collect()
    };
    let own = stops(buffer);
    if own != stops(&Buffer::new(buffer.columns, buffer.rows, 0)) {
        put(out, "\x1b[3g");
        for column in own {
            let _ = write!(out, "\x1b[{}G\x1bH", column + 1);
        }
    }
    if !cursor::is_first(buffer) {
        cursor::saved(term, buffer, out);
    }
    if (buffer.top, buffer.bottom) != (0, buffer.rows - 1) {
        let _ = write!(out, "\x1b[{};{}r", buffer.top + 1, buffer.bottom + 1);
    }
}

/// Titles, and where the shell is.
fn titles(term: &Term, out: &mut Vec<u8>) {
    let mut title = |title: &Title, code: u8, which: u8| {
        for text in &title.stack {
            let _ = write!(out, "\x1b]{code};{text}\x1b\\\x1b[22;{which}t");
        }
        if !title.text.is_empty() || !title.stack.is_empty() {
            let _ = write!(out, "\x1b]{code};{}\x1b\\", title.text);
        }
    };
    title(&term.titles.icon, 1, 1);
    title(&term.titles.window, 2, 2);
    if !term.directory.is_empty() {
        let _ = write!(out, "\x1b]7;{}\x1b\\", term.directory);
    }
}

/// Modes that do not move the cursor.
fn modes(modes: &Modes, out: &mut Vec<u8>) {
    let standard = Modes::default();
    for (is_set, usual, code) in [
        (modes.insert, standard.insert, "4"),
        (modes.line_feed_returns, standard.line_feed_returns, "20"),
        (modes.application_cursor, standard.application_cursor, "?1"),
        (modes.wraparound, standard.wraparound, "?7"),
        (modes.cursor, standard.cursor, "?25"),
        (modes.reverse_wraparound, standard.reverse_wraparound, "?45"),
        (modes.application_keypad, standard.application_keypad, "?66"),
        (modes.focus, standard.focus, "?1004"),
        (modes.bracketed_paste, standard.bracketed_paste, "?2004"),
        (modes.synchronized, standard.synchronized, "?2026"),
    ] {
        if is_set != usual {
            let _ = write!(out, "\x1b[{code}{}", if is_set { 'h' } else { 'l' });
        }
    }
    if let Some(blinks) = modes.cursor_blinks {
        let _ = write!(out, "\x1b[?12{}", if blinks { 'h' } else { 'l' });
    }
    if let Some(style) = modes.cursor_style {
        let _ = write!(out, "\x1b[{style} q");
    }
    put(
        out,
        match modes.mouse {
            Mouse::Off => "",
            Mouse::X10 => "\x1b[?9h",
            Mouse::Clicks => "\x1b[?1000h",
            Mouse::Drags => "\x1b[?1002h",
            Mouse::All => "\x1b[?1003h",
        },
    );
    put(
        out,
        match modes.mouse_encoding {
            MouseEncoding::Bytes => "",
            MouseEncoding::Sgr => "\x1b[?1006h",
            MouseEncoding::SgrPixels => "\x1b[?1016h",
        },
    );
}

fn keyboard(flags: &[u8], out: &mut Vec<u8>) {
    for flags in flags {
        let _ = write!(out, "\x1b[>{flags}u");
    }
}
