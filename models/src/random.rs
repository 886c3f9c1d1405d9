//! Seeded random numbers that are the same on every machine and under every version of every crate.

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough to draw rows and episodes.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream for part `index` of what `seed` drives; parts can be redone alone and in any order.
    pub fn part(seed: u64, index: u64) -> Self {
        let mut random = Self::new(seed ^ index.wrapping_mul(0xa076_1d64_78bd_642f));
        // Two draws separate streams whose seeds differ in few bits.
        random.state = random.bits() ^ random.bits().rotate_left(32);
        random
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 up to but without `end`.
    ///
    /// # Panics
    /// When `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "there is no number below 0");
        // The high word of the product: the bias is below end / 2^64.
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// A number from 0.0 up to but without 1.0.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with a probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number whose logarithm is uniform between those of `low` and `high`, both above 0.
    pub fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        let mut random = Random::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn draws_stay_in_their_ranges_and_reach_the_ends() {
        let mut random = Random::part(7, 3);
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            seen[random.below(5)] = true;
            assert!((0.0..1.0).contains(&random.unit()));
            assert!((1.0..=100.0).contains(&random.log_uniform(1.0, 100.0)));
        }
        assert_eq!(seen, [true; 5]);
        assert_ne!(Random::part(7, 3).bits(), Random::part(7, 4).bits());
    }
}
