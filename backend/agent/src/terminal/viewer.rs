//! Where a viewer stands in a terminal's output, and what it is sent next. No I/O.

use std::collections::VecDeque;

use shellport_wire::agent::Behind;
use shellport_wire::viewer::{Size, WINDOW};

use crate::journal::Journal;

/// The most settings that are remembered. A viewer that missed an older one gets a snapshot, though the
/// journal may hold what it missed: each connection that breaks makes two.
const MAX_SETTINGS: usize = if cfg!(test) { 4 } else { 4096 };

/// For whom output is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// How large the terminal is.
    pub size: Size,
    /// The number of the viewer that is the writer.
    pub writer: Option<u64>,
}

/// The settings a terminal has had, and from which offset on.
#[derive(Debug)]
pub struct Settings {
    /// In order of number and offset; never empty.
    changes: VecDeque<Change>,
    /// The number of the oldest change that a viewer may have missed.
    oldest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    /// Counts every change.
    number: u64,
    offset: u64,
    setting: Setting,
}

impl Settings {
    /// A terminal that has `setting` from `offset` on.
    pub fn new(offset: u64, setting: Setting) -> Self {
        let first = Change {
            number: 0,
            offset,
            setting,
        };
        Self {
            changes: VecDeque::from([first]),
            oldest: 0,
        }
    }

    fn newest(&self) -> &Change {
        self.changes.back().expect("never empty")
    }

    /// The one now.
    pub fn current(&self) -> Setting {
        self.newest().setting
    }

    /// Notes that output has another one from `offset` on.
    pub fn change(&mut self, offset: u64, setting: Setting) {
        let number = self.last() + 1;
        if self.newest().offset == offset {
            // No output was made for that one.
            self.changes.pop_back();
        } else if self.changes.len() == MAX_SETTINGS
            && let Some(forgotten) = self.changes.pop_front()
        {
            self.oldest = forgotten.number + 1;
        }
        self.changes.push_back(Change {
            number,
            offset,
            setting,
        });
    }

    /// The change that was in force at `offset`, when still known.
    fn at(&self, offset: u64) -> Option<&Change> {
        let after = self.changes.partition_point(|it| it.offset <= offset);
        self.changes.get(after.checked_sub(1)?)
    }

    /// The number of the change that is in force now.
    pub fn last(&self) -> u64 {
        self.newest().number
    }

    /// The viewer that is the writer for output at `offset`.
    pub fn writer_at(&self, offset: u64) -> Option<u64> {
        self.at(offset).unwrap_or(&self.changes[0]).setting.writer
    }

    /// Whether this viewer has been the writer since the change with this number.
    pub fn has_been_writer(&self, viewer: u64, number: u64) -> bool {
        let newest_first = self.changes.iter().rev();
        newest_first
            .take_while(|it| it.number >= number)
            .any(|it| it.setting.writer == Some(viewer))
    }

    /// Whether one who knows the change with this number can be told of every later one.
    pub fn goes_on_from(&self, number: u64) -> bool {
        number + 1 >= self.oldest
    }

    /// The next change after the one with this number that output was made for, when still known.
    fn after(&self, number: u64) -> Option<&Change> {
        let index = self.changes.partition_point(|it| it.number <= number);
        let next = self.changes.get(index);
        next.filter(|_| self.goes_on_from(number))
    }
}

/// What to send a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Output from one offset until another, at most as much as fits a frame.
    Output(u64, u64),
    /// The terminal has this setting from the viewer's position on.
    Change(Setting),
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
    /// The number of the last change that the viewer knows.
    known: u64,
    behind: Behind,
}

impl Cursor {
    /// A viewer that goes on at `since`, and the setting there; none when
    /// that cannot be done byte for byte.
    pub fn resume(
        since: u64,
        journal: &Journal,
        settings: &Settings,
        behind: Behind,
    ) -> Option<(Self, Setting)> {
        if !(journal.start()..=journal.end()).contains(&since) {
            return None;
        }
        let change = settings.at(since)?;
        let cursor = Self {
            position: since,
            acknowledged: since,
            known: change.number,
            behind,
        };
        Some((cursor, change.setting))
    }

