//! A BLIP image captioner that can be trained: ViT encoder, BERT decoder with cross-attention.
//!
//! [`Blip`] is built from a [`Config`] and [`Weights`] and has the names, shapes and results of
//! `transformers.BlipForConditionalGeneration`. Field names equal checkpoint names. candle-transformers' own
//! BLIP cannot be trained (its layer norm and softmax have no backward) and serves as a second opinion in tests.

pub mod beam;
pub mod blip;
pub mod config;
pub mod decode;
pub mod decoder;
pub mod generate;
pub mod layers;
pub mod lora;
pub mod ops;
pub mod small_decoder;
pub mod text;
pub mod vision;
pub mod weight_files;
pub mod weights;

/// The files of a model folder beside its weights: its shape, its tokenizer and its image processor. `config.json`
/// is always there, of the others each model has some.
pub const COMPANIONS: [&str; 8] = [
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
];

pub use blip::Blip;
pub use config::Config;
pub use decoder::Decoder;
pub use generate::{GeneratedCaption, generate, generate_while};
pub use weight_files::WeightsError;
pub use weights::{Part, Unfrozen, Weights};
