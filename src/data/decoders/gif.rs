//! The first frame of a GIF, laid on the picture as Pillow does it; the gif crate reads the file.
//!
//! Around a frame that is smaller than the picture Pillow paints the transparent colour, or else the first
//! of the palette (most programs leave that transparent). A frame that reaches beyond the picture enlarges
//! it.

use gif::{ColorOutput, DecodeOptions};
use image::RgbImage;

use super::super::image_file::{MAX_PIXELS, MAX_SIDE};
use super::{colours, is_ramp};

/// See [`super::decode`].
pub fn decode(bytes: &[u8]) -> Option<RgbImage> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let mut decoder = options.read_info(bytes).ok()?;
    let frame = decoder.next_frame_info().ok()??;
    let [left, top, across, down] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    let (transparent, local) = (frame.transparent, palette(frame.palette.as_deref()));
    let width = usize::from(decoder.width()).max(left + across);
    let height = usize::from(decoder.height()).max(top + down);
    if width.max(height) > MAX_SIDE as usize || (width * height) as u64 > MAX_PIXELS {
        return None;
    }
    let mut indices = vec![0; across * down];
    decoder.read_into_buffer(&mut indices).ok()?;

    // A local palette in which every index is its own shade of grey Pillow takes for none at all, and uses
    // the other one, if there is one.
    let global = palette(decoder.global_palette());
    let colours = colours(if is_ramp(&local) && !global.is_empty() { &global } else { &local });
    let around = colours[usize::from(transparent.unwrap_or(0))];
    let mut picture = RgbImage::from_pixel(u32::try_from(width).ok()?, u32::try_from(height).ok()?, around);
    for (y, row) in indices.chunks_exact(across.max(1)).enumerate() {
        for (x, &index) in row.iter().enumerate() {
            picture.put_pixel((left + x) as u32, (top + y) as u32, colours[usize::from(index)]);
        }
    }
    Some(picture)
}

/// The colours of a palette; none where there is no palette.
fn palette(bytes: Option<&[u8]>) -> Vec<[u8; 3]> {
    bytes.unwrap_or_default().chunks_exact(3).map(|entry| [entry[0], entry[1], entry[2]]).collect()
}
