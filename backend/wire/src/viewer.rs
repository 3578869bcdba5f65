//! The messages of a viewer's connection to a terminal, subprotocol `shellport.v1`.

use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// The WebSocket subprotocol of this version.
pub const SUBPROTOCOL: &str = "shellport.v1";

/// What comes before the ticket in a second, never selected, subprotocol of the upgrade request.
pub const TICKET_PREFIX: &str = "shellport.ticket.";

/// The most bytes a viewer may be behind, counted from what it has acknowledged.
///
/// At the 5 to 35 MB/s that a browser parses this is 7 to 50 ms of output, which bounds how late
/// the effect of a Ctrl-C shows.
pub const WINDOW: u64 = 256 * 1024;

/// The most input bytes a client may send beyond the last acknowledged sequence.
///
/// Because of it the agent can always take what comes, and an acknowledgement of output is never
/// stuck behind a paste that the program cannot read yet.
pub const INPUT_WINDOW: u64 = 64 * 1024;

/// The largest terminal, in columns or rows. A larger one is refused, not cut.
pub const MAX_SIDE: u16 = 1000;

/// The narrowest terminal: a wide character needs two columns.
pub const MIN_COLS: u16 = 2;

/// The size of a terminal in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Columns, [`MIN_COLS`] to [`MAX_SIDE`].
    pub cols: u16,
    /// Rows, 1 to [`MAX_SIDE`].
    pub rows: u16,
}

/// A size that a terminal cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; allowed are {least} to {MAX_SIDE}")]
pub struct SizeError {
    /// `cols` or `rows`.
    pub field: &'static str,
    /// What was asked for.
    pub value: u16,
    /// The least that is allowed.
    pub least: u16,
}

impl Size {
    /// The size of a terminal nobody has given one.
    pub const DEFAULT: Self = Self { cols: 80, rows: 24 };

    /// The size itself when it is allowed.
    ///
    /// # Errors
    /// Names the first field that is not.
    pub fn checked(self) -> Result<Self, SizeError> {
        for (field, value, least) in [("cols", self.cols, MIN_COLS), ("rows", self.rows, 1)] {
            if !(least..=MAX_SIDE).contains(&value) {
                return Err(SizeError {
                    field,
                    value,
                    least,
                });
            }
        }
        Ok(self)
    }
}

/// What a viewer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Types, and decides the size.
    Writer,
    /// Only looks.
    Reader,
}

/// From the viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// The viewer's size has changed.
    Resize(Size),
    /// Everything before `offset` has been parsed.
    Ack {
        /// The offset after the last parsed byte.
        offset: u64,
    },
    /// Send a signal to the foreground process group.
    Signal {
        /// A name such as `SIGINT`.
        signal: String,
    },
    /// Answered with [`ServerMessage::Pong`].
    Ping {
        /// Returned as it is.
        id: u64,
    },
    /// Take the writer's role over, give it back, or let another viewer have it.
    Role {
        /// What this viewer, or that one, wants to be.
        role: Role,
        /// The viewer that gets the role; this one when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        viewer: Option<u64>,
    },
}

/// To the viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The first message: what the viewer got.
    Hello(Hello),
    /// A snapshot follows, in as many snapshot frames as `length` bytes need. The viewer resets its
    /// screen, sets this size, writes those bytes, and goes on with output from `offset`.
    Snapshot {
        /// The offset at which the snapshot is valid.
        offset: u64,
        /// The size of the screen it draws.
        #[serde(flatten)]
        size: Size,
        /// Bytes of the snapshot, in all frames together.
        length: u64,
    },
    /// The terminal has another size from `offset` on.
    Resize {
        /// The new size.
        #[serde(flatten)]
        size: Size,
        /// Output before this offset was made for the old size.
        offset: u64,
    },
    /// Who is watching, and which of them is the writer for output from here on: its size is the
    /// terminal's, and it answers what programs ask.
    Viewers {
        /// The number of this viewer.
        you: u64,
        /// The number of the writer, if there is one.
        writer: Option<u64>,
        /// How many there are.
        count: u64,
        /// They themselves, at most [`MAX_LISTED`].
        viewers: Vec<Presence>,
    },
    /// What the terminal itself does with what is typed, as far as is known now.
    Line(Line),
    /// Input before `sequence` has been given to the terminal.
    Ack {
        /// How many of this client's input bytes have been applied.
        sequence: u64,
    },
    /// Output from `from` until `to` is no longer kept and will not be sent.
    Gap {
        /// The first missing offset.
        from: u64,
        /// The offset that comes next.
        to: u64,
    },
    /// The program has ended; nothing follows but the close.
    Exit {
        /// How it ended.
        #[serde(flatten)]
        exit: Exit,
        /// The offset after the terminal's last byte.
        offset: u64,
    },
    /// Something the person at the viewer should know.
    Notice {
        /// A stable word, such as `input_dropped`.
        code: String,
        /// A sentence.
        message: String,
    },
    /// The answer to [`ClientMessage::Ping`].
    Pong {
        /// As in the ping.
        id: u64,
    },
}

/// The line discipline of a terminal, as `termios` has it: see
/// <https://man7.org/linux/man-pages/man3/termios.3.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What is typed is shown (`ECHO`). Where `canonical` is set and this is not, it is a password.
    pub echo: bool,
    /// The program gets it line by line (`ICANON`).
    pub canonical: bool,
}

/// The most viewers that are listed to each.
pub const MAX_LISTED: usize = 32;

/// A viewer, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Its number.
    pub viewer: u64,
    /// Whether it may be the writer.
    pub role: Role,
}

/// What a viewer got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The terminal's name.
    pub terminal: String,
    /// What this viewer may do.
    pub role: Role,
    /// The terminal's size at `offset`.
    #[serde(flatten)]
    pub size: Size,
    /// Names this run of the program: another run's offsets mean something else.
    pub run: String,
    /// The offset of the first output byte that will come, after the snapshot if there is one.
    pub offset: u64,
    /// How the stream starts.
    pub start: Start,
    /// How many of this client's input bytes were applied before; its next sequence.
    pub sequence: u64,
    /// The most output bytes that are sent beyond the last acknowledged offset.
    pub window: u64,
}

/// How a viewer's stream starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The terminal was started by this viewer.
    Fresh,
    /// At the offset the viewer asked for.
    Resumed,
    /// With a snapshot.
    Snapshot,
    /// With a gap from the offset the viewer asked for to the oldest kept one.
    Gap,
}
