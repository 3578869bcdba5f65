//! Bracketed pastes in what clients type: which client is in the middle of one. No I/O.

use std::time::Duration;

use tokio::time::Instant;

/// How long others wait for the rest of a paste of which nothing comes any more.
pub const PATIENCE: Duration = Duration::from_secs(5);

const BEGIN: &[u8] = b"\x1b[200~";
const END: &[u8] = b"\x1b[201~";

/// Where a client's input is between the marks of a paste.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    inside: bool,
    /// How much of the next mark has come.
    matched: usize,
}

impl Marks {
    /// Takes in what comes next.
    pub fn advance(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let mark = if self.inside { END } else { BEGIN };
            // Its first byte is nowhere else in it.
            self.matched = if byte == mark[self.matched] {
                self.matched + 1
            } else {
                usize::from(byte == mark[0])
            };
            if self.matched == mark.len() {
                *self = Self {
                    inside: !self.inside,
                    matched: 0,
                };
            }
        }
    }

    /// Whether another's input would be in the middle of a paste or of its mark. A lone escape is
    /// only a key.
    fn are_open(self) -> bool {
        self.inside || self.matched > 1
    }
}

/// The client whose paste the others wait for.
#[derive(Debug, Default)]
pub struct Turn(Option<Holder>);

#[derive(Debug)]
struct Holder {
    client: String,
    /// Since when nothing of it has come; none while there is some that has no room.
    idle: Option<Instant>,
}

impl Turn {
    /// Whether input of this client has to wait.
    pub fn is_anothers(&self, client: &str, now: Instant) -> bool {
        self.0.as_ref().is_some_and(|holder| {
            let waited = holder
                .idle
                .map(|since| now.saturating_duration_since(since));
            holder.client != client && waited.is_none_or(|waited| waited < PATIENCE)
        })
    }

    /// Notes that input of this client was taken, to these marks, and whether there is `more` that
    /// has no room.
    pub fn taken(&mut self, client: &str, marks: Marks, more: bool, now: Instant) {
        self.0 = marks.are_open().then(|| Holder {
            client: client.to_owned(),
            idle: (!more).then_some(now),
        });
    }

    /// Notes that this client has gone; it may come back, unless it is `gone_for_good`.
    pub fn left(&mut self, client: &str, gone_for_good: bool, now: Instant) {
        if let Some(holder) = self.0.as_mut().filter(|it| it.client == client) {
            holder.idle.get_or_insert(now);
            if gone_for_good {
                self.0 = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_open(pieces: &[&str]) -> bool {
        let mut marks = Marks::default();
        for piece in pieces {
            marks.advance(piece.as_bytes());
        }
        marks.are_open()
    }

    #[test]
    fn marks_are_found_however_they_are_cut() {
        for (pieces, open) in [
            (&["typed"][..], false),
            (&["\x1b"], false),
            (&["\x1b[2"], true),
            (&["\x1b[20~"], false),
            (&["\x1b\x1b[200~"], true),
            (&["x\x1b[2", "00~pasted"], true),
            (&["\x1b[200~pasted\x1b[20", "0~"], true),
            (&["\x1b[200~pasted\x1b[20", "1~typed"], false),
            (&["\x1b[200~a\x1b[201~\x1b[200~b"], true),
            (&["\x1b[201~"], false),
        ] {
            assert_eq!(are_open(pieces), open, "{pieces:?}");
        }
    }

    #[test]
    fn others_wait_for_the_end_but_not_for_ever() {
        let open = Marks {
            inside: true,
            matched: 0,
        };
        let now = Instant::now();
        let late = now + PATIENCE;
        let mut turn = Turn::default();
        turn.taken("a", open, true, now);
        assert!(!turn.is_anothers("a", now));
        assert!(turn.is_anothers("b", late), "there is more of it");
        turn.left("a", false, now);
        assert!(turn.is_anothers("b", now) && !turn.is_anothers("b", late));
        turn.taken("a", open, false, late);
        assert!(turn.is_anothers("b", late) && !turn.is_anothers("b", late + PATIENCE));
        turn.taken("a", Marks::default(), false, late);
        assert!(!turn.is_anothers("b", late));
        turn.taken("a", open, true, now);
        turn.left("b", true, now);
        assert!(turn.is_anothers("b", now));
        turn.left("a", true, now);
        assert!(!turn.is_anothers("b", now));
    }
}
