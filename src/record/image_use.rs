//! `diagnostics/image_use.json`: how much a trained model makes of the pictures.

use serde::{Deserialize, Serialize};

use super::diagnostics::Diagnostic;

/// Losses of references beside their own picture and beside another one, with the weights of the best epoch.
///
/// A model that looks at pictures finds the reference likelier beside its own. Where captions and pictures were paired
/// wrongly, or say nothing of each other, both losses are the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageUse {
    pub v: u64,
    pub epoch: usize,
    pub validation: Vec<OwnAndOther>,
    /// The observed part of the training images.
    pub train: Vec<OwnAndOther>,
}

/// Mean negative log-likelihoods of a reference's tokens, in nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnAndOther {
    pub image: String,
    /// Beside its own picture.
    pub own: f64,
    /// Beside the picture of the next example.
    pub other: f64,
}

impl Diagnostic for ImageUse {
    const FILE: &'static str = "image_use.json";
    fn version(&self) -> u64 {
        self.v
    }
}
