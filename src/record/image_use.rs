//! `diagnostics/image_use.json`: how much a trained model makes of the pictures.

use serde::{Deserialize, Serialize};

use super::store::{RunDir, StoreError};

/// The version of the file's format.
pub const VERSION: u64 = 1;

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

impl RunDir {
    pub fn write_image_use(&self, image_use: &ImageUse) -> Result<(), StoreError> {
        super::files::write_value(&self.diagnostics().join("image_use.json"), image_use)
    }

    /// Nothing where the run has not measured it, or another version of the program has.
    pub fn read_image_use(&self) -> Result<Option<ImageUse>, StoreError> {
        let found: Option<ImageUse> = super::files::read_value(&self.diagnostics().join("image_use.json"))?;
        Ok(found.filter(|found| found.v == VERSION))
    }
}
