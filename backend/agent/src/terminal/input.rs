//! Input on its way to the program: bounded, and applied at most once.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::paste::{Marks, Turn};

/// The most bytes that wait for the program. More are not taken until it has read some.
const CAPACITY: usize = 64 * 1024;

/// The most clients that have left and whose sequences are remembered for when they come back; who
/// left longest ago is forgotten.
const MAX_LEFT: usize = 64;

/// Bytes typed but not yet read, and how far each client is.
#[derive(Debug, Default)]
pub struct Input {
    waiting: VecDeque<u8>,
    /// Who left last is at the back.
    clients: Vec<Client>,
    /// Whose paste is under way.
    turn: Turn,
}

#[derive(Debug)]
struct Client {
    name: String,
    /// How many of its bytes have been taken.
    sequence: u64,
    connections: usize,
    /// It will not come back.
    anonymous: bool,
    marks: Marks,
}

impl Input {
    /// What a program that is started again begins with: nothing typed, but clients that come back
    /// go on where they were.
    pub fn restarted(&self) -> Self {
        let known = self.clients.iter().filter(|client| !client.anonymous);
        let clients = known.map(|client| Client {
            name: client.name.clone(),
            sequence: client.sequence,
            connections: 0,
            anonymous: false,
            marks: Marks::default(),
        });
        let mut input = Self {
            waiting: VecDeque::new(),
            clients: clients.collect(),
            turn: Turn::default(),
        };
        input.forget_some();
        input
    }

    /// Notes a connection of a client; one that is anonymous is forgotten at the end of it.
    pub fn join(&mut self, name: &str, anonymous: bool) {
        match self.find(name) {
            Some(client) => client.connections += 1,
            None => self.clients.push(Client {
                name: name.to_owned(),
                sequence: 0,
                connections: 1,
                anonymous,
                marks: Marks::default(),
            }),
        }
    }

    /// Notes the end of a connection.
    pub fn leave(&mut self, name: &str) {
        let Some(index) = self.clients.iter().position(|it| it.name == name) else {
            return;
        };
        self.clients[index].connections -= 1;
        if self.clients[index].connections > 0 {
            return;
        }
        let client = self.clients.remove(index);
        self.turn.left(name, client.anonymous, Instant::now());
        if client.sequence > 0 && !client.anonymous {
            self.clients.push(client);
            self.forget_some();
        }
    }

    fn forget_some(&mut self) {
        let left = self.clients.iter().filter(|it| it.connections == 0).count();
        let mut surplus = left.saturating_sub(MAX_LEFT);
        self.clients.retain(|client| {
            let forgotten = surplus > 0 && client.connections == 0;
            surplus -= usize::from(forgotten);
            !forgotten
        });
    }

    /// How many bytes of this client have been taken.
    pub fn sequence(&self, name: &str) -> u64 {
        let client = self.clients.iter().find(|it| it.name == name);
        client.map_or(0, |client| client.sequence)
    }

    /// Takes as many of the next bytes of a client that has joined as there is room for, and
    /// returns how many: none while another client is in the middle of a bracketed paste.
    pub fn take(&mut self, name: &str, bytes: &[u8]) -> usize {
        let now = Instant::now();
        if bytes.is_empty() || self.turn.is_anothers(name, now) {
            return 0;
        }
        let taken = bytes.len().min(CAPACITY - self.waiting.len());
        let Some(client) = self.clients.iter_mut().find(|it| it.name == name) else {
            return 0;
        };
        client.sequence += taken as u64;
        client.marks.advance(&bytes[..taken]);
        self.turn
            .taken(name, client.marks, taken < bytes.len(), now);
        self.waiting.extend(&bytes[..taken]);
        taken
    }

    /// Puts an answer of the terminal itself behind what was typed, whole or not at all.
    pub fn answer(&mut self, bytes: &[u8]) {
        if bytes.len() <= CAPACITY - self.waiting.len() {
            self.waiting.extend(bytes);
        }
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

    fn find(&mut self, name: &str) -> Option<&mut Client> {
        self.clients.iter_mut().find(|it| it.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_and_counted() {
        let mut input = Input::default();
        input.join("a", false);
        input.join("b", true);
        assert_eq!(input.take("a", b"abc"), 3);
        assert_eq!(input.take("b", &vec![0; CAPACITY]), CAPACITY - 3);
        assert_eq!(input.take("a", b"d"), 0, "full");
        assert_eq!((input.sequence("a"), input.sequence("c")), (3, 0));
        input.answer(b"dropped");
        input.consume(2);
        assert_eq!(input.take("a", b"de"), 2);
        assert_eq!(input.sequence("a"), 5);
        assert_eq!(input.front()[0], b'c');
        let restarted = input.restarted();
        assert_eq!((restarted.sequence("a"), restarted.front()), (5, &b""[..]));
        assert_eq!(restarted.sequence("b"), 0, "another may be called so");
    }

    #[test]
    fn a_paste_is_not_mixed_with_what_others_type() {
        let mut input = Input::default();
        input.join("a", false);
        input.join("b", true);
        let paste = [b"\x1b[200~", &*vec![b'p'; 2 * CAPACITY], b"\x1b[201~"].concat();
        let mut rest = &paste[..];
        let mut given = Vec::new();
        for round in 0.. {
            rest = &rest[input.take("a", rest)..];
            if rest.is_empty() {
                break;
            }
            assert_eq!(input.take("b", b"typed"), 0);
            if round == 1 {
                // Cut and come back.
                input.leave("a");
                assert_eq!(input.take("b", b"typed"), 0);
                input.join("a", false);
            }
            given.extend_from_slice(input.front());
            input.consume(input.front().len());
            assert_eq!(input.take("b", b"typed"), 0);
        }
        assert_eq!(input.take("b", b"typed"), 5);
        given.extend(&input.waiting);
        assert!(given == [&paste[..], b"typed"].concat());
        // Nobody waits for one who will not come back.
        input.consume(input.front().len());
        assert_eq!(input.take("b", b"\x1b[200~"), 6);
        assert_eq!(input.take("a", b"typed"), 0);
        input.leave("b");
        assert_eq!(input.take("a", b"typed"), 5);
    }

    #[test]
    fn who_is_there_is_not_forgotten() {
        let mut input = Input::default();
        for name in ["stays", "twice", "twice"] {
            input.join(name, false);
            input.take(name, b"x");
        }
        input.leave("twice");
        for index in 0..=MAX_LEFT {
            let name = index.to_string();
            input.join(&name, false);
            input.take(&name, b"x");
            input.leave(&name);
        }
        assert_eq!(input.sequence("0"), 0, "left longest ago");
        assert_eq!(input.sequence("1"), 1);
        assert_eq!((input.sequence("stays"), input.sequence("twice")), (1, 2));
        assert_eq!(input.restarted().clients.len(), MAX_LEFT);
        input.join("anonymous", true);
        input.take("anonymous", b"x");
        input.leave("anonymous");
        assert_eq!(input.sequence("anonymous"), 0);
    }
}
