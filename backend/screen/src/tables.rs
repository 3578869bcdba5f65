//! What does not fit a cell: characters that belong together, and rare looks.
//!
//! Both are kept once, and cells have their numbers. What no cell has any more goes when the table is
//! full; what is still too much then is left out, so that no output takes more memory than that.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// The most entries of a table.
const MOST: usize = 8192;

/// The most bytes of one cluster. Nothing that people write needs more: the longest emoji of Unicode have
/// 35.
pub const MAX_CLUSTER: usize = 64;

/// The most bytes of a link.
pub const MAX_LINK: usize = 2048;

/// The most bytes of all entries of a table.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Characters that share a cell.
pub type Clusters = Table<Box<str>>;

/// Looks that few cells have.
pub type Extras = Table<Extra>;

/// A look that few cells have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extra {
    /// 0 none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed.
    pub underline: u8,
    /// As in a cell.
    pub underline_color: u32,
    /// Where it leads.
    pub link: Option<Arc<Link>>,
}

/// A hyperlink (OSC 8).
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Tells apart, or makes one of, links to the same place.
    pub id: String,
    /// Where it leads.
    pub uri: String,
    /// A number for each one without an id: it is another each time.
    pub serial: u64,
}

/// Values by number; 0 is none.
#[derive(Clone, Debug)]
pub struct Table<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
    bytes: usize,
    /// How many more values are refused before it is looked again which are still there.
    patience: usize,
}

/// What is kept in a table.
pub trait Entry: Clone + Eq + Hash {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

impl Entry for Box<str> {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Entry for Extra {
    fn bytes(&self) -> usize {
        self.link
            .as_ref()
            .map_or(0, |link| link.id.len() + link.uri.len())
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashMap::new(),
            bytes: 0,
            patience: 0,
        }
    }
}

impl<T: Entry> Table<T> {
    /// The number of `value`; none when the table is full.
    pub fn number(&mut self, value: &T) -> Option<u32> {
        if let Some(&number) = self.numbers.get(value) {
            return Some(number);
        }
        if self.values.len() >= MOST || self.bytes + value.bytes() > MOST_BYTES {
            return None;
        }
        self.bytes += value.bytes();
        self.values.push(value.clone());
        let number = u32::try_from(self.values.len()).expect("at most MOST");
        self.numbers.insert(value.clone(), number);
        Some(number)
    }

    /// Whether it is worth a look, after a value was refused, which are still there. That takes a step for
    /// each of `cells`, so it is not done for each value.
    pub fn is_due(&mut self, cells: usize) -> bool {
        let is_due = self.patience == 0;
        self.patience = if is_due { cells } else { self.patience - 1 };
        is_due
    }

    /// The value with this number.
    pub fn get(&self, number: u32) -> Option<&T> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.values.get(index)
    }

    /// Keeps what has one of these numbers, and gives the new ones, by the old.
    pub fn keep(&mut self, used: impl Iterator<Item = u32>) -> HashMap<u32, u32> {
        let old = std::mem::take(self);
        self.patience = old.patience;
        let mut moved = HashMap::from([(0, 0)]);
        for number in used {
            if let (false, Some(value)) = (moved.contains_key(&number), old.get(number)) {
                moved.insert(number, self.number(value).unwrap_or(0));
            }
        }
        moved
    }
}
