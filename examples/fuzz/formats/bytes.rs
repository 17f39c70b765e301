//! Mutations of bytes that know no format, and numbers that loaders may trip over.

use sweep::random::Random;

/// Whole numbers at the edges of what fits where.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    32_767,
    65_535,
    65_536,
    1 << 24,
    i32::MAX as u64,
    u32::MAX as u64,
    i64::MAX as u64,
    u64::MAX,
];

/// A number that is likely to be an edge, or one beside it.
pub fn edge(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.bits(),
        1 => random.below(300) as u64,
        _ => random.pick(&EDGES).wrapping_add(random.below(3) as u64).wrapping_sub(1),
    }
}

/// True once in so many times.
pub fn one_in(random: &mut Random, times: usize) -> bool {
    random.below(times) == 0
}

pub fn noise(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.bits() as u8).collect()
}

/// Changes some bytes, wherever they are: flips, edges, cuts, insertions, repetitions.
pub fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let length = (1 + random.below(16)).min(bytes.len() - at);
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.bits() as u8,
            2 => bytes[at] = *random.pick(&[0, 0xff, 0x7f, 0x80, b'\n', b'"', b'{', b'[', b' ']),
            3 => bytes[at..at + length].copy_from_slice(&noise(random, length)),
            4 => drop(bytes.drain(at..at + length)),
            5 => drop(bytes.splice(at..at, noise(random, length))),
            6 => {
                let copy = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => overwrite(bytes, at, *random.pick(&[2, 4, 8]), random),
        }
    }
    if one_in(random, 8) {
        bytes.truncate(random.below(bytes.len() + 1));
    }
}

/// Puts an edge of so many bytes at a place, in either byte order.
pub fn overwrite(bytes: &mut [u8], at: usize, width: usize, random: &mut Random) {
    let value = edge(random);
    let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
    let source = if one_in(random, 2) { &little[..width] } else { &big[8 - width..] };
    for (place, byte) in bytes.iter_mut().skip(at).zip(source) {
        *place = *byte;
    }
}
