//! Reads an [`ImageProcessor`] from the files of a model folder.
//!
//! A missing key takes its default and unknown keys are ignored, as in transformers. A switch that is null is
//! off there, so it is here; a size, mean or deviation that is null takes its default (transformers 4 says so,
//! 5 refuses it). A known key that would change the result in a way this program cannot follow is an error.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::processor::{CHANNELS, ImageProcessor};
use crate::record::bounded;

/// `PIL.Image.Resampling.BICUBIC`.
pub const BICUBIC: u64 = 3;
/// The names of Pillow's filters, by their number.
const FILTERS: [&str; 6] = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"];
/// Longest side that makes sense for a model's input, in pixels.
const MAX_SIDE: u64 = 4096;
/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a processor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    #[error(
        "{}: no preprocessor_config.json\nhint: copy it from the model's repository, or save it with \
         `BlipProcessor.save_pretrained`",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("{}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{}: `{key}` is {value}; {valid}", path.display())]
    Setting { path: PathBuf, key: String, value: Value, valid: String },
}

/// See [`ImageProcessor::load`].
pub fn load(folder: &Path) -> Result<ImageProcessor, ProcessorError> {
    // The joint file of transformers 5 comes first where it has an image processor, as it does there.
    let joint = folder.join("processor_config.json");
    if joint.exists()
        && let Some(Value::Object(settings)) = read_object(&joint)?.get("image_processor")
    {
        return Settings::new(&joint, settings).processor();
    }
    let own = folder.join("preprocessor_config.json");
    if !own.exists() {
        return Err(ProcessorError::Missing(folder.to_owned()));
    }
    Settings::new(&own, &read_object(&own)?).processor()
}

fn read_object(path: &Path) -> Result<Map<String, Value>, ProcessorError> {
    let unreadable = |reason: String| ProcessorError::Unreadable { path: path.to_owned(), reason };
    let text =
        bounded::read_bytes(path, MAX_FILE_BYTES).map_err(|e| unreadable(format!("cannot be read: {e}")))?;
    serde_json::from_slice(&text).map_err(|e| unreadable(format!("not a JSON object: {e}")))
}

/// The keys of one file, each read with its type checked.
struct Settings<'a> {
    path: &'a Path,
    keys: &'a Map<String, Value>,
}

impl<'a> Settings<'a> {
    fn new(path: &'a Path, keys: &'a Map<String, Value>) -> Self {
        Self { path, keys }
    }

    fn processor(&self) -> Result<ImageProcessor, ProcessorError> {
        let default = ImageProcessor::default();
        self.check_type()?;
        for key in ["do_center_crop", "do_pad"] {
            if self.flag(key, false)? {
                return Err(self.refused(key, "only false is supported"));
            }
        }
        // `do_convert_rgb` is read for its type alone: pictures are always RGB here, and transformers fails
        // on any other picture where it is false.
        self.flag("do_convert_rgb", true)?;
        let do_resize = self.flag("do_resize", default.do_resize)?;
        let do_rescale = self.flag("do_rescale", default.do_rescale)?;
        let (height, width) = self.size((default.height, default.width))?;
        if do_resize {
            self.check_filter()?;
        }
        if do_rescale && self.keys.get("rescale_factor").is_some_and(Value::is_null) {
            return Err(self.refused("rescale_factor", "it must be a number above 0"));
        }
        Ok(ImageProcessor {
            do_resize,
            height,
            width,
            do_rescale,
            rescale_factor: self.factor("rescale_factor", default.rescale_factor)?,
            do_normalize: self.flag("do_normalize", default.do_normalize)?,
            image_mean: self.channels("image_mean", default.image_mean, |_| true)?,
            image_std: self.channels("image_std", default.image_std, |std| std > 0.0)?,
        })
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    fn refused(&self, key: &str, valid: &str) -> ProcessorError {
        ProcessorError::Setting {
            path: self.path.to_owned(),
            key: key.to_owned(),
            value: self.keys.get(key).cloned().unwrap_or_default(),
            valid: valid.to_owned(),
        }
    }

    /// The class decides what the other keys default to and what they mean.
    fn check_type(&self) -> Result<(), ProcessorError> {
        const KEYS: [&str; 2] = ["image_processor_type", "feature_extractor_type"];
        let Some((key, kind)) = KEYS.into_iter().find_map(|key| Some((key, self.value(key)?))) else {
            return Ok(());
        };
        let kind = kind.as_str().unwrap_or_default().replace("FeatureExtractor", "ImageProcessor");
        if kind.strip_prefix("BlipImageProcessor").is_some_and(|end| ["", "Fast", "Pil"].contains(&end)) {
            return Ok(());
        }
        Err(self.refused(key, "only BlipImageProcessor is supported"))
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ProcessorError> {
        match self.keys.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.refused(key, "it must be true or false")),
        }
    }

