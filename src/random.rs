//! Counter-based randomness: every stream is a pure function of a seed, a purpose and indices.
//!
//! Order, split, dropout and drawing each take their own [`Random`], keyed by what it is for and where it
//! is used (epoch, image, ...). No stream has state that outlives its use, so a resumed run draws exactly
//! the numbers that the undisturbed run would have drawn, and no new consumer disturbs an old one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// A stream of random numbers for one purpose.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream for `purpose` at `indices`, for example `Random::new(seed, "order", &[epoch])`.
    pub fn new(seed: u64, purpose: &str, indices: &[u64]) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update((purpose.len() as u64).to_le_bytes());
        hash.update(purpose.as_bytes());
        for index in indices {
            hash.update(index.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// Another stream under the same key, from its beginning; far cheaper than a key of its own. Number 0 is the
    /// stream that [`Random::new`] begins.
    pub fn stream(&self, number: u64) -> Self {
        let mut random = self.0.clone();
        random.set_stream(number);
        random.set_word_pos(0);
        Self(random)
    }

    /// Fills `words` with uniformly distributed bits.
    pub fn fill(&mut self, words: &mut [u32]) {
        words.iter_mut().for_each(|word| *word = self.0.next_u32());
    }

    /// 64 uniformly distributed bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number in `0..n`, without bias (rejection sampling). `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        let zone = u64::MAX - u64::MAX % n;
        loop {
            let bits = self.bits();
            if bits < zone {
                return (bits % n) as usize;
            }
        }
    }

    /// A standard normal deviate (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// One item of a list that is not empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts the items into random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_stream_and_another_key_another() {
        let draw = |seed, purpose, indices: &[u64]| Random::new(seed, purpose, indices).bits();
        assert_eq!(draw(1, "order", &[2]), draw(1, "order", &[2]));
        assert_ne!(draw(1, "order", &[2]), draw(1, "order", &[3]));
        assert_ne!(draw(1, "order", &[2]), draw(2, "order", &[2]));
        assert_ne!(draw(1, "order", &[2]), draw(1, "split", &[2]));
    }

    #[test]
    fn the_stream_is_the_same_on_every_machine_and_version() {
        let mut random = Random::new(42, "order", &[1]);
        let mut items: Vec<u32> = (0..8).collect();
        random.shuffle(&mut items);
        assert_eq!(items, EXPECTED_SHUFFLE);
    }

    const EXPECTED_SHUFFLE: [u32; 8] = [1, 0, 7, 6, 3, 5, 2, 4];

    #[test]
    fn streams_of_a_key_differ_and_begin_at_their_beginning() {
        let words = |random: &Random, stream| {
            let mut words = [0; 40];
            random.stream(stream).fill(&mut words);
            words
        };
        let mut random = Random::new(3, "dropout", &[7]);
        let (zero, one) = (words(&random, 0), words(&random, 1));
        assert_ne!(zero, one);
        let mut fresh = [0; 40];
        random.fill(&mut fresh);
        assert_eq!(fresh, zero);
        assert_eq!(words(&random, 1), one, "a stream depends on what was drawn before");
    }

    #[test]
    fn draws_stay_in_range_and_cover_it() {
        let mut random = Random::new(7, "test", &[]);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.below(5)] = true;
            assert!((0.0..1.0).contains(&random.uniform()));
        }
        assert_eq!(seen, [true; 5]);
    }
}
