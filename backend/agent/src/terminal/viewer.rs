//! Where a viewer stands in a terminal's output, and what it is sent next. No I/O.

use std::collections::VecDeque;

use shellport_wire::agent::Behind;
use shellport_wire::viewer::{Size, WINDOW};

use crate::journal::Journal;

/// The most sizes that are remembered. A viewer that missed an older one gets a snapshot.
const MAX_SIZES: usize = 64;

/// The sizes a terminal has had, and from which offset on.
#[derive(Debug)]
pub struct Sizes {
    /// In order of offset; never empty.
    changes: VecDeque<(u64, Size)>,
    /// How many changes were dropped from the front.
    dropped: u64,
}

impl Sizes {
    /// A terminal that has `size` from `offset` on.
    pub fn new(offset: u64, size: Size) -> Self {
        Self {
            changes: VecDeque::from([(offset, size)]),
            dropped: 0,
        }
    }

    /// The size now.
    pub fn current(&self) -> Size {
        self.changes.back().expect("never empty").1
    }

    /// Notes that output has another size from `offset` on.
    pub fn change(&mut self, offset: u64, size: Size) {
        if self.changes.len() == MAX_SIZES {
            self.changes.pop_front();
            self.dropped += 1;
        }
        self.changes.push_back((offset, size));
    }

    /// The number of the change that was in force at `offset`, and its size, when still known.
    fn at(&self, offset: u64) -> Option<(u64, Size)> {
        let after = self.changes.partition_point(|(from, _)| *from <= offset);
        let index = after.checked_sub(1)?;
        Some((self.dropped + index as u64, self.changes[index].1))
    }

    /// The number of the change that is in force now.
    pub fn last(&self) -> u64 {
        self.dropped + self.changes.len() as u64 - 1
    }

    /// The change with this number, when still known.
    fn get(&self, number: u64) -> Option<(u64, Size)> {
        let index = usize::try_from(number.checked_sub(self.dropped)?).ok()?;
        self.changes.get(index).copied()
    }
}

/// What to send a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Output from one offset until another, at most as much as fits a frame.
    Output(u64, u64),
    /// The terminal has this size from the viewer's position on.
    Resize(Size),
    /// A snapshot: the journal no longer holds what comes next. See [`Cursor::jump`].
    Snapshot,
    /// The output from one offset until another is gone.
    Gap(u64, u64),
    /// Nothing before more has been acknowledged or put out.
    Wait,
    /// Everything has been sent.
    UpToDate,
}

/// A viewer's place in the output.
#[derive(Debug)]
pub struct Cursor {
    position: u64,
    acknowledged: u64,
    /// The number of the last size change that the viewer knows.
    size: u64,
    behind: Behind,
}

impl Cursor {
    /// A viewer that goes on at `since`, and the size that the output there was made for; none when
    /// that cannot be done byte for byte.
    pub fn resume(
        since: u64,
        journal: &Journal,
        sizes: &Sizes,
        behind: Behind,
    ) -> Option<(Self, Size)> {
        if !(journal.start()..=journal.end()).contains(&since) {
            return None;
        }
        let (number, size) = sizes.at(since)?;
        let cursor = Self {
            position: since,
            acknowledged: since,
            size: number,
            behind,
        };
        Some((cursor, size))
    }

    /// A viewer that knows the terminal as it is at `offset`, its end.
    pub fn current(offset: u64, sizes: &Sizes, behind: Behind) -> Self {
        Self {
            position: offset,
            acknowledged: offset,
            size: sizes.last(),
            behind,
        }
    }

    /// The offset that comes next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether the viewer has less than a window to parse; `end` is the journal's.
    pub fn keeps_up(&self, end: u64) -> bool {
        end.saturating_sub(self.acknowledged) < WINDOW
    }

    /// Takes an acknowledgement in. One beyond what was sent is not believed.
    pub fn acknowledge(&mut self, offset: u64) {
        self.acknowledged = self.acknowledged.max(offset.min(self.position));
    }

    /// Goes on at `offset`, knowing the size with this number: that of a snapshot.
    pub fn jump(&mut self, offset: u64, size: u64) {
        self.position = offset;
        self.acknowledged = offset;
        self.size = size;
    }

    /// What to send next, at most `max` bytes of it; the cursor moves on as if it had been sent.
    pub fn next(&mut self, journal: &Journal, sizes: &Sizes, max: u64) -> Next {
        if self.acknowledged + WINDOW <= self.position {
            return Next::Wait;
        }
        if self.position < journal.start() {
            return self.catch_up(journal, sizes);
        }
        let mut until = journal.end();
        if self.size < sizes.last() {
            self.size += 1;
            match sizes.get(self.size) {
                Some((offset, size)) if offset <= self.position => return Next::Resize(size),
                Some((offset, _)) => {
                    self.size -= 1;
                    until = until.min(offset);
                }
                None => return self.catch_up(journal, sizes),
            }
        }
        let until = until
            .min(self.position + max)
            .min(self.acknowledged + WINDOW);
        if until == self.position {
            return Next::UpToDate;
        }
        let from = std::mem::replace(&mut self.position, until);
        Next::Output(from, until)
    }