    fn factor(&self, key: &str, default: f64) -> Result<f64, ProcessorError> {
        match self.value(key).map(Value::as_f64) {
            None => Ok(default),
            Some(Some(factor)) if factor.is_finite() && factor > 0.0 => Ok(factor),
            Some(_) => Err(self.refused(key, "it must be a number above 0")),
        }
    }

    /// One number for each channel; a single number holds for all of them.
    fn channels(
        &self,
        key: &str,
        default: [f64; CHANNELS],
        is_valid: fn(f64) -> bool,
    ) -> Result<[f64; CHANNELS], ProcessorError> {
        let numbers = match self.value(key) {
            None => return Ok(default),
            Some(Value::Array(items)) => items.iter().map(Value::as_f64).collect(),
            Some(single) => single.as_f64().map(|number| vec![number; CHANNELS]),
        };
        numbers
            .filter(|numbers: &Vec<f64>| numbers.iter().all(|&n| is_valid(n)))
            .and_then(|numbers| numbers.try_into().ok())
            .ok_or_else(|| self.refused(key, "it must be three numbers; deviations above 0"))
    }

    /// Height and width: a number for a square, `[height, width]`, or a mapping with `height` and `width`.
    fn size(&self, default: (u32, u32)) -> Result<(u32, u32), ProcessorError> {
        let side = |value: &Value| match value.as_u64() {
            Some(side @ 1..=MAX_SIDE) => u32::try_from(side).ok(),
            _ => None,
        };
        let size = match self.value("size") {
            None => return Ok(default),
            Some(Value::Array(sides)) => match sides.as_slice() {
                [height, width] => side(height).zip(side(width)),
                _ => None,
            },
            Some(Value::Object(sides)) => {
                let given = |key: &str| sides.get(key).filter(|value| !value.is_null());
                let has_other_rule = ["shortest_edge", "longest_edge", "max_height", "max_width"]
                    .into_iter()
                    .any(|key| given(key).is_some());
                let both = given("height").zip(given("width"));
                both.filter(|_| !has_other_rule).and_then(|(height, width)| side(height).zip(side(width)))
            }
            Some(single) if self.flag("default_to_square", true)? => side(single).map(|side| (side, side)),
            // Here a number would mean the shorter side, with the aspect ratio kept.
            Some(_) => None,
        };
        size.ok_or_else(|| {
            let valid = format!(
                "it must be a side in pixels for a square, or a mapping with `height` and `width`, each from 1 to {MAX_SIDE}"
            );
            self.refused("size", &valid)
        })
    }

