//! New buffers of values, written by all threads.
//!
//! `vec![0.0; n]` and `to_vec` write with one thread while the others wait. A training step asks for gigabytes.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Values that a thread writes at a time; fewer are not worth a second thread.
const CHUNK: usize = 64 * 1024;

/// So many zeros.
pub fn zeros(count: usize) -> Vec<f32> {
    written(count, CHUNK, |_, values| values.fill(MaybeUninit::new(0.0)))
}

/// The same values.
pub fn copied(values: &[f32]) -> Vec<f32> {
    written(values.len(), CHUNK, |from, copy| copy_into(copy, &values[from..][..copy.len()]))
}

/// A row so many times, one below the other.
pub fn repeated(row: &[f32], times: usize) -> Vec<f32> {
    let width = row.len().max(1);
    written(times * row.len(), CHUNK.div_ceil(width) * width, |_, values| {
        for values in values.chunks_exact_mut(width) {
            copy_into(values, row);
        }
    })
}

/// As many values as there are places.
fn copy_into(new: &mut [MaybeUninit<f32>], values: &[f32]) {
    for (new, value) in new.iter_mut().zip(values) {
        new.write(*value);
    }
}

/// Values in chunks, each of which `write` writes all of, told the place of its first.
fn written(count: usize, chunk: usize, write: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    let new = &mut values.spare_capacity_mut()[..count];
    if count <= chunk {
        write(0, new);
    } else {
        new.par_chunks_mut(chunk).enumerate().for_each(|(i, new)| write(i * chunk, new));
    }
    // SAFETY: `write`, which is one of those above, wrote every value of each chunk.
    unsafe { values.set_len(count) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_written_whatever_the_size() {
        for count in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            assert!(zeros(count) == vec![0.0; count]);
            let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
            assert!(copied(&values) == values);
        }
        for (width, times) in [(0, 3), (1, 0), (7, 1), (7, CHUNK), (CHUNK + 3, 4), (768, 3463)] {
            let row: Vec<f32> = (0..width).map(|i| 1.0 + i as f32).collect();
            assert!(repeated(&row, times) == row.repeat(times), "{times} rows of {width}");
        }
    }
}
