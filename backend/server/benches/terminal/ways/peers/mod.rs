//! Other servers that bring a terminal to a browser, from package registries. `tools/peers.sh`
//! installs them.

mod node_pty;
mod server;
mod socket;
mod terminado;
mod wetty;

pub use self::node_pty::start as node_pty;
pub use self::terminado::start as terminado;
pub use self::wetty::start as wetty;
