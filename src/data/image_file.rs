//! Reads an image file into 8-bit RGB, within limits and without trust.
//!
//! The colours are those of Pillow's `Image.open(path).convert("RGB")`: grey is replicated, palettes are
//! looked up, alpha is dropped (the colour beneath it stays; transformers 5 paints it white, if it is handed
//! a picture that was not converted before), 16-bit colour keeps its high byte while 16-bit grey is clipped
//! to 255, of an animation the first frame counts, and the orientation in EXIF is not applied. The format is
//! told by the content; the file's extension does not matter.
//!
//! All formats decode as in Pillow 13 to the last bit, JPEG included (`decoders`). What our own decoders do
//! not cover, damaged and arithmetically coded files and such, is left to the `image` crate.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::{fs, io};

use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use sha2::{Digest as _, Sha256};

use super::completeness::is_complete;
use super::contain;
use super::decoders;
use super::problems::shown_path;
use super::share::{SMALL, Share};
use crate::record::bounded;

/// Longest side that is read, in pixels.
pub const MAX_SIDE: u32 = 20_000;
/// Most pixels that are read: where Pillow begins to warn of decompression bombs. All that decoding takes, the file
/// included, then fits into a gigabyte.
pub const MAX_PIXELS: u64 = 89_478_485;
/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Most bytes that a decoder may allocate.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// SHA-256 of a file.
pub type Digest = [u8; 32];

/// Why an image file is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", shown_path(path))]
pub struct ImageFileError {
    pub path: PathBuf,
    pub problem: ImageProblem,
}

/// What is wrong with an image file.
#[derive(Debug, thiserror::Error)]
pub enum ImageProblem {
    #[error("no such file")]
    Missing,
    #[error("not a regular file")]
    NotAFile,
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("the file has {0} bytes; at most {MAX_FILE_BYTES} are read")]
    FileTooLarge(u64),
    #[error("not an image of a supported format (JPEG, PNG, GIF, BMP, WebP)")]
    UnknownFormat,
    #[error("{0} x {1} pixels are too many; at most {MAX_SIDE} a side and {MAX_PIXELS} in all are read")]
    TooManyPixels(u32, u32),
    #[error("it is too large; at most {MAX_SIDE} pixels a side and {MAX_PIXELS} in all are read")]
    BeyondLimits,
    #[error("it is not the file that it was when the run began; it changed meanwhile")]
    Changed,
    #[error("the file is cut off")]
    Truncated,
    #[error("cannot be decoded: {0}")]
    Broken(String),
}

/// Reads the whole image.
pub fn read_rgb(path: &Path) -> Result<RgbImage, ImageFileError> {
    with_rgb(path, None, |picture| picture)
}

/// What `look` makes of the whole image, whose file must have this digest if one is given. Large pictures wait for room
/// in memory, which `look` may use as well: on many threads at once this is the way to read them.
pub fn with_rgb<T>(
    path: &Path,
    digest: Option<&Digest>,
    look: impl FnOnce(RgbImage) -> T,
) -> Result<T, ImageFileError> {
    let read = || {
        let share = Share::take(length(path)?);
        let mut bytes = read_bytes(path)?;
        let needed = contained(|| needed(&bytes))?;
        // Nobody waits who holds memory already: a large picture's file is read again once there is room.
        let length = bytes.len() as u64;
        if needed + length >= SMALL {
            bytes = Vec::new();
        }
        drop(share);
        let _share = Share::take(needed + length);
        if bytes.is_empty() {
            bytes = read_bytes(path)?;
        }
        if digest.is_some_and(|digest| Sha256::digest(&bytes)[..] != digest[..]) {
            return Err(ImageProblem::Changed);
        }
        let picture = contained(|| decode(&bytes))?;
        drop(bytes);
        Ok(look(picture))
    };
    read().map_err(|problem| named(path, problem))
}

/// Bytes beyond those of the file that decoding it takes at most, from its header.
fn needed(bytes: &[u8]) -> Result<u64, ImageProblem> {
    let decoder = open(bytes)?;
    let (width, height) = decoder.dimensions();
    // A JPEG's coefficients, or what another decoder makes; then the picture.
    Ok(decoder.total_bytes().max(6 * u64::from(width) * u64::from(height)).min(MAX_DECODED_BYTES)
        + 3 * u64::from(width) * u64::from(height))
}

/// Width and height in pixels, from the header; the file must also be there to its end. Decodes no pixel.
pub fn inspect(path: &Path) -> Result<(u32, u32), ImageFileError> {
    let inspect = || {
        let _share = Share::take(length(path)?);
        let bytes = read_bytes(path)?;
        contained(|| Ok(open(&bytes)?.dimensions()))
    };
    inspect().map_err(|problem| named(path, problem))
}

/// Decodes an image that is already in memory, by the same rules as [`read_rgb`].
pub fn decode_rgb(bytes: &[u8]) -> Result<RgbImage, ImageProblem> {
    contained(|| decode(bytes))
}

