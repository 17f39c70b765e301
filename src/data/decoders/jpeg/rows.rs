//! Rows of a component at the picture's size, enlarged as libjpeg's "fancy" upsampling does it
//! (`jdsample.c`).

use super::{Component, Frame};

/// Writes row `y` of the picture for one component; `row` has room for the component's width times its
/// factor.
pub fn fill(frame: &Frame, component: &Component, y: usize, row: &mut [u8]) {
    let (across, down) = (frame.max_h / component.h, frame.max_v / component.v);
    let near = component.row(y / down);
    // Even rows lie closer to the row above, odd ones to the row below; at the edges there is only itself.
    let above = (y / 2).saturating_sub(1);
    let next_y = if y.is_multiple_of(2) { above } else { (y / 2 + 1).min(component.height - 1) };
    match (across, down) {
        (1, 1) => row[..near.len()].copy_from_slice(near),
        (2, 1) if component.width > 2 => widen(near.len(), |x| u32::from(near[x]), row, 2, [1, 2], false),
        (1, 2) => {
            let bias = if y.is_multiple_of(2) { 1 } else { 2 };
            for ((value, &a), &b) in row.iter_mut().zip(near).zip(component.row(next_y)) {
                *value = ((3 * u32::from(a) + u32::from(b) + bias) >> 2) as u8;
            }
        }
        (2, 2) if component.width > 2 => {
            let far = component.row(next_y);
            widen(near.len(), |x| 3 * u32::from(near[x]) + u32::from(far[x]), row, 4, [8, 7], true);
        }
        _ => {
            for (values, &sample) in row.chunks_exact_mut(across).zip(near) {
                values.fill(sample);
            }
        }
    }
}

/// Twice as many samples: each mixes three parts of the nearest and one of the next one. `bits` are
/// shifted out again, after one of two roundings in turn so that they cancel out.
fn widen(
    length: usize,
    at: impl Fn(usize) -> u32,
    row: &mut [u8],
    bits: u32,
    rounding: [u32; 2],
    summed: bool,
) {
    let edge = |value: u32, rounding: u32| {
        // The rounding matters only where rows were mixed: otherwise this is the sample itself.
        let rounding = if summed { rounding } else { 0 };
        ((4 * value + rounding) >> bits) as u8
    };
    let last = length - 1;
    for x in 0..length {
        let value = at(x);
        row[2 * x] = if x == 0 {
            edge(value, rounding[0])
        } else {
            ((3 * value + at(x - 1) + rounding[0]) >> bits) as u8
        };
        row[2 * x + 1] = if x == last {
            edge(value, rounding[1])
        } else {
            ((3 * value + at(x + 1) + rounding[1]) >> bits) as u8
        };
    }
}
