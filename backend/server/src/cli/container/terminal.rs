//! The terminal that a command runs in.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The size of a terminal that does not tell.
const SIZE: (u16, u16) = (80, 24);

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
