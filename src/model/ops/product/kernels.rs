//! The innermost loops of products, in AVX-512: 14 rows by 32 columns of sums that stay in registers.
//!
//! A sum's terms are added in the order of the depth, wherever in the matrix it lies, so that a value depends neither on
//! the number of threads nor on the rows beside it.

use super::panels::Format;

/// Rows of a left panel.
pub const ROWS: usize = 14;
/// Columns of a right panel.
pub const COLUMNS: usize = 32;

/// Where a tile of the result lies, and what becomes of its sums.
#[derive(Clone, Copy)]
pub struct Tile {
    /// The first value of the tile; the next row begins `stride` values further.
    pub out: *mut f32,
    pub stride: usize,
    /// At most [`ROWS`].
    pub rows: usize,
    /// At most [`COLUMNS`].
    pub columns: usize,
    /// Factor of the sums.
    pub scale: f32,
    /// Adds to what is there, in place of overwriting it.
    pub adds: bool,
    /// Where it overwrites: a value for each column that is added, or null.
    pub bias: *const f32,
}

/// Whether this processor has the loop for panels of a format.
pub fn is_available(format: Format) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && (format != Format::Bf16 || is_x86_feature_detected!("avx512bf16"))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = format;
        false
    }
}

/// Multiplies a left panel by a right one, `steps` words deep.
///
/// # Safety
/// [`is_available`] said so; the panels have `steps * ROWS` and `steps * COLUMNS` words; all of the tile may be written, and
/// a bias has as many values as the tile columns.
#[inline]
pub unsafe fn run(format: Format, steps: usize, left: *const u32, right: *const u32, tile: Tile) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promises are those of these functions.
    unsafe {
        match format {
            Format::F32 | Format::F16 => x86::f32_tile(steps, left, right, tile),
            Format::Bf16 => x86::bf16_tile(steps, left, right, tile),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (steps, left, right, tile);
        unreachable!("no kernel is available on this processor");
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{COLUMNS, ROWS, Tile};

    macro_rules! tile {
        ($name:ident, $features:literal, $broadcast:expr, $load:expr, $multiply_add:expr) => {
            #[target_feature(enable = $features)]
            pub unsafe fn $name(steps: usize, mut left: *const u32, mut right: *const u32, tile: Tile) {
                let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
                for _ in 0..steps {
                    // SAFETY: the panels are as deep as `steps` says.
                    unsafe {
                        let columns = [$load(right), $load(right.add(16))];
                        for row in 0..ROWS {
                            let value = $broadcast(*left.add(row));
                            sums[row][0] = $multiply_add(sums[row][0], value, columns[0]);
                            sums[row][1] = $multiply_add(sums[row][1], value, columns[1]);
                        }
                        left = left.add(ROWS);
                        right = right.add(COLUMNS);
                    }
                }
                if tile.rows < ROWS || tile.columns < COLUMNS {
                    // A copy, since sums that are lent would lie in memory from the first step on.
                    let lent = sums;
                    // SAFETY: the masks keep every access inside the tile.
                    return unsafe { store_part(&lent, tile) };
                }
                let scale = _mm512_set1_ps(tile.scale);
                for (row, sums) in sums.iter().enumerate() {
                    for (half, sum) in sums.iter().enumerate() {
                        // SAFETY: all rows and columns are inside the tile.
                        unsafe {
                            let place = tile.out.add(row * tile.stride + half * 16);
                            let before = if tile.adds { place } else { tile.bias.wrapping_add(half * 16) };
                            let value = if tile.adds || !tile.bias.is_null() {
                                _mm512_fmadd_ps(*sum, scale, _mm512_loadu_ps(before))
                            } else {
                                _mm512_mul_ps(*sum, scale)
                            };
                            _mm512_storeu_ps(place, value);
                        }
                    }
                }
            }
        };
    }

    tile!(
        f32_tile,
        "avx512f,avx512bw,avx512dq,avx512vl",
        |word: u32| _mm512_set1_ps(f32::from_bits(word)),
        |words: *const u32| _mm512_loadu_ps(words.cast()),
        |sum, value, column| _mm512_fmadd_ps(value, column, sum)
    );
    tile!(
        bf16_tile,
        "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16",
        |word: u32| std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(word as i32)),
        |words: *const u32| std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(words.cast())),
        |sum, value, column| _mm512_dpbf16_ps(sum, value, column)
    );

    /// Writes a tile with fewer rows or columns than there are sums.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn store_part(sums: &[[__m512; 2]; ROWS], tile: Tile) {
        let mask = |columns: usize| (if columns >= 16 { u16::MAX } else { (1 << columns) - 1 }) as __mmask16;
        let masks = [mask(tile.columns), mask(tile.columns.saturating_sub(16))];
        let scale = _mm512_set1_ps(tile.scale);
        // A constant number of turns keeps the sums in registers.
        for (row, sums) in sums.iter().enumerate() {
            if row < tile.rows {
                for (half, sum) in sums.iter().enumerate() {
                    // SAFETY: the row is inside the tile, and the mask leaves out what is not.
                    unsafe {
                        let place = tile.out.wrapping_add(row * tile.stride + half * 16);
                        let bias = tile.bias.wrapping_add(half * 16);
                        let value = if tile.adds {
                            _mm512_fmadd_ps(*sum, scale, _mm512_maskz_loadu_ps(masks[half], place))
                        } else if !tile.bias.is_null() {
                            _mm512_fmadd_ps(*sum, scale, _mm512_maskz_loadu_ps(masks[half], bias))
                        } else {
                            _mm512_mul_ps(*sum, scale)
                        };
                        _mm512_mask_storeu_ps(place, masks[half], value);
                    }
                }
            }
        }
    }
}
