//! A revision's files in the cache: `models--OWNER--NAME/snapshots/COMMIT/`, with links into `blobs/`.

use std::path::{Path, PathBuf};

use super::{Hub, HubError, HubId};
use crate::model::weight_files;

/// Groups of files of which a usable model has at least one each, and what they are called.
const NEEDED: [(&[&str], &str); 3] = [
    (&["config.json"], "config.json"),
    (&["tokenizer.json", "vocab.txt"], "tokenizer.json"),
    (&["preprocessor_config.json", "processor_config.json"], "preprocessor_config.json"),
];

impl Hub {
    /// The folder of a model that is complete in the cache. Touches no network.
    pub fn cached(&self, id: &HubId) -> Option<PathBuf> {
        self.snapshot(id).filter(|folder| check(id, folder).is_ok())
    }

    /// The folder of a revision, perhaps incomplete.
    pub(super) fn snapshot(&self, id: &HubId) -> Option<PathBuf> {
        let folder = self.repository_folder(id);
        let commit = if id.is_commit() {
            id.revision.clone()
        } else {
            std::fs::read_to_string(folder.join("refs").join(&id.revision)).ok()?.trim().to_owned()
        };
        let is_name = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Some(folder.join("snapshots").join(commit)).filter(|folder| is_name && folder.is_dir())
    }

    pub(super) fn repository_folder(&self, id: &HubId) -> PathBuf {
        self.cache.join(format!("models--{}", id.repository.replace('/', "--")))
    }
}

/// Whether a folder holds all that a model needs.
pub fn check(id: &HubId, folder: &Path) -> Result<(), HubError> {
    let incomplete = |missing| HubError::Incomplete { id: id.clone(), missing };
    for (names, what) in NEEDED {
        if !names.iter().any(|name| folder.join(name).is_file()) {
            return Err(incomplete(what));
        }
    }
    match weight_files::find(folder) {
        Ok(files) if files.paths.iter().all(|path| path.is_file()) => Ok(()),
        _ => Err(incomplete("weights (model.safetensors or pytorch_model.bin)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    #[test]
    fn a_revision_is_cached_once_all_its_files_are_there() {
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub {
            cache: cache.path().to_owned(),
            endpoint: String::new(),
            token: None,
            offline: true,
            timeout: Duration::from_secs(1),
        };
        let commit = "1f".repeat(20);
        let repository = cache.path().join("models--a--b");
        let snapshot = repository.join("snapshots").join(&commit);
        fs::create_dir_all(repository.join("refs/refs/pr")).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        let id = |name: &str| HubId::parse(name).unwrap();
        fs::write(repository.join("refs/main"), format!("{commit}\n")).unwrap();
        fs::write(repository.join("refs/refs/pr/1"), &commit).unwrap();
        let index = r#"{"weight_map": {"a": "1.bin", "b": "2.bin"}}"#;
        let files = [
            ("config.json", "config.json"),
            ("vocab.txt", "tokenizer.json"),
            ("preprocessor_config.json", "preprocessor_config.json"),
            ("pytorch_model.bin.index.json", "weights"),
            ("1.bin", "weights"),
            ("2.bin", "weights"),
        ];
        for (file, missing) in files {
            assert_eq!(hub.cached(&id("a/b")), None, "without {file}");
            let error = check(&id("a/b"), &snapshot).unwrap_err().to_string();
            assert!(error.contains(missing), "without {file}: {error}");
            fs::write(snapshot.join(file), if file.ends_with("index.json") { index } else { "" }).unwrap();
        }
        for name in ["a/b".to_owned(), "a/b@refs/pr/1".to_owned(), format!("a/b@{commit}")] {
            assert_eq!(hub.cached(&id(&name)), Some(snapshot.clone()), "{name}");
        }
        assert_eq!(hub.cached(&id("a/b@v2")), None);
        fs::write(repository.join("refs/main"), "../../..").unwrap();
        assert_eq!(hub.cached(&id("a/b")), None);
    }
}