/// The bytes of a regular file of bounded size.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, ImageProblem> {
    length(path)?;
    bounded::read_bytes(path, MAX_FILE_BYTES).map_err(unreadable)
}

/// The length of a regular file of bounded size.
fn length(path: &Path) -> Result<u64, ImageProblem> {
    // The kind of file is looked at first: opening a named pipe would wait for ever.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    match metadata.len() {
        _ if !metadata.is_file() => Err(ImageProblem::NotAFile),
        0 => Err(ImageProblem::Empty),
        length if length > MAX_FILE_BYTES => Err(ImageProblem::FileTooLarge(length)),
        length => Ok(length),
    }
}

fn unreadable(error: io::Error) -> ImageProblem {
    match error.kind() {
        io::ErrorKind::NotFound => ImageProblem::Missing,
        _ => ImageProblem::Unreadable(error),
    }
}

/// SHA-256 of a file, read piece by piece.
pub fn file_digest(path: &Path) -> Result<Digest, ImageProblem> {
    length(path)?;
    let mut hash = Sha256::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    io::copy(&mut file.take(MAX_FILE_BYTES), &mut hash).map_err(unreadable)?;
    Ok(hash.finalize().into())
}

fn named(path: &Path, problem: ImageProblem) -> ImageFileError {
    ImageFileError { path: path.to_owned(), problem }
}

/// Runs a decoder; a panic in it is an error of the file.
fn contained<T>(decode: impl FnOnce() -> Result<T, ImageProblem>) -> Result<T, ImageProblem> {
    contain::contained(decode)
        .unwrap_or_else(|| Err(ImageProblem::Broken("the decoder gave up on its content".into())))
}

/// A decoder that has read the header of a complete file within limits.
fn open(bytes: &[u8]) -> Result<impl ImageDecoder + '_, ImageProblem> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(ImageProblem::Unreadable)?;
    let format = reader.format().ok_or(ImageProblem::UnknownFormat)?;
    if !format.reading_enabled() {
        return Err(ImageProblem::UnknownFormat);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(ImageProblem::TooManyPixels(width, height));
    }
    if pixels == 0 {
        return Err(ImageProblem::Broken("it has no pixels".into()));
    }
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(ImageProblem::TooManyPixels(width, height));
    }
    if !is_complete(format, bytes) {
        return Err(ImageProblem::Truncated);
    }
    Ok(decoder)
}

fn decode(bytes: &[u8]) -> Result<RgbImage, ImageProblem> {
    let decoder = open(bytes)?;
    if let Ok(format) = image::guess_format(bytes)
        && let Some(picture) = decoders::decode(format, bytes, MAX_DECODED_BYTES)
    {
        return Ok(picture);
    }
    let clips = is_sixteen_bit_grey(bytes, decoder.color_type());
    let picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    Ok(to_rgb(picture, clips))
}

fn broken(error: image::ImageError) -> ImageProblem {
    match error {
        image::ImageError::Limits(_) => ImageProblem::BeyondLimits,
        error => ImageProblem::Broken(error.to_string()),
    }
}

/// True for 16-bit PNGs without colour and without an alpha channel of their own, which Pillow clips instead
/// of scaling.
fn is_sixteen_bit_grey(bytes: &[u8], color: ColorType) -> bool {
    /// Where the header chunk of a PNG says its colour type; 0 is grey, with or without a transparent shade.
    const COLOR_TYPE_OFFSET: usize = 25;
    match color {
        ColorType::L16 => true,
        ColorType::La16 => {
            image::guess_format(bytes).ok() == Some(ImageFormat::Png)
                && bytes.get(COLOR_TYPE_OFFSET) == Some(&0)
        }
        _ => false,
    }
}

