//! What a viewer's client says: input, sizes, signals, acknowledgements.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use nix::sys::signal::Signal;
use shellport_wire::agent::{Refusal, RefusalCode};
use shellport_wire::frame::{Frame, Kind};
use shellport_wire::viewer::{ClientMessage, INPUT_WINDOW, Role};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::paste::PATIENCE;
use super::run::Run;
use crate::link::FrameReader;

/// The most pings that may wait for their answers.
const MAX_PINGS: usize = 16;

/// Signals that a viewer may send.
const SIGNALS: [Signal; 10] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGKILL,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// The half of a viewer that listens to its client.
pub struct Listener {
    pub run: Rc<Run>,
    /// The viewer's number among those of the run.
    pub id: u64,
    pub client: Rc<str>,
    pub role: Role,
    /// Whether it may send input, whatever its role is.
    types: bool,
    /// There may be something to send.
    pub wake: Rc<Notify>,
    /// Pings that wait for their answers.
    pub pings: RefCell<VecDeque<u64>>,
    /// Why the role that was asked for could not be given.
    pub complaint: RefCell<Option<String>>,
    arrived: RefCell<Arrived>,
    arrival: Notify,
}

impl Listener {
    /// One that has heard nothing yet.
    pub fn new(
        run: Rc<Run>,
        id: u64,
        client: Rc<str>,
        (role, types): (Role, bool),
        wake: Rc<Notify>,
    ) -> Self {
        Self {
            run,
            id,
            client,
            role,
            types,
            wake,
            pings: RefCell::default(),
            complaint: RefCell::default(),
            arrived: RefCell::default(),
            arrival: Notify::new(),
        }
    }

