//! The dialect for clients that offer no subprotocol: JSON text and raw binary.
//!
//! Binary messages in are stdin, binary messages out are output. Text in is a [`PlainInput`], text
//! out is a [`crate::viewer::ServerMessage`]: `hello` first, `exit` last.

use serde::{Deserialize, Serialize};

use crate::viewer::Size;

/// A text message from a plain client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PlainInput {
    /// Type this.
    Stdin {
        /// UTF-8 text; bytes that are none go into a binary message.
        data: String,
    },
    /// Set the size.
    Resize(Size),
    /// Send a signal to the foreground process group.
    Signal {
        /// A name such as `SIGINT`.
        signal: String,
    },
    /// Answered with a pong.
    Ping {
        /// Returned as it is.
        id: u64,
    },
}
