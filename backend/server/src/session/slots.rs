//! How many sessions there are.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Counts slots.
#[derive(Debug, Default)]
pub(super) struct Slots(Arc<AtomicUsize>);

/// Counts as a session for as long as it is there.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slots {
    /// A slot, however many are taken.
    pub(super) fn take(&self) -> Slot {
        self.0.fetch_add(1, Relaxed);
        Slot(Arc::clone(&self.0))
    }

    /// A slot, if fewer than `most` are taken.
    pub(super) fn take_below(&self, most: usize) -> Option<Slot> {
        let one_more = |taken| (taken < most).then_some(taken + 1);
        self.0.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Slot(Arc::clone(&self.0)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn what_is_beyond_the_limit_counts() {
        let slots = Slots::default();
        let mut kept: Vec<_> = (0..3).map(|_| slots.take()).collect();
        assert!(slots.take_below(2).is_none());
        kept.pop();
        assert!(slots.take_below(2).is_none(), "as many as allowed are left");
        kept.pop();
        let last = slots.take_below(2).expect("one below the limit");
        assert!(slots.take_below(2).is_none());
        drop(last);
        assert!(slots.take_below(2).is_some());
    }
}
