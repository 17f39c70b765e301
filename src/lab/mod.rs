//! The built-in study: a small captioner, the domain it was pretrained on and another one to fine-tune it on.
//!
//! Scenes (the source domain) and figures (the target domain) are drawn from seeds, the same bytes on every
//! machine. [`study::write`] makes ordinary files of them, so that the rest of the program treats the study
//! like any other model and data.
//!
//! * [`scene()`]: everyday scenes with short captions
//! * [`figure()`]: clothed figures with long captions
//! * [`vocabulary`]: word pieces and configuration of the model
//! * [`study`]: the folder that `sweep lab` writes
//! * [`path`], [`canvas`], [`colour`]: what both domains are drawn with

pub mod canvas;
pub mod colour;
pub mod figure;
pub mod path;
pub mod pretrain;
pub mod scene;
pub mod study;
pub mod vocabulary;

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

pub use figure::{Figure, figure};
pub use scene::{Scene, scene, scene_at};

/// The pretrained model's weights, a safetensors file of `f16` values; made by [`pretrain`].
pub static WEIGHTS: LazyLock<Weights> =
    LazyLock::new(|| Weights::of(include_bytes!("../../assets/lab/model.safetensors")));

/// A file of weights with its digest, which is taken once for all runs.
pub struct Weights {
    pub bytes: &'static [u8],
    /// SHA-256, in hexadecimal.
    pub digest: String,
}

impl Weights {
    pub fn of(bytes: &'static [u8]) -> Self {
        Self { bytes, digest: format!("{:x}", Sha256::digest(bytes)) }
    }
}
