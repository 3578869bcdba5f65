//! The cursor and the one that was saved, with how they write.

use std::io::Write;

use super::look::Look;
use super::{modes, put};
use crate::buffer::{Buffer, Saved};
use crate::cell::{Cell, UNDERLINE};
use crate::charset::Charset;
use crate::row::Row;
use crate::tables::Extra;
use crate::term::{HAS_EXTRA, Term};

/// Whether the saved cursor is the one of a terminal that never saved any.
pub fn is_first(buffer: &Buffer) -> bool {
    let Saved {
        x,
        line,
        fg,
        bg,
        charset,
    } = buffer.saved;
    let is_plain = charset.is_none_or(|charset| charset == Charset::ASCII);
    let first = buffer.number(0) - buffer.base() as u64;
    (x, fg, bg) == (0, 0, 0) && line <= first && is_plain
}

/// Saves the cursor that was saved.
pub fn saved(term: &Term, buffer: &Buffer, out: &mut Vec<u8>) {
    let Saved {
        x,
        line,
        fg,
        bg,
        charset,
    } = buffer.saved;
    let y = buffer.row_of(line).min(buffer.rows - 1);
    let mut look = Look::default();
    go_to(x.min(buffer.columns - 1), y, out);
    if let Some(row) = buffer.lines.get(buffer.base() + y)
        && x >= buffer.columns
        && row.written() >= buffer.columns
    {
        behind(term, row, buffer.columns, &mut look, out);
    }
    let wanted = Look {
        fg,
        bg: bg & !HAS_EXTRA,
        extra: Extra::default(),
    };
    look.change(wanted, out);
    // Whether there is something that few cells have is saved, but not what.
    if bg & HAS_EXTRA != 0 {
        put(out, "\x1b]8;;x\x1b\\");
    }
    let charset = charset.unwrap_or(Charset::ASCII);
    let _ = write!(out, "\x1b({}\x1b7\x1b(B", charset.name());
    look.change(Look::default(), out);
    put(out, "\x1b]8;;\x1b\\");
}

/// The cursor, and whatever has a say in where it goes and how it writes.
pub fn write(term: &Term, out: &mut Vec<u8>) {
    let buffer = if term.is_alternate {
        &term.alternate
    } else {
        &term.main
    };
    let mut look = Look::default();
    let pen = &term.pen;
    // A restored cursor can have another character set than the one that its number has now, and can have
    // lost a link or an underline that comes back with the next one.
    let is_odd = term.charset != term.charsets[term.level];
    let Extra {
        underline, link, ..
    } = &pen.extra;
    let is_there = pen.bg & HAS_EXTRA != 0;
    let is_lost = !is_there && (*underline != 0 || link.is_some());
    // Or have lost the one half of an underline.
    let is_half = is_there && *underline != 0 && pen.fg & UNDERLINE == 0;
    if is_odd {
        charsets(term, out);
    }
    if is_lost || is_half {
        let fg = if *underline == 0 { 0 } else { UNDERLINE };
        let extra = pen.extra.clone();
        look.change(Look { fg, bg: 0, extra }, out);
    }
    if is_odd || is_lost || is_half {
        put(out, "\x1b8");
        look.fg = buffer.saved.fg;
        look.bg = buffer.saved.bg & !HAS_EXTRA;
    }
    if is_half {
        look.write_link(out);
    }

    if term.modes.origin {
        put(out, "\x1b[?6h");
    }
    let above = if term.modes.origin { buffer.top } else { 0 };
    let y = buffer.y.saturating_sub(above);
    let row = &buffer.lines[buffer.base() + buffer.y];
    // What comes before the cursor is written again at the end where the next character may share its cell.
    let before = term.preceding.properties();
    let again = before.and_then(|before| buffer.x.checked_sub(usize::from(before.width)));
    let again = again.filter(|&at| {
        let (cell, pen) = (row.get(at), term.template());
        // A change of size may have moved the cursor.
        let is_pens = (cell.fg, cell.bg, cell.extra) == (pen.fg, pen.bg, pen.extra);
        is_pens && cell.has_content() && at + usize::from(cell.width()) <= buffer.columns
    });
    go_to(again.unwrap_or(buffer.x.min(buffer.columns - 1)), y, out);
    if again.is_none() && buffer.x >= buffer.columns && !is_lost && !is_half {
        behind(term, row, buffer.columns, &mut look, out);
    }
    if !is_odd {
        charsets(term, out);
    }
    modes(&term.modes, out);
    let wanted = Look {
        fg: pen.fg,
        bg: pen.bg & !HAS_EXTRA,
        extra: pen.extra.clone(),
    };
    if is_lost || is_half {
        look.step(wanted, out);
    } else {
        look.change(wanted, out);
    }
    if let Some(at) = again {
        let cell = row.get(at);
        if term.modes.insert {
            let _ = write!(out, "\x1b[{}P", cell.width());
        }
        term.text(cell.content()).write(out);
    }
}

fn go_to(x: usize, y: usize, out: &mut Vec<u8>) {
    let _ = write!(out, "\x1b[{};{}H", y + 1, x + 1);
}

/// Brings the cursor from the last column behind it, by writing what is there again.
fn behind(term: &Term, row: &Row, columns: usize, look: &mut Look, out: &mut Vec<u8>) {
    let mut cell = row.get(columns - 1);
    if cell.width() == 0 && !cell.has_content() {
        put(out, "\x1b[D");
        cell = row.get(columns - 2);
    }
    if cell.width() == 2 && row.get(columns - 1) == cell {
        cell = Cell::EMPTY;
    }
    look.change(Look::of(cell, &term.extras), out);
    term.text(cell.content()).write(out);
    // Only this leaves the cursor there in a line in which nothing is.
    if !cell.has_content() && row.cells().iter().all(|it| *it == cell) {
        put(out, "\x1b[1K");
    }
    // Nothing joins what comes before.
    put(out, "\x1b\\");
}

fn charsets(term: &Term, out: &mut Vec<u8>) {
    for (which, charset) in ["(", ")", "*", "+"].iter().zip(term.charsets) {
        if charset != Charset::ASCII {
            let _ = write!(out, "\x1b{which}{}", charset.name());
        }
    }
    match term.level {
        1 => put(out, "\x0e"),
        2 => put(out, "\x1bn"),
        3 => put(out, "\x1bo"),
        _ => {}
    }
}
