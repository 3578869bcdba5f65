//! What a viewer is given that cannot be given all output: bytes that draw the screen.

use std::io;
use std::rc::Rc;

use super::run::{Run, State};
use super::viewer::Setting;

/// A screen as bytes.
pub struct Snapshot {
    /// What draws it.
    pub bytes: Vec<u8>,
    /// Where output goes on: before a sequence that has only begun.
    pub offset: u64,
    /// Everything before this has been drawn.
    pub end: u64,
    /// For whom output is made there, and the number of that change.
    pub setting: Setting,
    pub number: u64,
}

impl Run {
    /// A snapshot for this viewer: the one that another is being sent, when it does, so that many who are
    /// behind cost no more than one; else a new one.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub async fn snapshot(&self, viewer: u64) -> io::Result<Rc<Snapshot>> {
        if let Some(last) = self.state.borrow().shared_snapshot(viewer) {
            return Ok(last);
        }
        let place = self.canvas.place().await;
        let (drawn, end, setting, number) = {
            let state = self.state.borrow();
            let (setting, number) = (state.settings.current(), state.settings.last());
            let drawn = self.canvas.snapshot(setting.size, place);
            (drawn, state.journal.end(), setting, number)
        };
        let (bytes, begun) = drawn.await.map_err(io::Error::other)?;
        let mut state = self.state.borrow_mut();
        // The begin of a very long sequence would be gone before it is sent, and what is left of it would
        // only be text.
        let begun = if begun > state.journal.capacity() / 2 {
            0
        } else {
            begun
        };
        let snapshot = Rc::new(Snapshot {
            bytes,
            offset: end - begun,
            end,
            setting,
            number,
        });
        state.snapshot = Rc::downgrade(&snapshot);
        Ok(snapshot)
    }
}

impl State {
    /// The snapshot that somebody is being sent, as long as half of the journal is left for what has come
    /// since. Not for one who has been the writer since: it would answer again what was asked meanwhile.
    fn shared_snapshot(&self, viewer: u64) -> Option<Rc<Snapshot>> {
        let last = self.snapshot.upgrade()?;
        let is_fresh = self.journal.end() - last.offset <= self.journal.capacity() / 2;
        let does = is_fresh
            && self.settings.goes_on_from(last.number)
            && !self.settings.has_been_writer(viewer, last.number);
        does.then_some(last)
    }
}
