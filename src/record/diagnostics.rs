//! What of a run needs its model to be computed, kept in `diagnostics/` so that a report needs none.
//!
//! Each file is one JSON object with the version of its form, written whole or not at all. Not every run has every
//! file: [`Domain`] is of zero-shot runs, [`Cka`] of runs that trained, [`Source`] of both, where source data are given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::files::{StoreError, read_text, write_atomic};
use super::store::RunDir;

/// The version of all forms, in every file as `v`. Rises when a reader of the old form could be misled.
pub const VERSION: u64 = 1;

/// A diagnostic larger than this is damaged.
const MAX_BYTES: u64 = 16 << 20;

/// `domain.json`: how the pretrained model sees the images to caption and those of the domain it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Domain {
    pub v: u64,
    /// Images of each domain whose features were compared: of the validation split, and of the source data.
    pub images: usize,
    /// One entry a boundary between layers of the vision model, from 0 (embeddings) to its depth.
    pub layers: Vec<DomainLayer>,
    /// Mean negative log-likelihood of the validation captions' tokens, in nats.
    pub target_nll: f64,
    /// The same of the source captions, on the images of [`Source`].
    pub source_nll: f64,
}

/// Patch features, averaged over an image, at one boundary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DomainLayer {
    /// Encoder layers below.
    pub boundary: usize,
    /// `2 (1 - 2 error)` of a linear classifier in five-fold cross-validation (ridge regression on standardised
    /// features): 2 where it confuses none, about 0, also below, where it can only guess. Absent with fewer than five images.
    pub proxy_a_distance: Option<f64>,
    /// Share of images that are told to be of the other domain, in [0, 1].
    pub classifier_error: Option<f64>,
    /// Share of random assignments of images to domains that are told apart as well, in (0, 1].
    pub classifier_p: Option<f64>,
    /// Unbiased squared maximum mean discrepancy with a Gaussian kernel as wide as the median distance, from about 0 to 2.
    /// Absent with fewer than two images.
    pub mmd2: Option<f64>,
    /// Share of random assignments that lie as far apart, in (0, 1].
    pub mmd2_p: Option<f64>,
}

/// `cka.json`: how alike the model before and after training sees the same images, layer by layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cka {
    pub v: u64,
    pub target_images: usize,
    /// 0 where there are no source data.
    pub source_images: usize,
    /// One entry a boundary, from 0 to the depth of the vision model.
    pub layers: Vec<CkaLayer>,
}

/// Linear CKA by the unbiased estimator of HSIC (Song et al. 2012; Nguyen et al. 2021) of the mean patch features at one
/// boundary: 1 is unchanged but for rotation and scale. Exactly 1 below the layers that trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CkaLayer {
    /// Encoder layers below.
    pub boundary: usize,
    /// On images of the validation split. Absent with fewer than four images.
    pub target: Option<f64>,
    /// On images of the source domain.
    pub source: Option<f64>,
}

/// `source.json`: what the model says of the domain it came from, and what training made it forget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub v: u64,
    /// A fixed part of the source data, the same in all runs: at most a hundred images, and at most half as many as there
    /// are validation images.
    pub images: usize,
    /// The model before training: `nll` (nats a token), `meteor`, `rouge_l`, `cider_d`, `bleu_1`.., `score`, as for the
    /// test split and by the run's own settings.
    pub before: BTreeMap<String, f64>,
    /// The best epoch's model; absent where nothing was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<BTreeMap<String, f64>>,
}

/// A file of `diagnostics/`.
pub trait Diagnostic: Serialize + DeserializeOwned {
    const FILE: &'static str;
    fn version(&self) -> u64;
}

impl Diagnostic for Domain {
    const FILE: &'static str = "domain.json";
    fn version(&self) -> u64 {
        self.v
    }
}

impl Diagnostic for Cka {
    const FILE: &'static str = "cka.json";
    fn version(&self) -> u64 {
        self.v
    }
}

impl Diagnostic for Source {
    const FILE: &'static str = "source.json";
    fn version(&self) -> u64 {
        self.v
    }
}

impl RunDir {
    fn diagnostic<T: Diagnostic>(&self) -> PathBuf {
        self.diagnostics().join(T::FILE)
    }

    /// Replaces a diagnostic of the run.
    pub fn write_diagnostic<T: Diagnostic>(&self, content: &T) -> Result<(), StoreError> {
        let path = self.diagnostic::<T>();
        let text = serde_json::to_string_pretty(content).map_err(|error| StoreError::broken(&path, error))?;
        write_atomic(&path, format!("{text}\n").as_bytes())
    }

    /// A diagnostic of the run, such as `read_diagnostic::<Domain>()`; `None` where it has none.
    ///
    /// # Errors
    /// A file that cannot be read, or of a later version of the program.
    pub fn read_diagnostic<T: Diagnostic>(&self) -> Result<Option<T>, StoreError> {
        let path = self.diagnostic::<T>();
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(&path, MAX_BYTES)?;
        let content: T = serde_json::from_str(&text).map_err(|error| StoreError::broken(&path, error))?;
        if content.version() > VERSION {
            let problem = format!(
                "version {} is of a later program; this one reads {VERSION}\nhint: update `sweep`",
                content.version()
            );
            return Err(StoreError::broken(&path, problem));
        }
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_reads_back_and_what_is_damaged_or_too_new_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir { path: folder.path().to_owned() };
        assert_eq!(run.read_diagnostic::<Cka>().unwrap(), None);
        let layer = CkaLayer { boundary: 0, target: Some(0.1 + 0.2), source: None };
        let cka = Cka { v: VERSION, target_images: 4, source_images: 0, layers: vec![layer] };
        run.write_diagnostic(&cka).unwrap();
        assert_eq!(run.read_diagnostic::<Cka>().unwrap(), Some(cka.clone()));
        run.write_diagnostic(&Cka { v: VERSION + 1, ..cka }).unwrap();
        let error = run.read_diagnostic::<Cka>().unwrap_err().to_string();
        assert!(error.contains("cka.json: version 2") && error.contains("hint: "), "{error}");
        std::fs::write(run.diagnostics().join("source.json"), "{").unwrap();
        assert!(run.read_diagnostic::<Source>().unwrap_err().to_string().contains("source.json: EOF"));
    }
}
