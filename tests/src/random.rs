use std::ops::Range;
use std::time::Duration;

/// Pseudo-random numbers (splitmix64), the same for a seed.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of a range that is not empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start).max(1)
    }

    /// Some milliseconds.
    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// True once in so many times.
    pub fn one_of(&mut self, count: u64) -> bool {
        self.within(0..count) == 0
    }

    /// One of some values, each as often as its weight says; `None` of none.
    pub fn weighted<'a, T>(&mut self, values: &'a [(u64, T)]) -> Option<&'a T> {
        let mut left = self.within(0..values.iter().map(|(weight, _)| weight).sum());
        values.iter().find_map(|(weight, value)| {
            let hit = left < *weight;
            left = left.saturating_sub(*weight);
            hit.then_some(value)
        })
    }
}
