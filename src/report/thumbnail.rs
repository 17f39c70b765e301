//! Small pictures inside the page.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageReader, Limits, Rgb, RgbImage};
use thiserror::Error;

use crate::record::bounded;

/// Longest side in pixels: twice what the page shows, for sharp screens.
const LONGEST_SIDE: u32 = 320;
const JPEG_QUALITY: u8 = 82;
/// Pictures beyond this in either direction are not decoded.
const MAX_SIDE: u32 = 20_000;

#[derive(Debug, Error)]
pub enum ThumbnailError {
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Picture { path: PathBuf, source: image::ImageError },
}

/// The picture as a `data:` URL of a small JPEG.
pub fn thumbnail(path: &Path) -> Result<String, ThumbnailError> {
    thumbnail_of(path, LONGEST_SIDE)
}

/// The same with another longest side in pixels.
pub fn thumbnail_of(path: &Path, longest_side: u32) -> Result<String, ThumbnailError> {
    let broken = |source| ThumbnailError::Picture { path: path.to_owned(), source };
    let picture = decode(path)?;
    let small = if picture.width().max(picture.height()) > longest_side {
        picture.thumbnail(longest_side, longest_side)
    } else {
        picture
    };
    let mut bytes = Cursor::new(Vec::new());
    on_white(&small)
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
        .map_err(broken)?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes.into_inner())))
}

fn decode(path: &Path) -> Result<DynamicImage, ThumbnailError> {
    let unreadable = |source| ThumbnailError::Read { path: path.to_owned(), source };
    bounded::check_regular(path).map_err(unreadable)?;
    let mut reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(unreadable)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    reader.decode().map_err(|source| ThumbnailError::Picture { path: path.to_owned(), source })
}

/// JPEG has no transparency.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let pixels = picture.to_rgba8();
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0;
        let blend =
            |value: u8| ((u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha))) / 255) as u8;
        Rgb([red, green, blue].map(blend))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    #[test]
    fn large_pictures_shrink_and_transparent_ones_lie_on_white() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        RgbaImage::from_pixel(640, 320, Rgba([0, 0, 0, 0])).save(&path).unwrap();
        let url = thumbnail(&path).unwrap();
        let bytes = STANDARD.decode(url.strip_prefix("data:image/jpeg;base64,").unwrap()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!((picture.width(), picture.height()), (320, 160));
        assert!(picture.pixels().all(|pixel| pixel.0.iter().all(|&channel| channel > 250)));
    }

    #[test]
    fn a_missing_or_broken_picture_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        assert!(thumbnail(&path).unwrap_err().to_string().contains("a.png: cannot be read"));
        std::fs::write(&path, "not a picture").unwrap();
        assert!(thumbnail(&path).unwrap_err().to_string().contains("a.png: "));
    }
}
