//! Decoders of our own, for the files that the `image` crate reads otherwise than Pillow: JPEG (rounding
//! and enlargement of chroma), GIF (what lies around a first frame that is smaller than the picture),
//! animated WebP (transparent pixels of the first frame) and some BMP (16 bits a pixel, run lengths, black
//! and white). PNG and still WebP are equal, and so are other BMP.

mod bmp;
mod gif;
mod jpeg;
mod webp;

use image::{ImageFormat, Rgb, RgbImage};

/// The picture as Pillow's `Image.open(...).convert("RGB")` has it. `None` where no decoder of ours is
/// needed, or where it cannot promise that: then the `image` crate has to say what the file is.
///
/// `most_bytes` bounds the memory for a JPEG's coefficients; the picture's size the caller has checked.
pub fn decode(format: ImageFormat, bytes: &[u8], most_bytes: u64) -> Option<RgbImage> {
    match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, most_bytes),
        ImageFormat::Gif => gif::decode(bytes),
        ImageFormat::Bmp => bmp::decode(bytes),
        ImageFormat::WebP => webp::decode(bytes),
        _ => None,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The colours of all indices. Beyond a palette's end there is black; but a palette in which every index
/// is its own shade of grey, be it empty, goes on like that.
fn colours(palette: &[[u8; 3]]) -> [Rgb<u8>; 256] {
    let goes_on = is_ramp(palette);
    std::array::from_fn(|index| {
        let beyond = [if goes_on { index as u8 } else { 0 }; 3];
        Rgb(palette.get(index).copied().unwrap_or(beyond))
    })
}

fn is_ramp(palette: &[[u8; 3]]) -> bool {
    (0..=u8::MAX).zip(palette).all(|(index, entry)| *entry == [index; 3])
}