    fn catch_up(&mut self, journal: &Journal, sizes: &Sizes) -> Next {
        match self.behind {
            Behind::Snapshot => Next::Snapshot,
            Behind::Gap => {
                let (from, known) = (self.position, self.size);
                let to = journal.start().max(from);
                self.jump(to, sizes.last());
                let Some((number, size)) = sizes.at(to) else {
                    // Even the size there is forgotten: the next one that is known has to do.
                    self.size = sizes.dropped;
                    return Next::Resize(sizes.changes[0].1);
                };
                if from == to {
                    self.size = number;
                    return Next::Resize(size);
                }
                // The size after the gap is told next, when it is news.
                self.size = known.max(number.saturating_sub(1));
                Next::Gap(from, to)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Size = Size { cols: 80, rows: 24 };
    const B: Size = Size {
        cols: 100,
        rows: 30,
    };

    fn journal(len: usize, capacity: usize) -> Journal {
        let mut journal = Journal::new(0, capacity);
        journal.push(&vec![b'x'; len]);
        journal
    }

    #[test]
    fn a_resize_stands_between_the_output_it_separates() {
        let journal = journal(10, 100);
        let mut sizes = Sizes::new(0, A);
        sizes.change(4, B);
        let (mut cursor, size) = Cursor::resume(0, &journal, &sizes, Behind::Snapshot).unwrap();
        assert_eq!(size, A);
        let mut next = || cursor.next(&journal, &sizes, 1000);
        assert_eq!(next(), Next::Output(0, 4));
        assert_eq!(next(), Next::Resize(B));
        assert_eq!(next(), Next::Output(4, 10));
        assert_eq!(next(), Next::UpToDate);
        let (_, size) = Cursor::resume(7, &journal, &sizes, Behind::Snapshot).unwrap();
        assert_eq!(size, B);
    }

    #[test]
    fn a_window_is_never_exceeded() {
        let window = usize::try_from(WINDOW).unwrap();
        let journal = journal(3 * window, 4 * window);
        let sizes = Sizes::new(0, A);
        let (mut cursor, _) = Cursor::resume(0, &journal, &sizes, Behind::Snapshot).unwrap();
        assert_eq!(
            cursor.next(&journal, &sizes, u64::MAX / 2),
            Next::Output(0, WINDOW)
        );
        assert_eq!(cursor.next(&journal, &sizes, 10), Next::Wait);
        cursor.acknowledge(u64::MAX);
        assert_eq!(
            cursor.position(),
            WINDOW,
            "an impossible acknowledgement is capped"
        );
        assert_eq!(
            cursor.next(&journal, &sizes, 10),
            Next::Output(WINDOW, WINDOW + 10)
        );
    }

    #[test]
    fn what_the_journal_lost_is_said() {
        let mut lost = journal(10, 100);
        let sizes = Sizes::new(0, A);
        for (behind, expected) in [
            (Behind::Gap, Next::Gap(0, 60)),
            (Behind::Snapshot, Next::Snapshot),
        ] {
            let (mut cursor, _) = Cursor::resume(0, &journal(10, 100), &sizes, behind).unwrap();
            lost = journal(160, 100);
            assert_eq!(cursor.next(&lost, &sizes, 1000), expected);
        }
        assert!(Cursor::resume(59, &lost, &sizes, Behind::Gap).is_none());
        assert!(Cursor::resume(161, &lost, &sizes, Behind::Gap).is_none());
    }

    proptest! {
        /// Whatever is put out, resized and acknowledged in whatever order: positions continue, no
        /// byte comes twice, and every jump is announced.
        #[test]
        fn never_a_silent_hole(
            steps in prop::collection::vec((0usize..400, any::<bool>(), any::<bool>()), 1..200),
            gap in any::<bool>(),
        ) {
            let behind = if gap { Behind::Gap } else { Behind::Snapshot };
            let mut journal = Journal::new(0, 500);
            let mut sizes = Sizes::new(0, A);
            let (mut cursor, mut size) = Cursor::resume(0, &journal, &sizes, behind).unwrap();
            let mut expected = 0;
            for (bytes, resize, send) in steps {
                journal.push(&vec![b'x'; bytes]);
                if resize {
                    let other = if sizes.current() == A { B } else { A };
                    sizes.change(journal.end(), other);
                }
                for _ in 0..if send { 100 } else { 0 } {
                    match cursor.next(&journal, &sizes, 70) {
                        Next::Output(from, to) => {
                            prop_assert_eq!(from, expected);
                            prop_assert!(from < to && to <= from + 70);
                            prop_assert!(journal.start() <= from && to <= journal.end());
                            expected = to;
                            cursor.acknowledge(to);
                        }
                        Next::Resize(to) => size = to,
                        Next::Gap(from, to) => {
                            prop_assert!(gap && from == expected && from < to);
                            expected = to;
                        }
                        Next::Snapshot => {
                            prop_assert!(!gap);
                            cursor.jump(journal.end(), sizes.last());
                            expected = journal.end();
                            size = sizes.current();
                        }
                        Next::Wait => prop_assert!(false, "everything was acknowledged"),
                        Next::UpToDate => {
                            prop_assert_eq!(expected, journal.end());
                            prop_assert_eq!(size, sizes.current());
                            break;
                        }
                    }
                }
            }
        }
    }
}