    /// A viewer that knows the terminal as it is at `offset`, its end.
    pub fn current(offset: u64, settings: &Settings, behind: Behind) -> Self {
        Self {
            position: offset,
            acknowledged: offset,
            known: settings.last(),
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

    /// Whether anything can be sent before more is acknowledged.
    pub fn has_room(&self) -> bool {
        self.position < self.acknowledged + WINDOW
    }

    /// Takes an acknowledgement in. One beyond what was sent is not believed.
    pub fn acknowledge(&mut self, offset: u64) {
        self.acknowledged = self.acknowledged.max(offset.min(self.position));
    }

    /// Goes on at `offset`, knowing the change with this number: that of a snapshot.
    pub fn jump(&mut self, offset: u64, known: u64) {
        self.position = offset;
        self.acknowledged = offset;
        self.known = known;
    }

    /// What to send next, at most `max` bytes of it; the cursor moves on as if it had been sent.
    pub fn next(&mut self, journal: &Journal, settings: &Settings, max: u64) -> Next {
        if !self.has_room() {
            return Next::Wait;
        }
        if self.position < journal.start() {
            return self.catch_up(journal, settings);
        }
        let mut until = journal.end();
        if self.known < settings.last() {
            match settings.after(self.known) {
                Some(change) if change.offset <= self.position => {
                    self.known = change.number;
                    return Next::Change(change.setting);
                }
                Some(change) => until = until.min(change.offset),
                None => return self.catch_up(journal, settings),
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

    fn catch_up(&mut self, journal: &Journal, settings: &Settings) -> Next {
        match self.behind {
            Behind::Snapshot => Next::Snapshot,
            Behind::Gap => {
                let (from, known) = (self.position, self.known);
                let to = journal.start().max(from);
                self.jump(to, settings.last());
                // When even the one there is forgotten, the next one that is known has to do.
                let change = settings.at(to).unwrap_or(&settings.changes[0]);
                if from == to {
                    self.known = change.number;
                    return Next::Change(change.setting);
                }
                // The one after the gap is told next, when it is news.
                self.known = known.max(change.number.saturating_sub(1));
                Next::Gap(from, to)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Setting = Setting {
        size: Size { cols: 80, rows: 24 },
        writer: None,
    };
    const B: Setting = Setting {
        size: Size {
            cols: 100,
            rows: 30,
        },
        writer: Some(3),
    };

    fn journal(len: usize, capacity: usize) -> Journal {
        let mut journal = Journal::new(0, capacity);
        journal.push(&vec![b'x'; len]);
        journal
    }

    #[test]
    fn a_change_stands_between_the_output_it_separates() {
        let journal = journal(10, 100);
        let mut settings = Settings::new(0, A);
        settings.change(4, B);
        let (mut cursor, setting) =
            Cursor::resume(0, &journal, &settings, Behind::Snapshot).unwrap();
        assert_eq!(setting, A);
        let mut next = || cursor.next(&journal, &settings, 1000);
        assert_eq!(next(), Next::Output(0, 4));
        assert_eq!(next(), Next::Change(B));
        assert_eq!(next(), Next::Output(4, 10));
        assert_eq!(next(), Next::UpToDate);
        let (_, setting) = Cursor::resume(7, &journal, &settings, Behind::Snapshot).unwrap();
        assert_eq!(setting, B);
    }

    #[test]
    fn a_window_is_never_exceeded() {
        let window = usize::try_from(WINDOW).unwrap();
        let journal = journal(3 * window, 4 * window);
        let settings = Settings::new(0, A);
        let (mut cursor, _) = Cursor::resume(0, &journal, &settings, Behind::Snapshot).unwrap();
        assert_eq!(
            cursor.next(&journal, &settings, u64::MAX / 2),
            Next::Output(0, WINDOW)
        );
        assert_eq!(cursor.next(&journal, &settings, 10), Next::Wait);
        cursor.acknowledge(u64::MAX);
        assert_eq!(
            cursor.position(),
            WINDOW,
            "an impossible acknowledgement is capped"
        );
        assert_eq!(
            cursor.next(&journal, &settings, 10),
            Next::Output(WINDOW, WINDOW + 10)
        );
    }

    #[test]
    fn what_the_journal_lost_is_said() {
        let mut lost = journal(10, 100);
        let settings = Settings::new(0, A);
        for (behind, expected) in [
            (Behind::Gap, Next::Gap(0, 60)),
            (Behind::Snapshot, Next::Snapshot),
        ] {
            let (mut cursor, _) = Cursor::resume(0, &journal(10, 100), &settings, behind).unwrap();
            lost = journal(160, 100);
            assert_eq!(cursor.next(&lost, &settings, 1000), expected);
        }
        assert!(Cursor::resume(59, &lost, &settings, Behind::Gap).is_none());
        assert!(Cursor::resume(161, &lost, &settings, Behind::Gap).is_none());
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
            let mut settings = Settings::new(0, A);
            let (mut cursor, mut setting) = Cursor::resume(0, &journal, &settings, behind).unwrap();
            let mut expected = 0;
            for (bytes, resize, send) in steps {
                journal.push(&vec![b'x'; bytes]);
                if resize {
                    let other = if settings.current() == A { B } else { A };
                    settings.change(journal.end(), other);
                }
                for _ in 0..if send { 100 } else { 0 } {
                    match cursor.next(&journal, &settings, 70) {
                        Next::Output(from, to) => {
                            prop_assert_eq!(from, expected);
                            prop_assert!(from < to && to <= from + 70);
                            prop_assert!(journal.start() <= from && to <= journal.end());
                            expected = to;
                            cursor.acknowledge(to);
                        }
                        Next::Change(to) => setting = to,
                        Next::Gap(from, to) => {
                            prop_assert!(gap && from == expected && from < to);
                            expected = to;
                        }
                        Next::Snapshot => {
                            prop_assert!(!gap);
                            cursor.jump(journal.end(), settings.last());
                            expected = journal.end();
                            setting = settings.current();
                        }
                        Next::Wait => prop_assert!(false, "everything was acknowledged"),
                        Next::UpToDate => {
                            prop_assert_eq!(expected, journal.end());
                            prop_assert_eq!(setting, settings.current());
                            break;
                        }
                    }
                }
            }
        }
    }
}
