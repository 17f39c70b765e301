//! The BMP files that the `image` crate reads otherwise than Pillow: those of 16 bits a pixel, those with run
//! lengths, and those in black and white that are stored with more than a bit a pixel.

use image::{Rgb, RgbImage};

use super::{colours, u16_at, u32_at};

/// Where the picture's header begins, behind the file's.
const HEADER: usize = 14;
/// The headers that have compression and masks.
const HEADER_SIZES: [u32; 6] = [40, 52, 56, 64, 108, 124];
const RUN_LENGTHS_OF_8: u32 = 1;
const RUN_LENGTHS_OF_4: u32 = 2;
const MASKS: u32 = 3;

/// What the header says.
struct Header {
    width: usize,
    height: usize,
    is_top_down: bool,
    bits: usize,
    compression: u32,
    colours: usize,
    /// Where the palette or the masks begin that follow a short header.
    end: usize,
    pixels: usize,
}

/// See [`super::decode`].
pub fn decode(bytes: &[u8]) -> Option<RgbImage> {
    let header = read_header(bytes)?;
    match (header.bits, header.compression) {
        (16, 0 | MASKS) => sixteen_bits(bytes, &header),
        (8, RUN_LENGTHS_OF_8) | (4, RUN_LENGTHS_OF_4) => run_lengths(bytes, &header),
        (4 | 8, 0) => black_and_white(bytes, &header),
        _ => None,
    }
}

fn read_header(bytes: &[u8]) -> Option<Header> {
    let size = u32_at(bytes, HEADER).filter(|size| HEADER_SIZES.contains(size))?;
    let height = u32_at(bytes, HEADER + 8)? as i32;
    let bits = u16_at(bytes, HEADER + 14)?;
    let declared = u32_at(bytes, HEADER + 32)? as usize;
    Some(Header {
        width: u32_at(bytes, HEADER + 4)? as usize,
        height: height.unsigned_abs() as usize,
        is_top_down: height < 0,
        bits,
        compression: u32_at(bytes, HEADER + 16)?,
        colours: if declared == 0 { 1 << bits.min(16) } else { declared },
        end: HEADER + size as usize,
        pixels: u32_at(bytes, 10)? as usize,
    })
}

