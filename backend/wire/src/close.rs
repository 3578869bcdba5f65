//! WebSocket close codes of our own.
//!
//! A code of 4000 to 4099 means that there is nothing to come back to; a client retries after every
//! other close.

/// The terminal's program has ended; `exit` came before.
pub const EXITED: u16 = 4000;
/// The session was stopped, deleted or lost.
pub const SESSION_ENDED: u16 = 4001;
/// The client sent something that the protocol does not allow; the reason says what.
pub const PROTOCOL_ERROR: u16 = 4002;
/// The terminal could not be started; the reason says why.
pub const START_FAILED: u16 = 4003;

/// The agent cannot be reached at the moment.
pub const AGENT_UNREACHABLE: u16 = 4100;
/// The server is shutting down; another one will answer.
pub const GOING_AWAY: u16 = 4101;
/// The client has not answered for too long.
pub const UNRESPONSIVE: u16 = 4102;

/// Whether a client should connect again after a close with `code`.
pub fn is_retried(code: u16) -> bool {
    !(4000..4100).contains(&code)
}