    fn check_filter(&self) -> Result<(), ProcessorError> {
        let number = match self.keys.get("resample") {
            None => return Ok(()),
            Some(value) => value.as_u64(),
        };
        if number == Some(BICUBIC) {
            return Ok(());
        }
        let filter = number.and_then(|number| FILTERS.get(usize::try_from(number).ok()?));
        let named = filter.map_or(String::new(), |name| format!(", not {name}"));
        Err(self.refused("resample", &format!("only {BICUBIC} (bicubic) is supported{named}")))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn loaded(file: &str, text: &str) -> Result<ImageProcessor, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file), text).unwrap();
        let place = folder.path().display().to_string();
        load(folder.path()).map_err(|error| error.to_string().replace(&place, "DIR"))
    }

    fn parsed(text: &str) -> Result<ImageProcessor, String> {
        loaded("preprocessor_config.json", text)
    }

    #[test]
    fn missing_and_unknown_keys_leave_the_defaults_and_so_do_sizes_and_means_that_are_null() {
        let default = ImageProcessor::default();
        assert_eq!(parsed("{}").unwrap(), default);
        let text = r#"{"size": null, "image_mean": null, "image_std": null, "crop": 7}"#;
        assert_eq!(parsed(text).unwrap(), default);
    }

    #[test]
    fn a_switch_that_is_null_is_off_as_in_transformers() {
        let off =
            parsed(r#"{"do_resize": null, "do_rescale": null, "do_normalize": null, "resample": null}"#);
        let off = off.unwrap();
        assert_eq!((off.do_resize, off.do_rescale, off.do_normalize), (false, false, false));
        let side = parsed(r#"{"size": 9, "default_to_square": null}"#).unwrap_err();
        assert!(side.contains("`size` is 9"), "{side}");
    }

    #[test]
    fn the_file_of_the_hub_gives_the_default_processor() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/blip-base");
        if !folder.exists() {
            eprintln!("skipped: {} is not there", folder.display());
            return;
        }
        assert_eq!(load(&folder).unwrap(), ImageProcessor::default());
    }

    #[test]
    fn the_size_is_a_number_a_pair_or_a_mapping() {
        let size = |text: &str| parsed(&format!(r#"{{"size": {text}}}"#)).map(|p| (p.height, p.width));
        assert_eq!(size("224").unwrap(), (224, 224));
        assert_eq!(size("[20, 30]").unwrap(), (20, 30));
        assert_eq!(size(r#"{"height": 20, "width": 30, "shortest_edge": null}"#).unwrap(), (20, 30));
        let refused = [
            "0",
            "-1",
            "4097",
            "3.5",
            "\"384\"",
            "[1]",
            "true",
            "{}",
            r#"{"height": 20}"#,
            r#"{"shortest_edge": 20}"#,
            r#"{"height": 2, "width": 3, "longest_edge": 4}"#,
        ];
        for text in refused {
            let message = size(text).unwrap_err();
            let start = "DIR/preprocessor_config.json: `size` is ";
            assert!(message.starts_with(start), "{text}: {message}");
            assert!(message.ends_with("each from 1 to 4096"), "{text}: {message}");
        }
    }

    #[test]
    fn what_would_change_the_result_unseen_is_refused_by_name() {
        let refused = [
            (r#"{"resample": 2}"#, "`resample` is 2; only 3 (bicubic) is supported, not bilinear"),
            (r#"{"resample": 9}"#, "`resample` is 9; only 3 (bicubic) is supported"),
            (r#"{"resample": "x"}"#, "`resample` is \"x\"; only 3 (bicubic) is supported"),
            (r#"{"resample": null}"#, "`resample` is null; only 3 (bicubic) is supported"),
            (r#"{"rescale_factor": null}"#, "`rescale_factor` is null; it must be a number above 0"),
            (
                r#"{"image_processor_type": "CLIPImageProcessor"}"#,
                "`image_processor_type` is \"CLIPImageProcessor\"; only BlipImageProcessor is supported",
            ),
            (r#"{"do_center_crop": true}"#, "`do_center_crop` is true; only false is supported"),
            (r#"{"do_pad": true}"#, "`do_pad` is true; only false is supported"),
            (r#"{"do_rescale": 1}"#, "`do_rescale` is 1; it must be true or false"),
            (r#"{"rescale_factor": 0}"#, "`rescale_factor` is 0; it must be a number above 0"),
            (
                r#"{"image_std": [1, 0, 1]}"#,
                "`image_std` is [1,0,1]; it must be three numbers; deviations above 0",
            ),
            (
                r#"{"image_mean": [1, 2]}"#,
                "`image_mean` is [1,2]; it must be three numbers; deviations above 0",
            ),
            (r#"{"image_mean": "x"}"#, "`image_mean` is \"x\"; it must be three numbers; deviations above 0"),
        ];
        for (text, message) in refused {
            let expected = format!("DIR/preprocessor_config.json: {message}");
            assert_eq!(parsed(text).unwrap_err(), expected);
        }
        let square = parsed(r#"{"size": 9, "default_to_square": false}"#);
        assert!(square.unwrap_err().contains("`size` is 9"));
    }

    #[test]
    fn a_filter_is_of_no_matter_where_nothing_is_resized() {
        assert!(!parsed(r#"{"do_resize": false, "resample": 2}"#).unwrap().do_resize);
    }

    #[test]
    fn one_number_for_all_channels_is_repeated() {
        let processor = parsed(r#"{"image_mean": 0.5, "image_std": 0.25}"#).unwrap();
        assert_eq!(processor.image_mean, [0.5; 3]);
        assert_eq!(processor.image_std, [0.25; 3]);
    }

    #[test]
    fn the_joint_file_of_transformers_5_is_read_where_the_own_file_is_missing() {
        let text =
            r#"{"image_processor": {"size": {"height": 8, "width": 9}}, "processor_class": "BlipProcessor"}"#;
        let processor = loaded("processor_config.json", text).unwrap();
        assert_eq!((processor.height, processor.width), (8, 9));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("processor_config.json"), text).unwrap();
        fs::write(folder.path().join("preprocessor_config.json"), r#"{"size": 7}"#).unwrap();
        assert_eq!(load(folder.path()).unwrap().height, 8, "the joint file comes first, as in transformers");
        fs::write(folder.path().join("processor_config.json"), "{}").unwrap();
        assert_eq!(load(folder.path()).unwrap().height, 7);
        let refused = loaded("processor_config.json", r#"{"image_processor": {"do_pad": true}}"#);
        assert!(refused.unwrap_err().starts_with("DIR/processor_config.json: `do_pad`"));
    }

    #[test]
    fn files_that_are_missing_or_no_object_are_refused_by_name() {
        assert!(
            loaded("other.json", "{}").unwrap_err().starts_with("DIR: no preprocessor_config.json\nhint: ")
        );
        for text in ["", "[]", "{", "3", "\u{feff}{}"] {
            let message = parsed(text).unwrap_err();
            assert!(message.starts_with("DIR/preprocessor_config.json: not a JSON object: "), "{message}");
        }
    }
}
