//! Pillow's bicubic resize of 8-bit RGB pictures, bit for bit.
//!
//! The method is a separable convolution with antialiasing: when a side shrinks, the kernel widens with it.
//! Three details decide the last bit, and other libraries differ in each: weights are rounded to 22
//! fractional bits, the result of the first pass is rounded to 8 bits before the second one, and a rule says
//! which pass comes first. A pass whose side keeps its length is skipped.
//!
//! Source: `src/libImaging/Resample.c` of Pillow. The order of the passes is that of Pillow 13, established
//! by comparison; before version 13 the horizontal pass always came first, which for pictures that lose much
//! more height than width differs by one unit in about a fifth of the samples.

use image::RgbImage;

/// Fractional bits of a weight: 8 bits go to the sample and 2 to overshoot and sign.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// Half of a unit, which turns the final shift into a rounding.
const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// Half the width of the bicubic kernel, in samples.
const SUPPORT: f64 = 2.0;
const CHANNELS: usize = 3;

/// The picture at `width` x `height` pixels, as `Image.resize((width, height), Image.BICUBIC)`. The aspect
/// ratio is not kept. A picture without pixels becomes a black one.
pub fn resize_bicubic(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    if picture.is_empty() || width == 0 || height == 0 {
        return RgbImage::new(width, height);
    }
    if vertical_first(picture.dimensions(), (width, height)) {
        resize_width(&resize_height(picture, height), width)
    } else {
        resize_height(&resize_width(picture, width), height)
    }
}

/// True where the height shrinks, and by more than twice as many pixels as the width.
fn vertical_first(from: (u32, u32), to: (u32, u32)) -> bool {
    let lost_width = i64::from(from.0) - i64::from(to.0);
    let lost_height = i64::from(from.1) - i64::from(to.1);
    lost_height > 0 && lost_height > 2 * lost_width
}

fn resize_width(picture: &RgbImage, width: u32) -> RgbImage {
    if picture.width() == width {
        return picture.clone();
    }
    let windows = windows(picture.width(), width);
    let mut resized = RgbImage::new(width, picture.height());
    let source_rows = picture.chunks_exact(CHANNELS * picture.width() as usize);
    let target_rows = resized.chunks_exact_mut(CHANNELS * width as usize);
    for (source, target) in source_rows.zip(target_rows) {
        for (pixel, window) in target.chunks_exact_mut(CHANNELS).zip(&windows) {
            let mut sums = [HALF; CHANNELS];
            let covered = source.chunks_exact(CHANNELS).skip(window.start);
            for (sample, weight) in covered.zip(&window.weights) {
                for (sum, &value) in sums.iter_mut().zip(sample) {
                    *sum += i32::from(value) * weight;
                }
            }
            for (value, sum) in pixel.iter_mut().zip(sums) {
                *value = rounded(sum);
            }
        }
    }
    resized
}

fn resize_height(picture: &RgbImage, height: u32) -> RgbImage {
    if picture.height() == height {
        return picture.clone();
    }
    let windows = windows(picture.height(), height);
    let row_length = CHANNELS * picture.width() as usize;
    let mut resized = RgbImage::new(picture.width(), height);
    let mut sums = vec![0i32; row_length];
    for (target, window) in resized.chunks_exact_mut(row_length).zip(&windows) {
        sums.fill(HALF);
        let covered = picture.chunks_exact(row_length).skip(window.start);
        for (row, &weight) in covered.zip(&window.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        for (value, &sum) in target.iter_mut().zip(&sums) {
            *value = rounded(sum);
        }
    }
    resized
}

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The source samples that make one target sample: the first one and a weight for each, in units of
/// `2^-PRECISION_BITS`.
struct Window {
    start: usize,
    weights: Vec<i32>,
}

/// One window for each of the `to` target samples along a side that had `from` samples.
fn windows(from: u32, to: u32) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let widening = scale.max(1.0);
    let support = SUPPORT * widening;
    let inverse = 1.0 / widening;
    let window = |target: u32| {
        let center = (f64::from(target) + 0.5) * scale;
        // Casts from float truncate towards zero and saturate, as the C code does after its clamping.
        let start = (center - support + 0.5) as u32;
        let end = ((center + support + 0.5) as u32).min(from);
        let weights: Vec<f64> =
            (start..end).map(|sample| kernel((f64::from(sample) - center + 0.5) * inverse)).collect();
        let total: f64 = weights.iter().sum();
        Window { start: start as usize, weights: weights.iter().map(|&w| quantised(w, total)).collect() }
    };
    (0..to).map(window).collect()
}

/// A weight in fixed point, rounded half away from zero the way Pillow does it: add a half, then truncate.
fn quantised(weight: f64, total: f64) -> i32 {
    let share = if total == 0.0 { weight } else { weight / total };
    let units = share * f64::from(1u32 << PRECISION_BITS);
    (units + 0.5f64.copysign(share)) as i32
}

/// Keys' cubic convolution kernel with a = -0.5.
fn kernel(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with detail in every channel that needs no file.
    fn pattern(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let mixed = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ (x * y);
            image::Rgb([(mixed >> 3) as u8, (mixed >> 11) as u8, (x * 7 + y * 13) as u8])
        })
    }

    #[test]
    fn a_picture_of_the_wanted_size_is_untouched() {
        let picture = pattern(9, 7);
        assert_eq!(resize_bicubic(&picture, 9, 7), picture);
    }

    #[test]
    fn an_even_colour_stays_even_at_every_size() {
        let picture = RgbImage::from_pixel(13, 5, image::Rgb([0, 127, 255]));
        for (width, height) in [(1, 1), (4, 40), (64, 3), (13, 6), (14, 5)] {
            let resized = resize_bicubic(&picture, width, height);
            assert_eq!(resized.dimensions(), (width, height));
            assert!(resized.pixels().all(|pixel| pixel.0 == [0, 127, 255]));
        }
    }

    #[test]
    fn a_single_row_equals_pillow() {
        // Image.fromarray(numpy.array([[[0, 10, 255], [255, 20, 0], [0, 30, 128]]], "uint8")).resize((5, 1),
        // 3)
        let picture = RgbImage::from_raw(3, 1, vec![0, 10, 255, 255, 20, 0, 0, 30, 128]).unwrap();
        let resized = resize_bicubic(&picture, 5, 1);
        assert_eq!(resized.as_raw(), &PILLOW_ROW);
    }

    const PILLOW_ROW: [u8; 15] = [0, 9, 255, 101, 13, 160, 255, 20, 0, 101, 27, 72, 0, 31, 138];

    #[test]
    fn the_vertical_pass_comes_first_where_much_more_height_than_width_is_lost() {
        assert!(!vertical_first((30, 40), (25, 30)));
        assert!(vertical_first((30, 41), (25, 30)));
        assert!(vertical_first((20, 31), (21, 30)));
        assert!(!vertical_first((20, 31), (40, 31)));
        assert!(!vertical_first((750, 1101), (384, 384)));
    }

    #[test]
    fn pictures_without_pixels_do_no_harm() {
        assert_eq!(resize_bicubic(&RgbImage::new(0, 3), 2, 2), RgbImage::new(2, 2));
        assert_eq!(resize_bicubic(&pattern(2, 2), 0, 3), RgbImage::new(0, 3));
    }
}
