//! A bounded log of bytes, addressed by an offset that only grows.

use std::collections::VecDeque;

/// The last `capacity` bytes of a stream.
#[derive(Debug)]
pub struct Journal {
    bytes: VecDeque<u8>,
    start: u64,
    capacity: usize,
}

impl Journal {
    /// An empty journal whose first byte will have the offset `start`. It takes memory as it fills.
    pub fn new(start: u64, capacity: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            start,
            capacity,
        }
    }

    /// The most bytes that are kept.
    pub fn capacity(&self) -> u64 {
        self.capacity as u64
    }

    /// The offset of the oldest byte that is kept.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The offset of the next byte to come.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// How many bytes are kept.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Gives back memory that is not needed when nothing more comes.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Appends `bytes`; the oldest go when there are more than the capacity.
    pub fn push(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(self.capacity);
        let kept = &bytes[skipped..];
        let dropped = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.bytes.drain(..dropped);
        self.bytes.extend(kept);
        self.start += (dropped + skipped) as u64;
    }

    /// The bytes from `from` until `to`, in two pieces that follow each other.
    ///
    /// # Panics
    /// When the range is not within [`Self::start`] and [`Self::end`].
    pub fn range(&self, from: u64, to: u64) -> (&[u8], &[u8]) {
        assert!(
            self.start <= from && from <= to && to <= self.end(),
            "{from}..{to} is not within {}..{}",
            self.start,
            self.end()
        );
        let index = |offset: u64| usize::try_from(offset - self.start).expect("kept in memory");
        let (from, to) = (index(from), index(to));
        let (front, back) = self.bytes.as_slices();
        let split = front.len();
        (
            &front[from.min(split)..to.min(split)],
            &back[from.max(split) - split..to.max(split) - split],
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keeps_exactly_the_last_bytes(
            start in 0u64..1000,
            capacity in 1usize..50,
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut journal = Journal::new(start, capacity);
            let mut all = Vec::new();
            for piece in &pieces {
                journal.push(piece);
                all.extend_from_slice(piece);
            }
            let kept = all.len().min(capacity);
            prop_assert_eq!(journal.end(), start + all.len() as u64);
            prop_assert_eq!(journal.start(), journal.end() - kept as u64);
            let from = journal.start() + cut.index(kept + 1) as u64;
            let (front, back) = journal.range(from, journal.end());
            let expected = &all[all.len() - usize::try_from(journal.end() - from).unwrap()..];
            prop_assert_eq!([front, back].concat(), expected);
        }
    }
}
