//! `diagnostics/pairing.json`: whether training captions belong to their pictures as much as the others do.

use serde::{Deserialize, Serialize};

use super::diagnostics::Diagnostic;

/// What frozen features of training images have to do with the words of their captions, beside what those of validation
/// and test images have; before any training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pairing {
    pub v: u64,
    pub train_images: usize,
    /// Of the validation and the test split.
    pub unseen_images: usize,
    /// The share of training captions that belong to their pictures, if those of the other splits do: about 1 where all
    /// do, about 0 where none does. It may lie a little outside that range.
    pub share: f64,
    /// Its standard error.
    pub error: f64,
    /// By how many standard errors the training captions have less to do with their pictures; the error is that of a share of 1.
    pub z: f64,
    /// Training images whose captions fit them least, the worst first: up to ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub least_fitting: Vec<String>,
}

impl Diagnostic for Pairing {
    const FILE: &'static str = "pairing.json";
    fn version(&self) -> u64 {
        self.v
    }
}
