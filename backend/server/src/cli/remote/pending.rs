//! What is typed and has not arrived.

use std::collections::VecDeque;

use shellport_wire::frame::{Kind, MAX_PAYLOAD, header};
use shellport_wire::viewer::INPUT_WINDOW;

use super::socket::{Closed, Socket};

/// Input that the terminal has not been given, as far as is known.
#[derive(Default)]
pub struct Pending {
    bytes: VecDeque<u8>,
    /// The sequence of the first of them.
    start: u64,
    /// The sequence of the first that has not been sent.
    next: u64,
}

impl Pending {
    /// Whether more may be read from whoever types.
    pub fn has_room(&self) -> bool {
        (self.bytes.len() as u64) < INPUT_WINDOW
    }

    /// The sequence of the first that has not been applied.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Whether some of it has not been sent on this connection.
    pub fn is_unsent(&self) -> bool {
        self.next - self.start < self.bytes.len() as u64
    }

    /// Takes what was typed.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// On a new connection: everything before `sequence` has been applied, the rest is sent again. What was typed for
    /// another run of the program is for nobody.
    pub fn go_on(&mut self, sequence: u64, is_same_run: bool) {
        if is_same_run {
            self.applied(sequence);
        } else {
            self.bytes.clear();
        }
        self.start = sequence;
        self.next = sequence;
    }

    /// Everything before `sequence` has been given to the terminal.
    pub fn applied(&mut self, sequence: u64) {
        let count = sequence
            .saturating_sub(self.start)
            .min(self.bytes.len() as u64);
        self.bytes
            .drain(..usize::try_from(count).unwrap_or(usize::MAX));
        self.start += count;
        self.next = self.next.max(self.start);
    }

    /// Sends as much as the other side can take.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send(&mut self, socket: &mut Socket) -> Result<(), Closed> {
        loop {
            let sent = usize::try_from(self.next - self.start).unwrap_or(usize::MAX);
            let room = usize::try_from(INPUT_WINDOW)
                .unwrap_or(usize::MAX)
                .saturating_sub(sent);
            let count = self
                .bytes
                .len()
                .saturating_sub(sent)
                .min(room)
                .min(MAX_PAYLOAD);
            if count == 0 {
                return Ok(());
            }
            let mut frame = header(Kind::Input, self.next).to_vec();
            frame.extend(self.bytes.range(sent..sent + count));
            socket.send(frame.into()).await?;
            self.next += count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(text: &str) -> Pending {
        let mut pending = Pending::default();
        pending.add(text.as_bytes());
        pending
    }

    #[test]
    fn what_was_applied_is_not_typed_again() {
        let mut pending = pending("abcdef");
        pending.next = 6;
        pending.go_on(4, true);
        assert_eq!((pending.start, pending.next), (4, 4));
        assert_eq!(pending.bytes, b"ef");
        pending.applied(6);
        assert!(pending.bytes.is_empty());
    }

    #[test]
    fn what_was_typed_for_another_run_is_dropped() {
        let mut pending = pending("rm -rf x");
        pending.go_on(0, false);
        assert!(pending.bytes.is_empty());
        assert_eq!((pending.start, pending.next), (0, 0));
    }
}
