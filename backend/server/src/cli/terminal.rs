//! The terminal that a command runs in.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize,
    tcsetattr,
};

/// The size of a terminal that does not tell.
const SIZE: (u16, u16) = (80, 24);

/// What Ctrl-C types.
const CTRL_C: u8 = 3;

/// Takes back what a program may have set: the other screen (without moving the cursor), the mouse's and
/// the keyboard's modes, bracketed paste, what scrolls, looks, and a hidden cursor. See
/// <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>.
const AS_BEFORE: &str = concat!(
    "\x1b[?1047l\x1b[!p\x1b[?1000;1002;1003;1004;1005;1006;1015;1016;2004;2026l",
    "\x1b[<99u\x1b[?1l\x1b>\x1b[?7h\x1b[?25h\x1b[0m",
);

/// Empties what is shown.
const EMPTY: &str = "\x1b[H\x1b[2J";

/// A terminal that shows what another one has made ready, and passes its keys on as they are where they
/// are wanted, until this is dropped.
#[derive(Debug)]
pub struct Raw(Termios);

impl Raw {
    /// Changes the terminal, with its keys when the `input` is wanted; none when standard input is not
    /// one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn enter(input: bool) -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        if input {
            raw.make_raw();
        } else {
            raw.output_modes.remove(OutputModes::OPOST);
        }
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // It may be gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Takes back what a program has set in the terminal, and empties it for what comes when that is wanted.
pub fn restore(empty: bool) -> String {
    if io::stdout().is_terminal() {
        format!("{AS_BEFORE}{}", if empty { EMPTY } else { "" })
    } else {
        String::new()
    }
}

/// The columns and rows of the terminal, wherever of the three streams it is.
pub fn size() -> (u16, u16) {
    let ask = |fd: &dyn AsFd| tcgetwinsize(fd).ok();
    let size = ask(&io::stdin())
        .or_else(|| ask(&io::stdout()))
        .or_else(|| ask(&io::stderr()));
    size.map(|size| (size.ws_col, size.ws_row))
        .filter(|(cols, rows)| *cols > 0 && *rows > 0)
        .unwrap_or(SIZE)
}

/// Asks for a line that is not shown. Ctrl-C ends it, with the terminal as it was.
///
/// # Errors
/// Those of the system; `Interrupted` for Ctrl-C.
pub fn read_hidden(question: &str) -> io::Result<String> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut hidden = before.clone();
    hidden
        .local_modes
        .remove(LocalModes::ECHO | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    let mut stderr = io::stderr();
    write!(stderr, "{question}")?;
    tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
    let shown_again = Raw(before);
    let mut line = Vec::new();
    let mut byte = [0];
    while stdin.lock().read(&mut byte)? == 1 && byte[0] != b'\n' {
        if byte[0] == CTRL_C {
            return Err(io::ErrorKind::Interrupted.into());
        }
        line.push(byte[0]);
    }
    drop(shown_again);
    writeln!(stderr)?;
    String::from_utf8(line).map_err(io::Error::other)
}
