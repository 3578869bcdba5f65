//! Who may talk to the server: tokens, tickets, and the origins of browsers.

mod origin;
pub mod pass;
mod ticket;
mod token;

pub use self::origin::{AllowedHosts, OriginError};
pub use self::ticket::{Grant, LIFETIME as TICKET_LIFETIME, PortGrant, Tickets};
pub use self::token::{FILE as TOKEN_FILE, TokenError, load_or_create};

/// The authenticated principal of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub String);

impl Caller {
    /// Whoever has the operator's token.
    pub fn operator() -> Self {
        Self("operator".to_owned())
    }
}
