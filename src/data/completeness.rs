//! Tells whether an image file was cut off, which some decoders hide by filling the rest with grey.
//!
//! A run should not train on half a picture that its owner believes whole. Pillow refuses a JPEG without its
//! end marker too; a PNG that lacks nothing but its end chunk it would read.

use image::ImageFormat;

/// False where a JPEG or PNG ends before its end marker. Other formats' decoders notice by themselves.
pub fn is_complete(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg_has_end(bytes),
        // The chunks are not walked: their checksums are the decoder's business.
        ImageFormat::Png => bytes.windows(4).rev().any(|window| window == b"IEND"),
        _ => true,
    }
}

/// True where the end marker follows the start of the first scan.
///
/// Within a scan a byte 0xff of the data is followed by 0x00, so that ff d9 can only be the marker. Before
/// the first scan it can also be part of a thumbnail, so the segments there are skipped by their lengths.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [0xff, marker, after @ ..] = rest {
        match (marker, after) {
            (0xff, _) => rest = &rest[1..],
            (&START_OF_SCAN, _) => return after.windows(2).rev().any(|w| w == END_OF_IMAGE),
            (0x01 | 0xd0..=0xd9, _) => rest = after,
            (_, [high, low, ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = after.get(length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    // Something between segments that is no marker: let the decoder judge.
    rest.windows(2).any(|window| window == END_OF_IMAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THUMBNAIL: &[u8] = &[0xff, 0xe1, 0, 6, 0xff, 0xd9, 0xff, 0xd9];
    const SCAN: &[u8] = &[0xff, 0xda, 0, 2, 1, 0xff, 0, 3];

    fn jpeg(parts: &[&[u8]]) -> bool {
        let mut bytes = vec![0xff, 0xd8];
        bytes.extend(parts.concat());
        is_complete(ImageFormat::Jpeg, &bytes)
    }

    #[test]
    fn a_jpeg_needs_its_end_marker_after_the_scan() {
        assert!(jpeg(&[SCAN, &[0xff, 0xd9]]));
        assert!(jpeg(&[SCAN, &[0xff, 0xd9], b"appended by a camera"]));
        assert!(!jpeg(&[SCAN]));
        assert!(!jpeg(&[SCAN, &[0xff]]));
    }

    #[test]
    fn the_end_marker_of_a_thumbnail_does_not_count() {
        assert!(!jpeg(&[THUMBNAIL, SCAN]));
        assert!(jpeg(&[THUMBNAIL, SCAN, &[0xff, 0xd9]]));
    }

    #[test]
    fn fill_bytes_before_a_marker_are_skipped() {
        assert!(!jpeg(&[&[0xff, 0xff], THUMBNAIL, SCAN]));
        assert!(jpeg(&[&[0xff, 0xff], THUMBNAIL, SCAN, &[0xff, 0xd9]]));
    }

    #[test]
    fn headers_that_end_early_are_incomplete() {
        for bytes in [&[][..], &[0xff], &[0xff, 0xd8], &[0xff, 0xd8, 0xff, 0xe1, 0xff]] {
            assert!(!is_complete(ImageFormat::Jpeg, bytes), "{bytes:?}");
        }
    }
}
