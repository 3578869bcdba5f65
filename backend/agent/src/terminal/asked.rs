//! What the program has asked the writer's terminal, as long as the writer may never hear of it. No I/O.
//!
//! A question is the writer's to answer once it has been sent to it. One that is not, because the writer has
//! gone or is given a snapshot in place of so much output, is the agent's.

use std::collections::VecDeque;

/// The most questions that are remembered; the oldest is left to the writer then.
const MOST: usize = 64;

/// Questions, in the order in which they were put out.
#[derive(Debug, Default)]
pub struct Asked(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    /// The viewer that was the writer.
    viewer: u64,
    /// Where the output with the question ends.
    end: u64,
    /// What the agent would say.
    answer: Vec<u8>,
}

impl Asked {
    /// Notes a question to this viewer, which has been sent everything before `position`.
    pub fn ask(&mut self, viewer: u64, position: u64, end: u64, answer: Vec<u8>) {
        self.0.retain(|it| it.viewer != viewer || it.end > position);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Waiting {
            viewer,
            end,
            answer,
        });
    }

    /// The answers to what this viewer will never be sent: it has been sent everything before `position`,
    /// and will be sent nothing from there until `next`.
    pub fn take_unsent(&mut self, viewer: u64, position: u64, next: u64) -> Vec<u8> {
        let mut answers = Vec::new();
        self.0.retain(|it| {
            if it.viewer != viewer || it.end > next {
                return true;
            }
            if it.end > position {
                answers.extend_from_slice(&it.answer);
            }
            false
        });
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: u64 = u64::MAX;

    #[test]
    fn what_was_sent_is_the_viewers_to_answer() {
        let mut asked = Asked::default();
        asked.ask(1, 0, 10, b"a".to_vec());
        asked.ask(1, 0, 20, b"b".to_vec());
        asked.ask(1, 0, 25, b"later".to_vec());
        asked.ask(2, 0, 30, b"c".to_vec());
        assert_eq!(asked.take_unsent(1, 10, 20), b"b");
        assert_eq!(asked.take_unsent(1, 0, NEVER), b"later", "each once");
        asked.ask(2, 30, 40, b"d".to_vec());
        assert_eq!(asked.take_unsent(2, 0, NEVER), b"d", "the first was sent");
    }

    #[test]
    fn who_only_asks_fills_nothing() {
        let mut asked = Asked::default();
        for end in 1..=1000 {
            asked.ask(1, 0, end, b"x".to_vec());
        }
        assert_eq!(asked.take_unsent(1, 0, NEVER).len(), MOST);
    }
}
