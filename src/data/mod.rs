//! Images and captions from files to plain numbers; nothing here knows a tensor or a model.
//!
//! Captions and images: [`dataset`] (splits and checks), [`mod@digest`], [`captions`] (the file), [`caption_forms`] (the
//! forms that it may have), [`caption_files`] (captions to be scored), [`parquet`] (captions with their images), [`convert`]
//! (one form into another), `split` and [`mt19937`] (the seeded split), [`problems`] (all faults in one error).
//! Pictures: [`image_file`], `decoders` and [`completeness`] (decoding), [`processor`], [`processor_config`] and
//! [`resample`] (the model's input), [`pixels`] (many at once), [`augmentation`], [`difference_hash`], [`fingerprint`]. Text: [`tokenizer`],
//! [`tokenizer_build`] and [`tokenizer_config`], [`batch`], [`wording`]. Panics of other crates: `contain`; memory: `share`. What
//! the model makes of images, kept on disk as plain numbers: [`feature_cache`].

pub mod augmentation;
pub mod batch;
pub mod caption_files;
pub mod caption_forms;
pub mod captions;
pub mod completeness;
mod contain;
pub mod convert;
pub mod dataset;
mod decoders;
pub mod difference_hash;
pub mod digest;
pub mod feature_cache;
pub mod fingerprint;
pub mod image_file;
pub mod mt19937;
pub mod parquet;
pub mod pixels;
pub mod problems;
pub mod processor;
pub mod processor_config;
pub mod resample;
mod share;
mod split;
pub mod tokenizer;
pub mod tokenizer_build;
pub mod tokenizer_config;
pub mod wording;

#[cfg(test)]
mod reference_tests;

pub use batch::{TokenBatch, collate};
pub use dataset::{DataError, Dataset, Example};
pub use difference_hash::DifferenceHash;
pub use digest::{ImageDigests, digest};
pub use feature_cache::FeatureCache;
pub use image_file::{ImageFileError, read_rgb, with_rgb};
pub use pixels::{load_pixels, load_views, read_each, read_pixels};
pub use processor::ImageProcessor;
pub use tokenizer::CaptionTokenizer;
