//! Seeded randomness: the same seed, the same world, on every machine.

/// SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 0 to `end` - 1, for times.
    pub fn up_to(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end.max(1)
    }

    /// 0 to `end` - 1, for counts.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.up_to(end as u64)).unwrap()
    }

    /// 0 to `end` - 1, for the numbers of DAGs and tasks.
    pub fn small(&mut self, end: u32) -> u32 {
        u32::try_from(self.up_to(u64::from(end))).unwrap()
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
