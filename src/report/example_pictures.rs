//! The pictures and captions of the made-up sweep: figures in clothes of two colours.

use std::fs;
use std::ops::Range;
use std::path::Path;

use image::{Rgb, RgbImage};

const COLOURS: [(&str, [u8; 3]); 6] = [
    ("red", [196, 52, 48]),
    ("blue", [54, 92, 190]),
    ("green", [62, 140, 78]),
    ("yellow", [226, 190, 60]),
    ("black", [44, 44, 48]),
    ("pink", [226, 140, 170]),
];

pub fn file_name(image: usize) -> String {
    format!("figure_{image:05}.png")
}

fn colours_of(image: usize) -> [(&'static str, [u8; 3]); 2] {
    [COLOURS[image % 6], COLOURS[(image / 6 + 2) % 6]]
}

pub fn caption_of(image: usize) -> String {
    let [(upper, _), (lower, _)] = colours_of(image);
    let sleeves = if image.is_multiple_of(2) { "long" } else { "short" };
    format!(
        "The upper clothing has {sleeves} sleeves, cotton fabric and solid {upper} color patterns. The neckline is \
         round. The lower clothing is of three-point length. The fabric is denim and it has {lower} patterns."
    )
}

/// A figure in two colours for every test image.
pub fn draw_images(folder: &Path, images: Range<usize>) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for image in images {
        let [(_, upper), (_, lower)] = colours_of(image);
        let sleeve = if image.is_multiple_of(2) { 36 } else { 20 };
        let picture = RgbImage::from_fn(128, 160, |x, y| {
            let (dx, y) = (x.abs_diff(64), y);
            let is_head = (i64::from(dx).pow(2) + (i64::from(y) - 26).pow(2)) < 220;
            let rgb = match y {
                _ if is_head => [222, 184, 150],
                42..=92 if dx < 20 => upper,
                42..=60 if dx < sleeve => upper,
                93..=148 if dx < 18 && dx > 2 => lower,
                _ => [232, 234, 228],
            };
            Rgb(rgb)
        });
        picture.save(folder.join(file_name(image)))?;
    }
    Ok(())
}
