//! A fingerprint of a picture that outlasts saving it anew, resizing and a crop by a few pixels.
//!
//! The difference hash dHash (N. Krawetz, "Kind of Like That", hackerfactor.com, 2013): the picture is shrunk, and a bit
//! says of two neighbours in a row which is the brighter one. There are 256 bits in place of his 64, as pictures of one
//! kind share their layout, and neighbours that hardly differ count as equal: on a plain background his bits are noise.

use image::RgbImage;

use super::resample::resize_bicubic;

/// Rows, and comparisons in a row.
const SIDE: u32 = 16;
/// The right neighbour is brighter where it is so by more than this, of 255: JPEG moves smooth areas by less.
const MARGIN: i32 = 2;

/// The bits, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferenceHash([u64; 4]);

impl DifferenceHash {
    pub fn of(picture: &RgbImage) -> Self {
        let small = resize_bicubic(picture, SIDE + 1, SIDE);
        let mut bits = [0; 4];
        for (row, pixels) in small.rows().enumerate() {
            let levels: Vec<i32> = pixels.map(|pixel| brightness(pixel.0)).collect();
            for (column, pair) in levels.windows(2).enumerate() {
                let place = row * SIDE as usize + column;
                bits[place / 64] |= u64::from(pair[1] - pair[0] > MARGIN) << (place % 64);
            }
        }
        Self(bits)
    }

    /// How many of the 256 bits differ.
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.iter().zip(other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// Luma of ITU-R BT.601, as JPEG has it.
fn brightness([red, green, blue]: [u8; 3]) -> i32 {
    (299 * i32::from(red) + 587 * i32::from(green) + 114 * i32::from(blue) + 500) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_says_that_the_right_neighbour_is_clearly_brighter() {
        let steps = |rise: u32| RgbImage::from_fn(SIDE + 1, SIDE, |x, _| image::Rgb([(x * rise) as u8; 3]));
        let [flat, faint, clear] = [0, 2, 3].map(|rise| DifferenceHash::of(&steps(rise)));
        assert_eq!((flat.distance(&faint), flat.distance(&clear)), (0, 256));
    }
}
