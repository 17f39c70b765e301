//! The first frame of an animated WebP.
//!
//! libwebp, and Pillow with it, puts a first frame into a canvas of nothing as it is, whatever the file says of blending
//! and background; the `image` crate blends, and loses the colours beneath transparent pixels. A frame holds what a still
//! WebP holds, so that the crate decodes it as one.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, RgbImage, imageops};

use super::u32_at;

/// In the flags of the header chunk.
const IS_ANIMATED: u8 = 2;
/// Bytes of a frame before its picture.
const FRAME_HEADER: usize = 16;

/// The first frame on its canvas. `None` for a still picture, and where the file is not sound.
pub fn decode(bytes: &[u8]) -> Option<RgbImage> {
    let mut chunks = Chunks(bytes.get(12..)?);
    let (name, header) = chunks.next()?;
    if name != b"VP8X" || header.first()? & IS_ANIMATED == 0 {
        return None;
    }
    let [width, height] = [4, 7].map(|at| Some(u24_at(header, at)? + 1));
    let (_, frame) = chunks.find(|(name, _)| *name == b"ANMF")?;
    let [x, y] = [0, 3].map(|at| Some(2 * u24_at(frame, at)?));
    let [frame_width, frame_height] = [6, 9].map(|at| Some(u24_at(frame, at)? + 1));
    let (width, height, x, y) = (width?, height?, x?, y?);
    let size = (frame_width?, frame_height?);
    if x + size.0 > width || y + size.1 > height {
        return None;
    }
    let picture = picture_of(frame, size)?;
    if size == (width, height) {
        return Some(picture);
    }
    let mut canvas = RgbImage::new(width, height);
    imageops::replace(&mut canvas, &picture, x.into(), y.into());
    Some(canvas)
}

/// The colours of a frame. Its transparency, which a chunk of its own may hold, does not touch them.
fn picture_of(frame: &[u8], size: (u32, u32)) -> Option<RgbImage> {
    let is_picture = |name: &[u8]| name == b"VP8 " || name == b"VP8L";
    let (name, data) = Chunks(frame.get(FRAME_HEADER..)?).find(|(name, _)| is_picture(name))?;
    let padding = &[0][..data.len() % 2];
    let length = u32::try_from(data.len()).ok()?;
    let chunk = [name, &length.to_le_bytes(), data, padding].concat();
    let whole = (u32::try_from(chunk.len()).ok()? + 4).to_le_bytes();
    let still = [&b"RIFF"[..], &whole, b"WEBP", &chunk].concat();
    let decoder = WebPDecoder::new(Cursor::new(still)).ok()?;
    // The frame says its size twice.
    if decoder.dimensions() != size {
        return None;
    }
    DynamicImage::from_decoder(decoder).ok().map(DynamicImage::into_rgb8)
}

/// Names and contents of chunks, one after the other, as far as they are whole.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::try_from(u32_at(self.0, 4)?).ok()?;
        let (name, content) = (&self.0[..4], self.0.get(8..8 + length)?);
        self.0 = self.0.get(8 + length + length % 2..).unwrap_or_default();
        Some((name, content))
    }
}

fn u24_at(bytes: &[u8], at: usize) -> Option<u32> {
    let [low, middle, high] = *bytes.get(at..at + 3)? else { return None };
    Some(u32::from_le_bytes([low, middle, high, 0]))
}
