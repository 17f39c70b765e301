//! Fills one panel of a block, in AVX-512 where values follow each other in memory one way or the other.

use super::View;
use super::kernels;
use super::panels::Format;

/// A part of a matrix: `rows` deep from `row` on, and `columns` wide from `column` on.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub matrix: View<'a>,
    pub row: usize,
    pub column: usize,
    pub rows: usize,
    pub columns: usize,
}

impl Part<'_> {
    fn at(&self, row: usize, column: usize) -> f32 {
        let View { values, row_stride, column_stride } = self.matrix;
        values[(self.row + row) * row_stride + (self.column + column) * column_stride]
    }
}

/// Writes a part, of at most `W` columns, into words of a panel: rows of `W`, filled up with zeros.
///
/// # Panics
/// Where the part is larger than its matrix or than the words hold.
pub fn pack<const W: usize>(format: Format, part: Part, words: &mut [u32]) {
    let Part { matrix, row, column, rows, columns } = part;
    assert!(matrix.covers(row + rows, column + columns), "a part is larger than its matrix");
    let steps = rows.div_ceil(format.values());
    assert!(columns <= W && steps * W <= words.len(), "a panel is smaller than what goes into it");
    #[cfg(target_arch = "x86_64")]
    if kernels::is_available(format) && (matrix.row_stride == 1 || matrix.column_stride == 1) {
        // SAFETY: the processor has the instructions, and the asserts keep every access inside the two slices.
        unsafe { x86::pack::<W>(format, &part, words) };
        return;
    }
    for (step, words) in words.chunks_exact_mut(W).take(steps).enumerate() {
        for (column, word) in words.iter_mut().enumerate() {
            let value = |row: usize| if row < rows && column < columns { part.at(row, column) } else { 0.0 };
            *word = match format {
                Format::F32 => value(step).to_bits(),
                Format::Bf16 => bf16(value(2 * step)) | bf16(value(2 * step + 1)) << 16,
                Format::F16 => f16(value(step)).to_bits(),
            };
        }
    }
}

/// The upper half of an `f32`, rounded to the nearest, ties to even.
#[inline(always)]
pub fn bf16(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if value.is_nan() { 0x7fc0 } else { rounded }
}

