//! The inverse cosine transform, rounded as libjpeg's "slow" integer one (`jidctint.c`, and the vector
//! code of libjpeg-turbo that equals it).

use super::{BLOCK, COEFFICIENTS, Component};

/// Fractional bits of the constants, and of what the first pass hands to the second.
const CONSTANT_BITS: u32 = 13;
const BETWEEN_BITS: u32 = 2;

/// The samples of all blocks of a component; `None` where it has no quantisation table.
pub fn samples(component: &Component) -> Option<Vec<u8>> {
    let table = component.quantisation?;
    let stride = component.stride();
    let mut samples = vec![0; component.coefficients.len()];
    let rows = samples.chunks_exact_mut(stride * BLOCK);
    let blocks = component.coefficients.chunks_exact(component.blocks_across * COEFFICIENTS);
    for (rows, blocks) in rows.zip(blocks) {
        for (x, block) in blocks.chunks_exact(COEFFICIENTS).enumerate() {
            let decoded = inverse(block, &table);
            for (row, values) in rows.chunks_exact_mut(stride).zip(decoded.chunks_exact(BLOCK)) {
                row[x * BLOCK..][..BLOCK].copy_from_slice(values);
            }
        }
    }
    Some(samples)
}

fn inverse(block: &[i16], table: &[u16; COEFFICIENTS]) -> [u8; COEFFICIENTS] {
    let mut between = [0i32; COEFFICIENTS];
    let is_flat = block[1..].iter().all(|&coefficient| coefficient == 0);
    let times = |place: usize| i32::from(block[place].wrapping_mul(table[place] as i16));
    if is_flat {
        // What the two passes come to where there is nothing but a mean.
        let value = shifted(times(0) << BETWEEN_BITS, BETWEEN_BITS + 3);
        return [(value + 128).clamp(0, 255) as u8; COEFFICIENTS];
    }
    for column in 0..BLOCK {
        let input: [i32; BLOCK] = std::array::from_fn(|row| times(row * BLOCK + column));
        let output = pass(input, CONSTANT_BITS - BETWEEN_BITS);
        for (row, value) in output.into_iter().enumerate() {
            // Kept in 16 bits between the passes.
            between[row * BLOCK + column] = value.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        }
    }
    let mut samples = [0; COEFFICIENTS];
    for (row, output) in between.chunks_exact(BLOCK).zip(samples.chunks_exact_mut(BLOCK)) {
        let input = std::array::from_fn(|column| row[column]);
        for (sample, value) in output.iter_mut().zip(pass(input, CONSTANT_BITS + BETWEEN_BITS + 3)) {
            *sample = (value + 128).clamp(0, 255) as u8;
        }
    }
    samples
}

fn shifted(value: i32, bits: u32) -> i32 {
    value.wrapping_add(1 << (bits - 1)) >> bits
}

/// The transform of one row or column, scaled by the square root of 8. The steps are those of Loeffler,
/// Ligtenberg and Moschytz; their order decides nothing, since all but the last are exact.
fn pass(input: [i32; BLOCK], bits: u32) -> [i32; BLOCK] {
    let [c0, c1, c2, c3, c4, c5, c6, c7] = input;
    let even = (c2 + c6).wrapping_mul(4433);
    let (low, high) = ((c0 + c4) << CONSTANT_BITS, (c0 - c4) << CONSTANT_BITS);
    let (t2, t3) = (even.wrapping_sub(c6.wrapping_mul(15_137)), even.wrapping_add(c2.wrapping_mul(6270)));
    let evens = [low.wrapping_add(t3), high.wrapping_add(t2), high.wrapping_sub(t2), low.wrapping_sub(t3)];

    let all = (c1 + c3 + c5 + c7).wrapping_mul(9633);
    let z1 = (c7 + c1).wrapping_mul(-7373);
    let z2 = (c5 + c3).wrapping_mul(-20_995);
    let z3 = (c7 + c3).wrapping_mul(-16_069).wrapping_add(all);
    let z4 = (c5 + c1).wrapping_mul(-3196).wrapping_add(all);
    let odds = [
        c1.wrapping_mul(12_299).wrapping_add(z1).wrapping_add(z4),
        c3.wrapping_mul(25_172).wrapping_add(z2).wrapping_add(z3),
        c5.wrapping_mul(16_819).wrapping_add(z2).wrapping_add(z4),
        c7.wrapping_mul(2446).wrapping_add(z1).wrapping_add(z3),
    ];
    std::array::from_fn(|place| {
        if place < 4 {
            shifted(evens[place].wrapping_add(odds[place]), bits)
        } else {
            shifted(evens[7 - place].wrapping_sub(odds[7 - place]), bits)
        }
    })
}
