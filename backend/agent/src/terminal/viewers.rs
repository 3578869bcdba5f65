//! Who watches a terminal, and who of them is the writer. No I/O.
//!
//! Any number may be allowed to write, but one at a time is the writer: its size is the terminal's, and its
//! own terminal answers what programs ask. When it goes or gives the role back, the one has it again from
//! whom it was taken.

use std::collections::BTreeMap;
use std::rc::Rc;

use shellport_wire::viewer::{MAX_LISTED, Presence, Role, Size};
use tokio::sync::Notify;

use super::viewer::Cursor;

/// One who watches.
pub struct Viewer {
    /// What it may be.
    pub role: Role,
    /// Its own size.
    pub size: Size,
    /// Whether the program does not wait for it.
    pub lags: bool,
    /// Where it stands.
    pub cursor: Cursor,
    /// There is something for it.
    pub wake: Rc<Notify>,
}

/// All who watch.
#[derive(Default)]
pub struct Viewers {
    all: BTreeMap<u64, Viewer>,
    /// Those that want to write; the last one does.
    writers: Vec<u64>,
    next: u64,
    version: u64,
}

impl Viewers {
    /// Adds one, and makes it the writer if it may be, unless it `yields` to another one; its number.
    pub fn add(&mut self, viewer: Viewer, yields: bool) -> u64 {
        let number = self.next;
        self.next += 1;
        let role = viewer.role;
        self.all.insert(number, viewer);
        self.version += 1;
        if role == Role::Writer {
            let place = if yields { 0 } else { self.writers.len() };
            self.writers.insert(place, number);
        }
        number
    }

    /// The number of the next one.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes one away.
    pub fn remove(&mut self, number: u64) {
        self.all.remove(&number);
        self.writers.retain(|&it| it != number);
        self.version += 1;
    }

    /// The one with this number.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Viewer> {
        self.all.get_mut(&number)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Viewer> {
        self.all.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The writer and its number.
    pub fn writer(&self) -> Option<(u64, &Viewer)> {
        let number = *self.writers.last()?;
        Some((number, self.all.get(&number)?))
    }

    /// Makes this one the writer.
    ///
    /// # Errors
    /// When it may not be.
    pub fn take(&mut self, number: u64) -> Result<(), String> {
        match self.all.get(&number) {
            Some(viewer) if viewer.role == Role::Writer => {
                self.give_back(number);
                self.writers.push(number);
                Ok(())
            }
            Some(_) => Err(format!("viewer {number} may only read")),
            None => Err(format!("there is no viewer {number}")),
        }
    }

    /// Does without this one as a writer.
    pub fn give_back(&mut self, number: u64) {
        self.writers.retain(|&it| it != number);
    }

    /// Another one each time that somebody comes or goes.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Them as they see each other; those that may write first.
    pub fn presence(&self) -> Vec<Presence> {
        let those = |role| {
            let all = self.all.iter().filter(move |(_, it)| it.role == role);
            all.map(move |(&viewer, _)| Presence { viewer, role })
        };
        let all = those(Role::Writer).chain(those(Role::Reader));
        all.take(MAX_LISTED).collect()
    }
}

#[cfg(test)]
mod tests {
    use shellport_wire::agent::Behind;

    use super::*;
    use crate::terminal::viewer::{Setting, Settings};

    fn viewer(role: Role) -> Viewer {
        let size = Size::DEFAULT;
        let settings = Settings::new(0, Setting { size, writer: None });
        Viewer {
            role,
            size,
            lags: false,
            cursor: Cursor::current(0, &settings, Behind::Snapshot),
            wake: Rc::default(),
        }
    }

    fn writer(viewers: &Viewers) -> Option<u64> {
        viewers.writer().map(|(number, _)| number)
    }

    #[test]
    fn the_role_goes_back_to_whom_it_was_taken_from() {
        let mut viewers = Viewers::default();
        assert_eq!(writer(&viewers), None);
        let alone = viewers.add(viewer(Role::Writer), true);
        assert_eq!(writer(&viewers), Some(alone), "there is nobody to yield to");
        viewers.remove(alone);
        let first = viewers.add(viewer(Role::Writer), false);
        let reader = viewers.add(viewer(Role::Reader), false);
        assert_eq!(writer(&viewers), Some(first));
        let second = viewers.add(viewer(Role::Writer), false);
        assert_eq!(writer(&viewers), Some(second));
        viewers.take(first).unwrap();
        assert_eq!(writer(&viewers), Some(first));
        let back = viewers.add(viewer(Role::Writer), true);
        assert_eq!(writer(&viewers), Some(first), "it yields");
        viewers.remove(first);
        assert_eq!(writer(&viewers), Some(second));
        viewers.remove(back);
        viewers.give_back(second);
        assert_eq!(writer(&viewers), None);
        viewers.take(second).unwrap();
        assert_eq!(writer(&viewers), Some(second));
        assert!(viewers.take(reader).unwrap_err().contains("only read"));
        assert!(viewers.take(first).unwrap_err().contains("no viewer"));
        let listed = viewers.presence();
        assert_eq!((listed[0].viewer, listed[1].viewer), (second, reader));
    }
}
