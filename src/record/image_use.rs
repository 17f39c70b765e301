//! `diagnostics/image_use.json`: how much a trained model makes of the pictures.

use serde::{Deserialize, Serialize};

use super::diagnostics::Diagnostic;

/// Losses of references beside their own picture and beside another one, with the weights of the best epoch or of the last,
/// whichever has the lower loss on validation images.
///
/// A model that looks at pictures finds the reference likelier beside its own. Where captions and pictures were paired
/// wrongly, or say nothing of each other, both losses are the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageUse {
    pub v: u64,
    pub epoch: usize,
    pub validation: Vec<OwnAndOther>,
    /// Training images, as many as there are up to a bound.
    pub train: Vec<OwnAndOther>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<OwnAndOther>,
}

/// Mean negative log-likelihoods of a reference's tokens, in nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnAndOther {
    pub image: String,
    /// Beside its own picture.
    pub own: f64,
    /// Beside the picture of the next example.
    pub other: f64,
    /// By how much less the model expects to lose beside the own picture: the mean Kullback-Leibler divergence of its next
    /// tokens there from those beside the other. Where it is right, `other - own` comes to the same on average. Absent in
    /// files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_gain: Option<f64>,
}

impl Diagnostic for ImageUse {
    const FILE: &'static str = "image_use.json";
    fn version(&self) -> u64 {
        self.v
    }
}