/// The value of `f16` next to this one, ties to even: one of 11 bits, of fewer below 2^-14, and infinite from 65520 on.
#[inline(always)]
pub fn f16(value: f32) -> f32 {
    let size = value.abs();
    if size.is_nan() {
        return f32::NAN;
    }
    if size >= 65520.0 {
        return f32::INFINITY.copysign(value);
    }
    // Next to 2^13 times a number's own power of two, an `f32` has the digits that an `f16` has next to the number itself.
    let exponent = (size.to_bits() >> 23).max(127 - 14);
    let large = f32::from_bits((exponent + 13) << 23);
    (size + large - large).copysign(value)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Format, Part};

    /// Words of a vector.
    const LANES: usize = 16;

    /// # Safety
    /// The processor has what the format needs, the part lies in its matrix, and the words hold it.
    pub unsafe fn pack<const W: usize>(format: Format, part: &Part, words: &mut [u32]) {
        // SAFETY: the caller's promises.
        unsafe {
            match (format, part.matrix.row_stride == 1) {
                (Format::F32, true) => f32_columns::<W>(part, words),
                (Format::F32, false) => f32_rows::<W>(part, words),
                (Format::Bf16, true) => bf16_columns::<W>(part, words),
                (Format::Bf16, false) => bf16_rows::<W>(part, words),
                (Format::F16, true) => f16_columns::<W>(part, words),
                (Format::F16, false) => f16_rows::<W>(part, words),
            }
        }
    }

    /// The first `count` lanes.
    fn first(count: usize) -> __mmask16 {
        if count >= LANES { __mmask16::MAX } else { (1 << count) - 1 }
    }

    macro_rules! packers {
        ($columns:ident, $rows:ident, $features:literal, $values:literal, $down:expr, $across:expr) => {
            /// Columns whose values follow each other: vectors of them are transposed.
            #[target_feature(enable = $features)]
            unsafe fn $columns<const W: usize>(part: &Part, words: &mut [u32]) {
                let &Part { matrix, row, column, rows, columns } = part;
                for from in (0..W).step_by(LANES) {
                    let width = LANES.min(W - from);
                    for deep in (0..rows).step_by(LANES * $values) {
                        let mut lines = [_mm512_setzero_si512(); LANES];
                        let given = columns.saturating_sub(from).min(width);
                        for (i, line) in lines.iter_mut().enumerate().take(given) {
                            let place = (column + from + i) * matrix.column_stride + row + deep;
                            // SAFETY: what is masked is not read, and the rest lies in the matrix. Where nothing is, nothing is
                            // fetched ahead.
                            *line = unsafe {
                                let values = matrix.values.as_ptr();
                                let ahead = values.wrapping_add(place + LANES.min(W) * matrix.column_stride);
                                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(LANES).cast());
                                $down(values.add(place), rows - deep)
                            };
                        }
                        let (step, steps) = (deep / $values, (rows - deep).div_ceil($values));
                        for (i, line) in transposed(lines).into_iter().enumerate().take(steps) {
                            // SAFETY: the words hold all steps.
                            unsafe {
                                let place = words.as_mut_ptr().add((step + i) * W + from);
                                _mm512_mask_storeu_epi32(place.cast(), first(width), line);
                            }
                        }
                    }
                }
            }

            /// Rows whose values follow each other.
            #[target_feature(enable = $features)]
            unsafe fn $rows<const W: usize>(part: &Part, words: &mut [u32]) {
                let &Part { matrix, row, column, rows, columns } = part;
                for step in 0..rows.div_ceil($values) {
                    for from in (0..W).step_by(LANES) {
                        let given = first(columns.saturating_sub(from));
                        let place = (row + step * $values) * matrix.row_stride + column + from;
                        let beside =
                            if step * $values + 1 < rows { Some(place + matrix.row_stride) } else { None };
                        // SAFETY: what is masked is not read nor written; the rest lies in the slices.
                        unsafe {
                            let values = matrix.values.as_ptr();
                            let line = $across(
                                values.wrapping_add(place),
                                beside.map(|at| values.wrapping_add(at)),
                                given,
                            );
                            let place = words.as_mut_ptr().add(step * W + from);
                            _mm512_mask_storeu_epi32(place.cast(), first(W - from), line);
                        }
                    }
                }
            }
        };
    }

    packers!(
        f32_columns,
        f32_rows,
        "avx512f,avx512bw,avx512dq,avx512vl",
        1,
        |values: *const f32, count| _mm512_maskz_loadu_epi32(first(count), values.cast()),
        |values: *const f32, _: Option<*const f32>, given| _mm512_maskz_loadu_epi32(given, values.cast())
    );
    packers!(
        bf16_columns,
        bf16_rows,
        "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16",
        2,
        |values: *const f32, count: usize| {
            let low = _mm512_maskz_loadu_ps(first(count), values);
            let high = _mm512_maskz_loadu_ps(first(count.saturating_sub(LANES)), values.wrapping_add(LANES));
            std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
        },
        |values: *const f32, beside: Option<*const f32>, given| {
            let low = rounded(_mm512_maskz_loadu_ps(given, values));
            let high = match beside {
                Some(values) => rounded(_mm512_maskz_loadu_ps(given, values)),
                None => _mm512_setzero_si512(),
            };
            _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
        }
    );

    packers!(
        f16_columns,
        f16_rows,
        "avx512f,avx512bw,avx512dq,avx512vl",
        1,
        |values: *const f32, count| half(_mm512_maskz_loadu_ps(first(count), values)),
        |values: *const f32, _: Option<*const f32>, given| half(_mm512_maskz_loadu_ps(given, values))
    );

    /// Values rounded to `f16`, as `f32`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn half(values: __m512) -> __m512i {
        let rounded = _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(values);
        _mm512_castps_si512(_mm512_cvtph_ps(rounded))
    }

    /// Values rounded to `bf16`, one in the lower half of each word.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    fn rounded(values: __m512) -> __m512i {
        // SAFETY: both are 16 halves of words.
        _mm512_cvtepu16_epi32(unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values)) })
    }

    /// Lines of 16 words turned into columns.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn transposed(lines: [__m512i; LANES]) -> [__m512i; LANES] {
        let mut pairs = lines;
        for i in (0..LANES).step_by(2) {
            pairs[i] = _mm512_unpacklo_epi32(lines[i], lines[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_epi32(lines[i], lines[i + 1]);
        }
        // In lane `l` of `fours[4 * g + c]`: column `4 * l + c` of the lines `4 * g` to `4 * g + 3`.
        let mut fours = pairs;
        for i in (0..LANES).step_by(4) {
            fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
            fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
            fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
            fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
        }
        let mut columns = fours;
        for c in 0..4 {
            let even = _mm512_shuffle_i32x4::<0x88>(fours[c], fours[4 + c]);
            let odd = _mm512_shuffle_i32x4::<0xdd>(fours[c], fours[4 + c]);
            let even_below = _mm512_shuffle_i32x4::<0x88>(fours[8 + c], fours[12 + c]);
            let odd_below = _mm512_shuffle_i32x4::<0xdd>(fours[8 + c], fours[12 + c]);
            columns[c] = _mm512_shuffle_i32x4::<0x88>(even, even_below);
            columns[4 + c] = _mm512_shuffle_i32x4::<0x88>(odd, odd_below);
            columns[8 + c] = _mm512_shuffle_i32x4::<0xdd>(even, even_below);
            columns[12 + c] = _mm512_shuffle_i32x4::<0xdd>(odd, odd_below);
        }
        columns
    }
}
