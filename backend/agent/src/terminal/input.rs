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

impl Input {
    /// How many bytes of this client have been taken.
    pub fn sequence(&self, client: &str) -> u64 {
        self.clients
            .iter()
            .find(|(name, _)| name == client)
            .map_or(0, |(_, sequence)| *sequence)
    }

    /// Takes as many of a client's next bytes as there is room for, and returns how many.
    pub fn take(&mut self, client: &str, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(CAPACITY - self.waiting.len());
        if taken > 0 {
            self.waiting.extend(&bytes[..taken]);
            let sequence = self.sequence(client) + taken as u64;
            self.clients.retain(|(name, _)| name != client);
            if self.clients.len() == MAX_CLIENTS {
                self.clients.pop_front();
            }
            self.clients.push_back((client.to_owned(), sequence));
        }
        taken
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
    use super::*;

    #[test]
    fn is_bounded_and_counted() {
        let mut input = Input::default();
        assert_eq!(input.take("a", b"abc"), 3);
        assert_eq!(input.take("b", &vec![0; CAPACITY]), CAPACITY - 3);
        assert_eq!(input.take("a", b"d"), 0, "full");
        assert_eq!((input.sequence("a"), input.sequence("c")), (3, 0));
        input.answer(b"dropped");
        input.consume(2);
        assert_eq!(input.take("a", b"de"), 2);
        assert_eq!(input.sequence("a"), 5);
        assert_eq!(input.front()[0], b'c');
    }

    #[test]
    fn clients_are_bounded() {
        let mut input = Input::default();
        for index in 0..=MAX_CLIENTS {
            input.take(&index.to_string(), b"x");
        }
        assert_eq!(input.sequence("0"), 0, "the oldest is forgotten");
        assert_eq!(input.sequence("1"), 1);
    }
}
