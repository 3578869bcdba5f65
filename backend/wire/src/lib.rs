//! The frames and messages of Shellport, without I/O.
//!
//! One layout serves both links: a frame is one WebSocket message between browser and server, and
//! the same bytes behind a length between server and agent ([`link`]), so the server forwards
//! frames without packing them again. `docs/protocol.md` is the definition.
//!
//! - [`frame`]: a frame is bytes (output, input, a snapshot) or a JSON message.
//! - [`viewer`]: the messages of a viewer's connection to a terminal.
//! - [`plain`]: the dialect of clients that know no frames.
//! - [`agent`]: what the server asks of an agent.
//! - [`file`]: what the server asks of the program that works on a sandbox's files.
//! - [`process`]: what it asks of the one that looks at its processes.
//! - [`exit`]: how a program ended.

pub mod agent;
pub mod close;
pub mod exit;
pub mod file;
pub mod frame;
pub mod link;
pub mod plain;
pub mod process;
pub mod viewer;
