//! Tickets: how a browser, which cannot send a header with a WebSocket, shows that it may open one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shellport_wire::viewer::Role;

use super::Caller;
use crate::id::{SessionId, random_secret};

/// How long a ticket is valid.
pub const LIFETIME: Duration = Duration::from_secs(30);

/// The most tickets that wait to be used; the oldest go first.
const MAX_TICKETS: usize = 10_000;

/// What a ticket lets its bearer do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who asked for it.
    pub caller: Caller,
    /// The session.
    pub session: SessionId,
    /// The terminal in it.
    pub terminal: String,
    /// As what.
    pub role: Role,
}

/// What a ticket for a port lets its bearer do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortGrant {
    /// Who asked for it.
    pub caller: Caller,
    /// The session.
    pub session: SessionId,
    /// The port in it.
    pub port: u16,
}

/// The tickets that have not been used yet.
#[derive(Debug)]
pub struct Tickets<G> {
    waiting: Mutex<HashMap<String, (Instant, G)>>,
}

impl<G> Default for Tickets<G> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
        }
    }
}

impl<G> Tickets<G> {
    /// A ticket for `grant`.
    pub fn issue(&self, grant: G) -> String {
        let now = Instant::now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, (issued, _)| now.duration_since(*issued) < LIFETIME);
        if waiting.len() >= MAX_TICKETS
            && let Some(oldest) = waiting
                .iter()
                .min_by_key(|(_, (issued, _))| *issued)
                .map(|(ticket, _)| ticket.clone())
        {
            waiting.remove(&oldest);
        }
        let ticket = random_secret();
        waiting.insert(ticket.clone(), (now, grant));
        ticket
    }

    /// What `ticket` is for, if it is valid. It is used up, whatever comes of it.
    pub fn redeem(&self, ticket: &str) -> Option<G> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (issued, grant) = waiting.remove(ticket)?;
        (issued.elapsed() < LIFETIME).then_some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_used_once() {
        let tickets = Tickets::default();
        let grant = Grant {
            caller: Caller::operator(),
            session: SessionId::random(),
            terminal: "main".to_owned(),
            role: Role::Writer,
        };
        let ticket = tickets.issue(grant.clone());
        assert_eq!(tickets.redeem("another"), None);
        assert_eq!(tickets.redeem(&ticket), Some(grant.clone()));
        assert_eq!(tickets.redeem(&ticket), None);
        for _ in 0..=MAX_TICKETS {
            tickets.issue(grant.clone());
        }
        assert_eq!(tickets.waiting.lock().unwrap().len(), MAX_TICKETS);
    }
}
