//! A BLIP image captioner that can be trained: ViT encoder, BERT decoder with cross-attention.
//!
//! [`Blip`] is built from a [`Config`] and [`Weights`] and has the names, shapes and results of
//! `transformers.BlipForConditionalGeneration`. Field names equal checkpoint names. candle-transformers' own
//! BLIP cannot be trained (its layer norm and softmax have no backward) and serves as a second opinion in tests.

pub mod beam;
pub mod blip;
pub mod config;
pub mod generate;
pub mod layers;
pub mod ops;
pub mod text;
pub mod vision;
pub mod weight_files;
pub mod weights;

pub use blip::Blip;
pub use config::Config;
pub use generate::{GeneratedCaption, generate};
pub use weight_files::WeightsError;
pub use weights::{Part, Unfrozen, Weights};