    /// Takes in what the client sends, until it goes or is refused.
    pub async fn read(&self, reader: &mut FrameReader) -> io::Result<Option<Refusal>> {
        while let Some(bytes) = reader.next().await? {
            let taken = match Frame::decode(&bytes) {
                Ok(Frame::Bytes {
                    kind: Kind::Input,
                    position,
                    payload,
                }) => self.input(position, &payload),
                Ok(Frame::Message(text)) => self.message(&text),
                Ok(Frame::Bytes { kind, .. }) => {
                    Err(format!("{kind:?} frames come from the terminal, not to it"))
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(message) = taken {
                return Ok(Some(Refusal {
                    code: RefusalCode::Invalid,
                    message,
                }));
            }
        }
        Ok(None)
    }

    /// Takes input in without waiting: behind it may come what lets the program go on.
    fn input(&self, position: u64, bytes: &[u8]) -> Result<(), String> {
        if !self.types {
            self.writes("input")?;
        }
        let mut arrived = self.arrived.borrow_mut();
        let sequence = self.run.state.borrow().input.sequence(&self.client);
        arrived.skip_to(sequence);
        let expected = arrived.end();
        let Some(known) = expected.checked_sub(position) else {
            return Err(format!("input at {position}; expected at most {expected}"));
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let fresh = bytes.get(known..).unwrap_or_default();
        arrived.bytes.extend_from_slice(fresh);
        if arrived.bytes.len() as u64 > INPUT_WINDOW {
            return Err(format!(
                "more than {INPUT_WINDOW} bytes of input beyond the acknowledged sequence"
            ));
        }
        self.arrival.notify_one();
        Ok(())
    }

    /// Gives the terminal what has arrived as it has room, for ever.
    pub async fn deliver(&self) {
        loop {
            let room = self.run.room.notified();
            let waits = {
                let mut arrived = self.arrived.borrow_mut();
                let mut state = self.run.state.borrow_mut();
                arrived.skip_to(state.input.sequence(&self.client));
                if state.exit.is_some() {
                    // Nobody is left to read it; the exit is on its way.
                    let all = arrived.bytes.len();
                    arrived.skip(all);
                }
                let taken = state.input.take(&self.client, &arrived.bytes);
                arrived.skip(taken);
                if taken > 0 {
                    self.run.typed.notify_one();
                    self.wake.notify_one();
                }
                !arrived.bytes.is_empty()
            };
            if waits {
                // Also for the rest of another's paste, which may never come.
                let _ = timeout(PATIENCE, room).await;
            } else {
                self.arrival.notified().await;
            }
        }
    }

    fn message(&self, text: &str) -> Result<(), String> {
        match serde_json::from_str(text).map_err(|error| error.to_string())? {
            ClientMessage::Ack { offset } => {
                let mut state = self.run.state.borrow_mut();
                if let Some(viewer) = state.viewers.get_mut(self.id) {
                    viewer.cursor.acknowledge(offset);
                }
                self.run.resumed.notify_one();
            }
            ClientMessage::Resize(size) => {
                let size = size.checked().map_err(|error| error.to_string())?;
                let mut state = self.run.state.borrow_mut();
                if let Some(viewer) = state.viewers.get_mut(self.id) {
                    viewer.size = size;
                }
                state.settle();
            }
            ClientMessage::Role { role, viewer } => self.change_role(role, viewer)?,
            ClientMessage::Signal { signal } => {
                self.writes("signals")?;
                let signal = SIGNALS
                    .into_iter()
                    .find(|known| known.as_str() == signal)
                    .ok_or_else(|| {
                        let known = SIGNALS.map(Signal::as_str).join(", ");
                        format!("signal: {signal:?} is not one of {known}")
                    })?;
                self.run.signal(signal);
            }
            ClientMessage::Ping { id } => {
                let mut pings = self.pings.borrow_mut();
                if pings.len() >= MAX_PINGS {
                    return Err(format!(
                        "more than {MAX_PINGS} pings without reading a pong"
                    ));
                }
                pings.push_back(id);
            }
        }
        self.wake.notify_one();
        Ok(())
    }

    fn change_role(&self, role: Role, viewer: Option<u64>) -> Result<(), String> {
        self.writes("roles")?;
        let mut state = self.run.state.borrow_mut();
        let is_writer = state.viewers.writer().is_some_and(|(it, _)| it == self.id);
        let viewer = viewer.unwrap_or(self.id);
        let changed = match role {
            Role::Writer if viewer == self.id || is_writer => state.viewers.take(viewer),
            Role::Writer => Err("only the writer lets another viewer have the role".to_owned()),
            Role::Reader => {
                state.viewers.give_back(self.id);
                Ok(())
            }
        };
        match changed {
            Ok(()) => state.settle(),
            // Whom it was for may just have gone.
            Err(message) => *self.complaint.borrow_mut() = Some(message),
        }
        Ok(())
    }

    fn writes(&self, what: &str) -> Result<(), String> {
        match self.role {
            Role::Writer => Ok(()),
            Role::Reader => Err(format!("a reader sends no {what}")),
        }
    }
}

/// Input that the terminal has no room for yet, at most a window of it.
#[derive(Default)]
struct Arrived {
    /// The sequence of the first byte.
    position: u64,
    bytes: Vec<u8>,
}

impl Arrived {
    fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }

    fn skip(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.position += count as u64;
    }

    /// Passes over what the same client has sent on another connection, the one before a reconnect
    /// whose end has not been noticed yet.
    fn skip_to(&mut self, sequence: u64) {
        let known = sequence.saturating_sub(self.position);
        self.skip(usize::try_from(known).map_or(self.bytes.len(), |it| it.min(self.bytes.len())));
        self.position = self.position.max(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::Arrived;

    #[test]
    fn what_came_on_another_connection_is_passed_over() {
        let mut arrived = Arrived {
            position: 10,
            bytes: b"abcdef".to_vec(),
        };
        arrived.skip_to(8);
        assert_eq!((arrived.position, &arrived.bytes[..]), (10, &b"abcdef"[..]));
        arrived.skip_to(12);
        assert_eq!((arrived.position, &arrived.bytes[..]), (12, &b"cdef"[..]));
        arrived.skip_to(100);
        assert_eq!((arrived.end(), arrived.bytes.len()), (100, 0));
    }
}