/// Pillow's `convert("RGB")`.
fn to_rgb(picture: DynamicImage, clips: bool) -> RgbImage {
    let (width, height) = (picture.width(), picture.height());
    let narrow = |value: u16| {
        if clips { value.min(255) as u8 } else { (value >> 8) as u8 }
    };
    match picture {
        DynamicImage::ImageLuma16(grey) => {
            RgbImage::from_fn(width, height, |x, y| image::Rgb([narrow(grey.get_pixel(x, y).0[0]); 3]))
        }
        DynamicImage::ImageLumaA16(grey) => {
            RgbImage::from_fn(width, height, |x, y| image::Rgb([narrow(grey.get_pixel(x, y).0[0]); 3]))
        }
        DynamicImage::ImageRgb16(colour) => {
            RgbImage::from_fn(width, height, |x, y| image::Rgb(colour.get_pixel(x, y).0.map(narrow)))
        }
        DynamicImage::ImageRgba16(colour) => RgbImage::from_fn(width, height, |x, y| {
            let [r, g, b, _] = colour.get_pixel(x, y).0;
            image::Rgb([r, g, b].map(narrow))
        }),
        eight_bit => eight_bit.into_rgb8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/processor");
        folder.join(name)
    }

    #[test]
    fn jpegs_and_lossy_webp_decode_as_in_pillow_to_the_last_bit() {
        let names = ["444.jpg", "420.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "webp.webp"];
        for name in names {
            let (stem, _) = name.split_once('.').unwrap();
            let ours = read_rgb(&fixture(&format!("lossy_{name}"))).unwrap();
            let pillow = read_rgb(&fixture(&format!("pillow_lossy_{stem}.png"))).unwrap();
            assert!(ours == pillow, "{name}");
        }
    }

    #[test]
    fn of_an_animated_webp_the_first_frame_counts_as_in_pillow_to_the_last_bit() {
        for name in ["animation_lossless", "animation_lossy"] {
            let ours = read_rgb(&fixture(&format!("{name}.webp"))).unwrap();
            let pillow = read_rgb(&fixture(&format!("pillow_{name}.png"))).unwrap();
            assert!(ours == pillow, "{name}");
            // Of a frame that is cut off nothing is left.
            let bytes = fs::read(fixture(&format!("{name}.webp"))).unwrap();
            assert!(decode_rgb(&bytes[..100]).is_err(), "{name}");
        }
    }

    /// A file that is refused, and how.
    fn refused(name: &str, bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let decoding = read_rgb(&path).unwrap_err().to_string();
        let inspection = inspect(&path).map_or_else(|error| error.to_string(), |_| decoding.clone());
        assert_eq!(inspection, decoding);
        decoding.replace(&folder.path().display().to_string(), "DIR")
    }

    #[test]
    fn files_that_are_no_images_are_refused_by_name() {
        assert_eq!(refused("a.png", b""), "DIR/a.png: the file is empty");
        let unknown = "not an image of a supported format (JPEG, PNG, GIF, BMP, WebP)";
        assert_eq!(refused("b.jpg", b"<html>404</html>"), format!("DIR/b.jpg: {unknown}"));
        assert_eq!(refused("c.tif", b"II*\0\x08\0\0\0"), format!("DIR/c.tif: {unknown}"));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read_rgb(&folder.path().join("no.png")).unwrap_err();
        assert!(missing.to_string().ends_with("no.png: no such file"));
        assert!(matches!(read_rgb(folder.path()).unwrap_err().problem, ImageProblem::NotAFile));
    }

    #[test]
    fn cut_off_files_are_refused_wherever_they_are_cut() {
        let fixtures =
            ["exact_same.png", "lossy_420.jpg", "exact_gif.gif", "exact_bitmap.bmp", "exact_webp.webp"];
        for name in fixtures {
            let whole = fs::read(fixture(name)).unwrap();
            for kept in [4, 20, 60, whole.len() / 2, whole.len() - 13] {
                let result = decode_rgb(&whole[..kept]);
                assert!(result.is_err(), "{name} cut to {kept} of {}", whole.len());
            }
        }
    }

    #[test]
    fn damaged_files_give_an_error_or_a_picture_but_no_panic() {
        let fixtures = [
            "exact_same.png",
            "lossy_420.jpg",
            "lossy_progressive.jpg",
            "exact_gif.gif",
            "exact_bitmap.bmp",
            "exact_webp.webp",
            "lossy_webp.webp",
            "exact_palette.png",
        ];
        for name in fixtures {
            let whole = fs::read(fixture(name)).unwrap();
            for position in (0..whole.len()).step_by(7) {
                let mut damaged = whole.clone();
                damaged[position] ^= 0x55;
                let _ = decode_rgb(&damaged);
            }
        }
    }

    #[test]
    fn a_decoder_that_panics_is_an_error_of_the_file() {
        let result: Result<(), ImageProblem> = contained(|| panic!("as a decoder might"));
        assert!(matches!(result, Err(ImageProblem::Broken(_))));
    }

    #[test]
    fn a_decompression_bomb_is_refused_from_its_header() {
        // The header of a PNG of 60000 x 60000 pixels, put into a small one; its checksum is made to fit.
        for (width, height) in [(60_000u32, 60_000u32), (20_001, 1), (19_000, 19_000)] {
            let mut bytes = fs::read(fixture("exact_same.png")).unwrap();
            bytes[16..20].copy_from_slice(&width.to_be_bytes());
            bytes[20..24].copy_from_slice(&height.to_be_bytes());
            let checksum = crc32(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
            let message = refused("bomb.png", &bytes);
            let expected =
                format!("DIR/bomb.png: {width} x {height} pixels are too many; at most 20000 a side");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    /// The checksum of PNG chunks, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |state, &byte| {
            (0..8).fold(state ^ u32::from(byte), |s, _| (s >> 1) ^ (0xedb8_8320 & (s & 1).wrapping_neg()))
        })
    }

    #[test]
    fn the_content_tells_the_format_and_the_extension_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("really_a_png.jpg");
        fs::copy(fixture("exact_down.png"), &path).unwrap();
        assert_eq!(inspect(&path).unwrap(), (97, 61));
        assert_eq!(read_rgb(&path).unwrap(), read_rgb(&fixture("exact_down.png")).unwrap());
    }
}
