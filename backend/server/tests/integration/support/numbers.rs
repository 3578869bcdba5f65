//! Numbers that look random and are the same in each run with the same seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator of them.
#[derive(Clone, Copy, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// A generator that is another one in each run. Its seed stands in the output of a test that fails;
    /// `SHELLPORT_TEST_SEED` brings it back.
    pub fn any() -> Self {
        let wish = std::env::var("SHELLPORT_TEST_SEED").ok();
        let wish = wish.map(|seed| seed.parse().expect("SHELLPORT_TEST_SEED is a number"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = wish.unwrap_or(u64::from(now.subsec_nanos()));
        eprintln!("SHELLPORT_TEST_SEED={seed}");
        Self(seed)
    }

    /// The next one, from 0 and below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let byte = |_| u8::try_from(self.below(256)).unwrap();
        (0..count).map(byte).collect()
    }
}
