//! Images of the five formats that are read, taken apart into chunks, segments, blocks and fields and put together wrong.

mod bmp;
mod gif;
mod jpeg;
mod png;
mod webp;

use std::path::Path;

use sweep::data::image_file::{decode_rgb, inspect};
use sweep::data::{DifferenceHash, ImageProcessor, read_rgb};
use sweep::random::Random;

use super::bytes::{damage, one_in};
use super::{Input, Reached};

const FILE: &str = "image.png";

pub fn make(random: &mut Random) -> Input {
    let mut bytes = match random.below(10) {
        0..=2 => png::make(random),
        3..=5 => jpeg::make(random),
        6 => gif::make(random),
        7 => bmp::make(random),
        _ => webp::make(random),
    };
    if one_in(random, 20) {
        damage(&mut bytes, random);
    }
    Input::one(FILE, bytes, random)
}

pub fn feed(folder: &Path, input: &Input) -> Reached {
    let path = folder.join(FILE);
    let header = inspect(&path);
    let picture = match decode_rgb(&input.files[0].1) {
        Ok(picture) => picture,
        Err(error) => {
            let _ = error.to_string();
            return if header.is_ok() { Reached::Body } else { Reached::Header };
        }
    };
    let header = header.expect("what decodes has a header");
    let mut random = Random::new(input.choice, "processor", &[]);
    let side = |random: &mut Random| 1 + random.below(24) as u32;
    let processor =
        ImageProcessor { height: side(&mut random), width: side(&mut random), ..ImageProcessor::default() };
    let values = processor.process(&picture);
    assert_eq!(values.len(), 3 * (processor.height * processor.width) as usize);
    assert!(values.iter().all(|value| value.is_finite()));
    if picture.width() == header.0 && input.choice.is_multiple_of(16) {
        let again = read_rgb(&path).expect("it was decoded before");
        assert!(again == picture, "the file and its bytes are one picture");
        let _ = DifferenceHash::of(&picture);
    }
    Reached::Accepted
}
