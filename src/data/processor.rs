//! Turns a picture into the model's input exactly as transformers' `BlipImageProcessor` does.
//!
//! RGB, bicubic resize to a fixed size (the aspect ratio is not kept), rescale to `[0, 1]`, normalise each
//! channel, channels first. [`ImageProcessor`] is read from `preprocessor_config.json`; what it asks for and
//! this program does not do is refused by name. The values equal those of the class that works with Pillow 13
//! to the last bit. The torchvision class, which transformers 5 takes where torchvision is installed, differs
//! from that class by one or two units of 255 in 0.2 to 0.5 % of a photograph's samples; where Pillow 13 begins
//! with the height (see [`super::resample`]) in about a quarter of them, by up to 13.

use std::path::Path;

use image::RgbImage;
use serde_json::{Value, json};

use super::processor_config::{self, ProcessorError};
use super::resample::resize_bicubic;

/// Channels of a picture: red, green, blue.
pub const CHANNELS: usize = 3;
/// Rises whenever the same file comes to other values, however it is decoded, resized and normalised: what was computed of
/// the old ones is kept under this number.
pub const VERSION: u32 = 1;
/// Mean and standard deviation of the pictures CLIP was trained on, which BLIP took over.
const IMAGE_MEAN: [f64; CHANNELS] = [0.48145466, 0.4578275, 0.40821073];
const IMAGE_STD: [f64; CHANNELS] = [0.26862954, 0.26130258, 0.27577711];

/// The settings of a processor; missing ones have the values that `BlipImageProcessor` gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessor {
    pub do_resize: bool,
    /// Pixels.
    pub height: u32,
    /// Pixels.
    pub width: u32,
    pub do_rescale: bool,
    pub rescale_factor: f64,
    pub do_normalize: bool,
    pub image_mean: [f64; CHANNELS],
    pub image_std: [f64; CHANNELS],
}

impl Default for ImageProcessor {
    fn default() -> Self {
        Self {
            do_resize: true,
            height: 384,
            width: 384,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: IMAGE_MEAN,
            image_std: IMAGE_STD,
        }
    }
}

impl ImageProcessor {
    /// The default processor for square inputs of `side` pixels.
    pub fn square(side: u32) -> Self {
        Self { height: side, width: side, ..Self::default() }
    }

    /// Reads the processor of a model folder: `preprocessor_config.json`, or `processor_config.json` as
    /// transformers 5 writes it.
    ///
    /// # Errors
    /// Where neither can be read, or a setting asks for what this program does not do; the error names file
    /// and key.
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        processor_config::load(folder)
    }

    /// The settings as `preprocessor_config.json` holds them.
    pub fn to_json(&self) -> Value {
        json!({
            "image_processor_type": "BlipImageProcessor",
            "processor_class": "BlipProcessor",
            "do_convert_rgb": true,
            "do_resize": self.do_resize,
            "size": {"height": self.height, "width": self.width},
            "resample": processor_config::BICUBIC,
            "do_rescale": self.do_rescale,
            "rescale_factor": self.rescale_factor,
            "do_normalize": self.do_normalize,
            "image_mean": self.image_mean,
            "image_std": self.image_std,
        })
    }

    /// The picture's values, channels first: `3 x height x width`, row by row. Without `do_resize` height and
    /// width are the picture's own.
    pub fn process(&self, picture: &RgbImage) -> Vec<f32> {
        if self.do_resize && picture.dimensions() != (self.width, self.height) {
            self.values(&resize_bicubic(picture, self.width, self.height))
        } else {
            self.values(picture)
        }
    }

    fn values(&self, picture: &RgbImage) -> Vec<f32> {
        let mut values = Vec::with_capacity(picture.len());
        for channel in 0..CHANNELS {
            let table = self.table(channel);
            let samples = picture.iter().skip(channel).step_by(CHANNELS);
            values.extend(samples.map(|&sample| table[usize::from(sample)]));
        }
        values
    }

    /// What each of the 256 samples of a channel becomes.
    ///
    /// Rescaling multiplies in f64 and rounds to f32, normalising works in f32: the order of
    /// `transformers.image_transforms`.
    fn table(&self, channel: usize) -> [f32; 256] {
        let mean = self.image_mean[channel] as f32;
        let std = self.image_std[channel] as f32;
        std::array::from_fn(|sample| {
            let sample = sample as f64;
            let value = if self.do_rescale { (sample * self.rescale_factor) as f32 } else { sample as f32 };
            if self.do_normalize { (value - mean) / std } else { value }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::data::image_file::read_rgb;

    fn fixture(name: &str) -> std::path::PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/processor");
        folder.join(name)
    }

    /// `pictures.json`, written by `tests/reference/processor.py` with Pillow and transformers.
    fn reference() -> Value {
        serde_json::from_slice(&fs::read(fixture("pictures.json")).unwrap()).unwrap()
    }

    fn sha256(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn digest_of_values(values: &[f32]) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        sha256(&bytes)
    }

    #[test]
    fn every_lossless_picture_equals_pillow_and_transformers_to_the_last_bit() {
        let reference = reference();
        let side = u32::try_from(reference["side"].as_u64().unwrap()).unwrap();
        let cases = reference["lossless"].as_array().unwrap();
        assert!(cases.len() >= 25, "only {} cases", cases.len());
        let mut wrong = Vec::new();
        for case in cases {
            let name = case["file"].as_str().unwrap();
            let picture = read_rgb(&fixture(name)).unwrap();
            let resized = resize_bicubic(&picture, side, side);
            let values = ImageProcessor::square(side).process(&picture);
            let stages = [
                ("rgb", sha256(&picture)),
                ("resized", sha256(&resized)),
                ("values", digest_of_values(&values)),
            ];
            let differing = stages.into_iter().find(|(stage, digest)| case[stage] != **digest);
            wrong.extend(differing.map(|(stage, _)| format!("{name}: {stage}")));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_setting_is_honoured_as_transformers_does() {
        let picture = read_rgb(&fixture("exact_down.png")).unwrap();
        for case in reference()["settings"].as_array().unwrap() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("preprocessor_config.json");
            fs::write(path, case["settings"].to_string()).unwrap();
            let values = ImageProcessor::load(folder.path()).unwrap().process(&picture);
            assert_eq!(case["values"], *digest_of_values(&values), "{}", case["settings"]);
        }
    }

    #[test]
    fn rescaling_by_the_default_factor_equals_a_division_by_255() {
        let processor = ImageProcessor { do_normalize: false, ..ImageProcessor::default() };
        let table = processor.table(0);
        for (sample, value) in table.into_iter().enumerate() {
            assert_eq!(value, sample as f32 / 255.0);
        }
    }

    #[test]
    fn channels_come_one_after_the_other_row_by_row() {
        let picture = RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let processor = ImageProcessor {
            do_resize: false,
            do_rescale: false,
            do_normalize: false,
            ..ImageProcessor::default()
        };
        assert_eq!(processor.process(&picture), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn written_settings_are_read_back_unchanged() {
        let processor = ImageProcessor {
            do_rescale: false,
            rescale_factor: 0.1,
            width: 65,
            image_std: [0.1, 0.2, 0.7],
            ..ImageProcessor::square(64)
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preprocessor_config.json");
        fs::write(path, processor.to_json().to_string()).unwrap();
        assert_eq!(ImageProcessor::load(folder.path()).unwrap(), processor);
    }
}
