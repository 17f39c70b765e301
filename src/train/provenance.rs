//! `sweep.json` in a checkpoint: which run it is of and how that trained, for who generates captions with it later.
//!
//! transformers passes over files that it does not know. `generation_config.json` would be the other place, but what
//! stands in there is taken for settings of generation.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::plan::consistency::Trained;
use crate::record::recipe::{Precision, StartToken};
use crate::record::{RunSpec, bounded};

/// Its name in a model folder.
pub const FILE: &str = "sweep.json";
/// The version of the file's form.
const FORMAT: u64 = 1;
/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The run that a checkpoint is of.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    pub spec: &'a RunSpec,
    /// Tokens of the longest training caption before it was cut.
    pub longest_caption: usize,
}

impl Provenance<'_> {
    /// The file's content.
    pub fn to_bytes(self) -> Result<Vec<u8>> {
        let Self { spec, longest_caption } = self;
        Ok(serde_json::to_vec_pretty(&json!({
            "format": FORMAT,
            "program": env!("CARGO_PKG_VERSION"),
            "run": spec.id,
            "sweep": spec.sweep,
            "longest_caption": longest_caption,
            "training": spec.recipe.training,
        }))?)
    }
}

/// What is read back. Other fields, also those of later versions, are passed over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Saved {
    pub run: String,
    pub sweep: String,
    longest_caption: Option<usize>,
    training: SavedTraining,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SavedTraining {
    max_length: usize,
    start_token: StartToken,
    #[serde(default)]
    precision: Precision,
    #[serde(default)]
    prompt: String,
}

impl Saved {
    /// Reads a model folder's file; `None` where it has none, as folders that no run has saved.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let bytes = match bounded::read_bytes(&path, MAX_FILE_BYTES) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let saved = serde_json::from_slice(&bytes);
        Ok(Some(saved.with_context(|| format!("{} is damaged", path.display()))?))
    }

    /// How the model computed in its run.
    pub fn precision(&self) -> Precision {
        self.training.precision
    }

    /// What its captions begin with.
    pub fn prompt(&self) -> &str {
        &self.training.prompt
    }

    /// What generation has to fit.
    pub fn trained(&self) -> Trained {
        Trained {
            start_token: self.training.start_token,
            max_length: self.training.max_length,
            longest_caption: self.longest_caption,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::record::run::tests::any_run;

    #[test]
    fn what_was_saved_is_read_back_and_a_folder_without_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap(), None);
        let spec = any_run("r0123456789");
        let bytes = Provenance { spec: &spec, longest_caption: 57 }.to_bytes().unwrap();
        fs::write(folder.path().join(FILE), bytes).unwrap();
        let saved = Saved::read(folder.path()).unwrap().unwrap();
        assert_eq!((saved.run.as_str(), saved.sweep.as_str()), ("r0123456789", "unfreeze"));
        assert_eq!(saved.trained(), Trained::new(&spec.recipe.training, Some(57)));
        fs::write(folder.path().join(FILE), r#"{"run": "r1"}"#).unwrap();
        assert!(format!("{:#}", Saved::read(folder.path()).unwrap_err()).contains("sweep.json is damaged"));
    }
}
