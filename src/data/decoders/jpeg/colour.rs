//! Colours from components, with libjpeg's rounding (`jdcolor.c`) and, for CMYK, Pillow's.

use image::RgbImage;

use super::{ColourSpace, Frame, rows};

/// The picture in RGB.
pub fn picture(frame: &Frame, space: ColourSpace) -> Option<RgbImage> {
    let mut picture = RgbImage::new(u32::try_from(frame.width).ok()?, u32::try_from(frame.height).ok()?);
    // Room for samples beyond the edge: an enlarged row may be some samples longer than the picture.
    let mut components = vec![vec![0; frame.width + 2 * frame.max_h]; frame.components.len()];
    for (y, target) in picture.chunks_exact_mut(3 * frame.width).enumerate() {
        for (component, row) in frame.components.iter().zip(&mut components) {
            rows::fill(frame, component, y, row);
        }
        for (x, pixel) in target.chunks_exact_mut(3).enumerate() {
            let at = |component: usize| components[component][x];
            let rgb = match space {
                ColourSpace::Grey => [at(0); 3],
                ColourSpace::Rgb => [at(0), at(1), at(2)],
                ColourSpace::YCbCr => from_ycc([at(0), at(1), at(2)]),
                ColourSpace::Cmyk => from_cmyk([at(0), at(1), at(2), at(3)]),
                ColourSpace::Ycck => {
                    let [c, m, y] = from_ycc([at(0), at(1), at(2)]).map(|value| 255 - value);
                    from_cmyk([c, m, y, at(3)])
                }
            };
            pixel.copy_from_slice(&rgb);
        }
    }
    Some(picture)
}

/// In units of 2^-16: 1.402, 0.71414, 0.34414 and 1.772.
fn from_ycc([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((HALF - 22_554 * cb - 46_802 * cr) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// Pillow takes every file's values for inverted ones, as Adobe writes them.
fn from_cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let white = u32::from(k);
    [c, m, y].map(|value| {
        let product = u32::from(255 - value) * white + 128;
        (white.saturating_sub(((product >> 8) + product) >> 8)) as u8
    })
}
