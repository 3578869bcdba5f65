//! Input on its way to the program: bounded, and applied at most once.

use std::collections::VecDeque;

/// The most bytes that wait for the program. More are not taken until it has read some.
const CAPACITY: usize = 64 * 1024;

/// The most clients whose sequences are remembered; the one that typed longest ago is forgotten.
const MAX_CLIENTS: usize = 64;

/// Bytes typed but not yet read, and how far each client is.
#[derive(Debug, Default)]
pub struct Input {
    waiting: VecDeque<u8>,
    /// The client that typed last is at the back.
    clients: VecDeque<(String, u64)>,
}

/// Input that does not continue what the client sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("input at {position}; expected at most {expected}")]
pub struct InputHole {
    expected: u64,
    position: u64,
}

impl Input {
    /// How many bytes of this client have been taken.
    pub fn sequence(&self, client: &str) -> u64 {
        self.clients
            .iter()
            .find(|(name, _)| name == client)
            .map_or(0, |(_, sequence)| *sequence)
    }

    /// Takes as many of `bytes` as there is room for and returns the client's sequence after them.
    /// Bytes before its sequence were taken already and are passed over.
    ///
    /// # Errors
    /// When bytes are missing between the client's sequence and `position`.
    pub fn take(&mut self, client: &str, position: u64, bytes: &[u8]) -> Result<u64, InputHole> {
        let sequence = self.sequence(client);
        let known = sequence.checked_sub(position).ok_or(InputHole {
            expected: sequence,
            position,
        })?;
        let fresh = bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..);
        let fresh = fresh.unwrap_or_default();
        let taken = fresh.len().min(CAPACITY - self.waiting.len());
        if taken > 0 {
            self.waiting.extend(&fresh[..taken]);
            self.clients.retain(|(name, _)| name != client);
            if self.clients.len() == MAX_CLIENTS {
                self.clients.pop_front();
            }
            self.clients
                .push_back((client.to_owned(), sequence + taken as u64));
        }
        Ok(sequence + taken as u64)
    }

    /// Puts an answer of the terminal itself behind what was typed, whole or not at all.
    pub fn answer(&mut self, bytes: &[u8]) {
        if bytes.len() <= CAPACITY - self.waiting.len() {
            self.waiting.extend(bytes);
        }
    }

    /// Forgets a client that will not come back.
    pub fn forget(&mut self, client: &str) {
        self.clients.retain(|(name, _)| name != client);
    }

    /// The next bytes for the program.
    pub fn front(&self) -> &[u8] {
        self.waiting.as_slices().0
    }

    /// Notes that the program has been given `count` bytes of [`Self::front`].
    pub fn consume(&mut self, count: usize) {
        self.waiting.drain(..count);
    }

    /// Drops what the program will never read.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_is_refused_and_changes_nothing() {
        let mut input = Input::default();
        assert_eq!(input.take("a", 0, b"abc"), Ok(3));
        let error = input.take("a", 4, b"e").unwrap_err();
        assert_eq!(error.to_string(), "input at 4; expected at most 3");
        assert_eq!(input.front(), b"abc");
        assert_eq!(input.sequence("a"), 3);
        assert_eq!(input.sequence("b"), 0);
    }

    #[test]
    fn clients_are_bounded() {
        let mut input = Input::default();
        for index in 0..=MAX_CLIENTS {
            input.take(&index.to_string(), 0, b"x").unwrap();
        }
        assert_eq!(input.sequence("0"), 0, "the oldest is forgotten");
        assert_eq!(input.sequence("1"), 1);
    }

    proptest! {
        /// A client that sends everything again from any earlier position, in any pieces, as after
        /// a reconnect: each byte arrives once and in order.
        #[test]
        fn at_most_once(
            text in prop::collection::vec(any::<u8>(), 1..200_000),
            steps in prop::collection::vec((0u64..5000, 1usize..70_000, 1usize..70_000), 1..60),
        ) {
            let mut input = Input::default();
            let mut arrived = Vec::new();
            for (back, len, read) in steps {
                let sequence = input.sequence("c");
                let from = sequence.saturating_sub(back);
                let start = usize::try_from(from).unwrap();
                let piece = &text[start..text.len().min(start + len)];
                let after = input.take("c", from, piece).unwrap();
                prop_assert!(after >= sequence);
                let front = input.front();
                let read = read.min(front.len());
                arrived.extend_from_slice(&front[..read]);
                input.consume(read);
            }
            while !input.front().is_empty() {
                arrived.extend_from_slice(input.front());
                let count = input.front().len();
                input.consume(count);
            }
            let sequence = usize::try_from(input.sequence("c")).unwrap();
            prop_assert_eq!(&arrived[..], &text[..sequence]);
        }
    }
}
