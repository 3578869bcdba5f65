//! For the test against xterm.js: reads streams and prints the snapshot of each.
//!
//! Input is one line a stream: columns, rows, and the output so far in hexadecimal, in pieces; a piece
//! `COLUMNSxROWS` is a change of size. Output is one line each: how many bytes before the end of the output
//! the snapshot is valid at, and the snapshot in hexadecimal.

use std::io::{BufRead, Write, stdin, stdout};

use shellport_screen::Screen;

fn main() -> std::io::Result<()> {
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let line = line?;
        let mut pieces = line.split(' ');
        let mut screen = Screen::new(80, 24);
        if let Some((columns, rows)) = pieces.next().and_then(size) {
            screen = Screen::new(columns, rows);
        }
        for piece in pieces {
            match size(piece) {
                Some((columns, rows)) => screen.resize(columns, rows),
                None => screen.advance(&bytes(piece)),
            }
        }
        let (snapshot, begun) = screen.snapshot();
        write!(out, "{begun} ")?;
        for byte in snapshot {
            write!(out, "{byte:02x}")?;
        }
        writeln!(out)?;
        out.flush()?;
    }
    Ok(())
}

fn size(text: &str) -> Option<(u16, u16)> {
    let (columns, rows) = text.split_once('x')?;
    Some((columns.parse().ok()?, rows.parse().ok()?))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |it: u8| u8::try_from(char::from(it).to_digit(16).unwrap_or(0)).unwrap_or(0);
    let (pairs, _) = hex.as_bytes().as_chunks::<2>();
    pairs
        .iter()
        .map(|&[high, low]| digit(high) << 4 | digit(low))
        .collect()
}
