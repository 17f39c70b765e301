//! The Mersenne Twister MT19937 as Python's `random` module uses it, bit for bit.
//!
//! It exists for one purpose: a split made with `random.seed(s); random.shuffle(list)` is made here again, so
//! that results on "the same 10 %" really are. Everything else draws from [`crate::random::Random`].
//!
//! Source: Matsumoto and Nishimura, 1998 (`mt19937ar.c`), and CPython's `Lib/random.py`.

const STATE_WORDS: usize = 624;
const SHIFT: usize = 397;

/// A generator in the state that Python's `random.seed(seed)` leaves.
pub struct PythonRandom {
    state: [u32; STATE_WORDS],
    /// The next word of `state` to hand out; `STATE_WORDS` means that all are used up.
    next: usize,
}

impl PythonRandom {
    /// As `random.seed(seed)` for a whole number.
    pub fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        // Python uses as many 32-bit words as the number has, and at least one.
        if high == 0 { Self::from_key(&[low]) } else { Self::from_key(&[low, high]) }
    }

    /// `init_by_array` of the reference code. `key` must not be empty.
    fn from_key(key: &[u32]) -> Self {
        let mut state = [0u32; STATE_WORDS];
        state[0] = 19_650_218;
        for i in 1..STATE_WORDS {
            state[i] = mixed(state[i - 1], 1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        for (j, &word) in key.iter().cycle().take(STATE_WORDS.max(key.len())).enumerate() {
            let position = (j % key.len()) as u32;
            state[i] = (state[i] ^ mixed(state[i - 1], 1_664_525)).wrapping_add(word).wrapping_add(position);
            i = following(&mut state, i);
        }
        for _ in 1..STATE_WORDS {
            state[i] = (state[i] ^ mixed(state[i - 1], 1_566_083_941)).wrapping_sub(i as u32);
            i = following(&mut state, i);
        }
        state[0] = 0x8000_0000;
        Self { state, next: STATE_WORDS }
    }

    /// The next 32 uniformly distributed bits: `random.getrandbits(32)`.
    pub fn bits(&mut self) -> u32 {
        if self.next == STATE_WORDS {
            self.refill();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn refill(&mut self) {
        for i in 0..STATE_WORDS {
            let upper = self.state[i] & 0x8000_0000;
            let lower = self.state[(i + 1) % STATE_WORDS] & 0x7fff_ffff;
            let joined = upper | lower;
            let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + SHIFT) % STATE_WORDS] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }

    /// A number in `0..n` by rejection, as `Random._randbelow`. `n` must not be 0.
    fn below(&mut self, n: u32) -> u32 {
        let width = 32 - n.leading_zeros();
        loop {
            let bits = self.bits() >> (32 - width);
            if bits < n {
                return bits;
            }
        }
    }

    /// As `random.shuffle`. Lists of 2^32 items and more are beyond it.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u32 + 1) as usize;
            items.swap(i, j);
        }
    }
}

fn mixed(previous: u32, factor: u32) -> u32 {
    (previous ^ (previous >> 30)).wrapping_mul(factor)
}

/// The index after `i`, where the reference code wraps round and carries the last word to the front.
fn following(state: &mut [u32; STATE_WORDS], i: usize) -> usize {
    if i + 1 < STATE_WORDS {
        return i + 1;
    }
    state[0] = state[STATE_WORDS - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(seed: u64, n: usize) -> Vec<usize> {
        let mut items: Vec<usize> = (0..n).collect();
        PythonRandom::new(seed).shuffle(&mut items);
        items
    }

    #[test]
    fn the_first_words_of_seed_42_are_those_of_python() {
        let mut random = PythonRandom::new(42);
        let words: Vec<u32> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(words, [2746317213, 478163327, 107420369, 3184935163]);
    }

    #[test]
    fn shuffles_are_those_of_python_for_seeds_of_one_word_and_of_two() {
        assert_eq!(shuffled(42, 10), [7, 3, 2, 8, 5, 6, 9, 4, 0, 1]);
        assert_eq!(shuffled(0, 10), [7, 8, 1, 5, 3, 4, 2, 0, 9, 6]);
        assert_eq!(shuffled(4294967296, 10), [8, 9, 3, 2, 4, 7, 0, 6, 5, 1]);
        assert_eq!(shuffled(1099511627783, 10), [0, 5, 2, 3, 6, 1, 8, 4, 7, 9]);
        assert_eq!(shuffled(18446744073709551615, 10), [2, 6, 7, 9, 8, 1, 4, 5, 3, 0]);
    }

    #[test]
    fn the_split_of_the_original_study_is_reproduced() {
        let order = shuffled(42, 10_155);
        assert_eq!(order[..5], [7809, 2393, 8150, 914, 6713]);
        assert_eq!(order[10_155 - 1_015..][..5], [5314, 753, 474, 4906, 2725]);
    }

    #[test]
    fn lists_of_no_and_one_item_are_left_alone() {
        assert_eq!(shuffled(1, 0), [0usize; 0]);
        assert_eq!(shuffled(1, 1), [0]);
    }
}
