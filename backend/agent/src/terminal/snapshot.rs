//! What a viewer is given that cannot be given all output: bytes that draw the screen.

use std::rc::Rc;

use super::run::State;
use super::viewer::Setting;

/// A screen as bytes.
pub struct Snapshot {
    /// What draws it.
    pub bytes: Vec<u8>,
    /// Where output goes on.
    pub offset: u64,
    /// For whom output is made there, and the number of that change.
    pub setting: Setting,
    pub number: u64,
}

impl State {
    /// A snapshot for a viewer. Unless it has to be `fresh`, one that another viewer is being sent does as
    /// well, as long as half of the journal is left for what has come since: many who are behind cost no
    /// more than one.
    pub fn take_snapshot(&mut self, fresh: bool) -> Rc<Snapshot> {
        let last = self.snapshot.upgrade();
        let last = last.filter(|it| !fresh && self.lasts(it));
        let snapshot = last.unwrap_or_else(|| Rc::new(self.draw()));
        self.snapshot = Rc::downgrade(&snapshot);
        snapshot
    }

    fn lasts(&self, snapshot: &Snapshot) -> bool {
        let since = self.journal.end() - snapshot.offset;
        since <= self.journal.capacity() / 2 && self.settings.goes_on_from(snapshot.number)
    }

    fn draw(&mut self) -> Snapshot {
        let (bytes, begun) = self.screen.snapshot();
        // The begin of a very long sequence would be gone before it is sent, and what is left of it would
        // only be text.
        let begun = if begun > self.journal.capacity() / 2 {
            0
        } else {
            begun
        };
        Snapshot {
            bytes,
            offset: self.journal.end() - begun,
            setting: self.settings.current(),
            number: self.settings.last(),
        }
    }
}
