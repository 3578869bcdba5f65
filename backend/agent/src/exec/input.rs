//! A command's input, on its way to the pipe.

use std::collections::VecDeque;

/// Bytes that may wait.
const WINDOW: u64 = 64 * 1024;

/// What has arrived and the command has not read yet.
#[derive(Debug)]
pub struct Input {
    waiting: VecDeque<u8>,
    /// Bytes that have arrived.
    arrived: u64,
    /// Nothing more will come, or be read.
    ended: bool,
    closed: bool,
}

impl Input {
    /// Of a command that gets some, or none.
    pub fn new(any: bool) -> Self {
        Self {
            waiting: VecDeque::new(),
            arrived: 0,
            ended: !any,
            closed: !any,
        }
    }

    /// The position of the next byte.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Whether more may come, and be read.
    pub fn is_open(&self) -> bool {
        !self.ended
    }

    /// The position up to which more may come.
    pub fn until(&self) -> u64 {
        if self.closed {
            return u64::MAX;
        }
        self.arrived - self.waiting.len() as u64 + WINDOW
    }

    /// Takes what of `bytes`, the first of which has this position, has not come before.
    ///
    /// # Errors
    /// A hole, or more than there is room for.
    pub fn push(&mut self, position: u64, bytes: &[u8]) -> Result<(), &'static str> {
        let known = self.arrived.checked_sub(position);
        let known = known.ok_or("not the next input")?;
        let fresh = bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..);
        let fresh = fresh.unwrap_or_default();
        let end = self.arrived.saturating_add(fresh.len() as u64);
        if end > self.until() {
            return Err("more input than there is room for");
        }
        self.arrived = end;
        // Nobody reads what comes after the end.
        if !self.ended {
            self.waiting.extend(fresh);
        }
        Ok(())
    }

    /// No more comes.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The command reads no more.
    pub fn close(&mut self) {
        self.waiting = VecDeque::new();
        (self.ended, self.closed) = (true, true);
    }

    /// What is next; none at the end.
    pub fn front(&self) -> Option<&[u8]> {
        let front = self.waiting.as_slices().0;
        (!front.is_empty() || !self.ended).then_some(front)
    }

    /// The command has read so much of it.
    pub fn pop(&mut self, count: usize) {
        self.waiting.drain(..count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_taken_once_and_within_its_window() {
        let mut input = Input::new(true);
        input.push(0, b"one two ").unwrap();
        input.push(4, b"two three").unwrap();
        input.push(0, b"one").unwrap();
        assert_eq!(input.front(), Some(&b"one two three"[..]));
        assert!(input.push(14, b"x").is_err());
        input.pop(8);
        assert_eq!((input.arrived(), input.until()), (13, 8 + WINDOW));
        let much = vec![0; usize::try_from(WINDOW).unwrap()];
        assert!(input.push(13, &much).is_err());
        input.end();
        input.push(13, b"late").unwrap();
        assert_eq!(input.front(), Some(&b"three"[..]));
        input.pop(5);
        assert_eq!(input.front(), None);
    }

    #[test]
    fn a_command_that_reads_nothing_stops_nobody() {
        let mut input = Input::new(true);
        input.push(0, b"one").unwrap();
        input.close();
        assert_eq!((input.until(), input.front()), (u64::MAX, None));
        for position in [3, 70_000, 140_000] {
            input
                .push(position.min(input.arrived()), &vec![0; 70_000])
                .unwrap();
        }
        assert_eq!(input.front(), None);
    }
}