impl Header {
    /// The picture with each row at its place, from rows in the order of the file.
    fn picture<T: Copy>(&self, rows: &[T], width: usize, pixel: impl Fn(T) -> Rgb<u8>) -> Option<RgbImage> {
        let mut picture = RgbImage::new(u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        for (y, row) in rows.chunks_exact(width).take(self.height).enumerate() {
            let y = if self.is_top_down { y } else { self.height - 1 - y };
            for (x, &value) in row.iter().take(self.width).enumerate() {
                picture.put_pixel(x as u32, y as u32, pixel(value));
            }
        }
        Some(picture)
    }
}

fn sixteen_bits(bytes: &[u8], header: &Header) -> Option<RgbImage> {
    const WITH_FIVE_BITS_EACH: [u32; 3] = [0x7c00, 0x3e0, 0x1f];
    const WITH_SIX_BITS_OF_GREEN: [u32; 3] = [0xf800, 0x7e0, 0x1f];
    let masks = if header.compression == MASKS {
        // They follow a header of 40 bytes and are part of longer ones: at the same place.
        [u32_at(bytes, HEADER + 40)?, u32_at(bytes, HEADER + 44)?, u32_at(bytes, HEADER + 48)?]
    } else {
        WITH_FIVE_BITS_EACH
    };
    let green_bits = match masks {
        WITH_FIVE_BITS_EACH => 5,
        WITH_SIX_BITS_OF_GREEN => 6,
        _ => return None,
    };
    let values_across = header.width.div_ceil(2) * 2;
    let data = bytes.get(header.pixels..)?.get(..values_across * 2 * header.height)?;
    let values: Vec<u16> = data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    // Stretched to 255 and then cut, not rounded.
    let part = |value: u16, shift: u32, bits: u32| {
        let most = (1u32 << bits) - 1;
        ((u32::from(value) >> shift & most) * 255 / most) as u8
    };
    header.picture(&values, values_across, |value| {
        Rgb([part(value, 5 + green_bits, 5), part(value, 5, green_bits), part(value, 0, 5)])
    })
}

/// A picture whose palette is black and white alone. Pillow takes it for one of a bit a pixel, whatever it is stored
/// with (`BmpImagePlugin._bitmap`, "ditch palette"), and so shows the first bits of each row: so does `transformers`.
fn black_and_white(bytes: &[u8], header: &Header) -> Option<RgbImage> {
    const BLACK_AND_WHITE: [[u8; 3]; 2] = [[0; 3], [255; 3]];
    let palette = bytes.get(header.end..)?.get(..4 * header.colours)?;
    let is_black_and_white = header.colours <= 2
        && palette.chunks_exact(4).zip(BLACK_AND_WHITE).all(|(entry, colour)| entry[..3] == colour);
    if !is_black_and_white {
        return None;
    }
    let row_bytes = (header.width.checked_mul(header.bits)?.div_ceil(8)).next_multiple_of(4);
    let data = bytes.get(header.pixels..)?.get(..row_bytes.checked_mul(header.height)?)?;
    let bits: Vec<bool> =
        data.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    header.picture(&bits, 8 * row_bytes, |is_white| Rgb([if is_white { 255 } else { 0 }; 3]))
}

fn run_lengths(bytes: &[u8], header: &Header) -> Option<RgbImage> {
    let entries = bytes.get(header.end..)?.get(..4 * header.colours)?.chunks_exact(4);
    let palette: Vec<[u8; 3]> = entries.map(|entry| [entry[2], entry[1], entry[0]]).collect();
    let indices = unrolled(bytes, header)?;
    let colours = colours(&palette);
    header.picture(&indices, header.width, |index| colours[usize::from(index)])
}

/// The indices of all pixels; those that are jumped over are 0. `None` where the file ends too early.
fn unrolled(bytes: &[u8], header: &Header) -> Option<Vec<u8>> {
    let (width, count) = (header.width, header.width.checked_mul(header.height)?);
    let is_of_4 = header.compression == RUN_LENGTHS_OF_4;
    // An index of a byte that holds one of 8 bits, or two of 4.
    let index = |byte: u8, place: usize| match (is_of_4, place % 2) {
        (false, _) => byte,
        (true, 0) => byte >> 4,
        (true, _) => byte & 15,
    };
    let mut indices: Vec<u8> = Vec::new();
    let mut at = header.pixels;
    // Where in its row the next pixel lies; rows that are too long are cut.
    let mut x = 0;
    while indices.len() < count {
        let (&length, &second) = (bytes.get(at)?, bytes.get(at + 1)?);
        at += 2;
        match (length, second) {
            (0, 0) => {
                indices.resize(indices.len().next_multiple_of(width), 0);
                x = 0;
            }
            (0, 1) => return None,
            (0, 2) => {
                let jump = usize::from(*bytes.get(at)?) + usize::from(*bytes.get(at + 1)?) * width;
                at += 2;
                indices.resize((indices.len() + jump).min(count), 0);
                x = indices.len() % width;
            }
            (0, length) => {
                let length = usize::from(length).min(count - indices.len());
                let stored = if is_of_4 { length.div_ceil(2) } else { length };
                let literal = bytes.get(at..at + stored)?;
                let step = if is_of_4 { 2 } else { 1 };
                indices.extend((0..length).map(|place| index(literal[place / step], place)));
                at += stored;
                at += at % 2;
                x += usize::from(second);
            }
            (length, byte) => {
                let length = usize::from(length).min(width.saturating_sub(x));
                indices.extend((0..length).map(|place| index(byte, place)));
                x += length;
            }
        }
    }
    indices.truncate(count);
    Some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of eight pixels in four bits each, with a palette of two colours.
    fn two_colours(second: u8) -> Vec<u8> {
        let mut file = b"BM".to_vec();
        for number in [66u32, 0, 62, 40, 8, 1, 1 | 4 << 16, 0, 4, 0, 0, 2, 0] {
            file.extend(number.to_le_bytes());
        }
        file.extend([0, 0, 0, 0, second, second, second, 0]);
        file.extend([0x10, 0x01, 0x11, 0x00]);
        file
    }

    #[test]
    fn black_and_white_is_read_a_bit_a_pixel_as_pillow_does() {
        // Pillow 13: bytes(Image.open(file).convert("L").getdata()) of this file.
        let picture = decode(&two_colours(255)).unwrap();
        assert_eq!(picture.pixels().map(|pixel| pixel[0]).collect::<Vec<_>>(), [0, 0, 0, 255, 0, 0, 0, 0]);
        assert_eq!(decode(&two_colours(254)), None, "other colours are what they say");
    }
}
