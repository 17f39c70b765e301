//! One number for all that a data set holds, so that a run is never resumed or compared on other data unseen.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::dataset::{DataError, Dataset, Example};
use super::image_file::{self, Digest, ImageFileError};

/// SHA-256 of the image files of a data set, by path: each file is read once, however many splits have it.
#[derive(Debug, Default)]
pub struct ImageDigests(HashMap<PathBuf, Digest>);

impl ImageDigests {
    /// Reads all image files, in parallel.
    pub fn read(data: &Dataset) -> Result<Self, DataError> {
        let paths: BTreeSet<&Path> = data
            .splits()
            .into_iter()
            .flat_map(|(_, examples)| examples)
            .map(|example| &*example.path)
            .collect();
        let paths: Vec<&Path> = paths.into_iter().collect();
        let digests: Result<_, ImageFileError> =
            paths.par_iter().map(|path| Ok((path.to_path_buf(), image_digest(path)?))).collect();
        Ok(Self(digests?))
    }

    /// That of an example's image; `None` for one that is of no split.
    fn of(&self, example: &Example) -> Option<Digest> {
        self.0.get(&example.path).copied()
    }

    /// Makes the examples keep the digests of their images, so that no other picture is decoded in their place.
    pub fn bind(&self, data: &mut Dataset) {
        for (_, examples) in data.splits_mut() {
            for example in examples {
                example.digest = self.of(example);
            }
        }
    }

    /// Distinct images by their content.
    pub fn distinct(&self) -> usize {
        self.0.values().collect::<BTreeSet<_>>().len()
    }

    /// SHA-256, in hexadecimal, over the names, captions and image bytes of all splits. Folders do not enter into it.
    pub fn digest(&self, data: &Dataset) -> String {
        let mut hash = Sha256::new();
        for (name, examples) in data.splits() {
            add_text(&mut hash, name);
            hash.update((examples.len() as u64).to_le_bytes());
            for example in examples {
                add_text(&mut hash, &example.image);
                hash.update((example.captions.len() as u64).to_le_bytes());
                for caption in &example.captions {
                    add_text(&mut hash, caption);
                }
                hash.update(self.of(example).unwrap_or_default());
            }
        }
        let bytes = hash.finalize();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// [`ImageDigests::digest`] of a data set whose images are read for it.
pub fn digest(data: &Dataset) -> Result<String, DataError> {
    Ok(ImageDigests::read(data)?.digest(data))
}

/// Adds the length as well, so that no two lists of texts run together into the same bytes.
fn add_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

/// SHA-256 of an image's file as it is now.
fn image_digest(path: &Path) -> Result<Digest, ImageFileError> {
    image_file::file_digest(path).map_err(|problem| ImageFileError { path: path.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_digest_follows_content_and_not_folders() {
        let digest_of = |caption: &str, image: &[u8], name: &str| {
            let folder = tempfile::tempdir().unwrap();
            for (file, bytes) in [("a.png", &b"a"[..]), ("b.png", b"b"), (name, image)] {
                fs::write(folder.path().join(file), bytes).unwrap();
            }
            let example = |image: &str, caption: &str| Example {
                image: image.to_owned(),
                path: folder.path().join(image),
                captions: vec![caption.to_owned()],
                digest: None,
            };
            let data = Dataset {
                train: vec![example("a.png", "one"), example(name, caption)],
                validation: vec![example("b.png", "two")],
                ..Dataset::default()
            };
            digest(&data).unwrap()
        };
        let original = digest_of("x", b"1", "n.png");
        assert_eq!(original.len(), 64);
        assert_eq!(digest_of("x", b"1", "n.png"), original);
        assert_ne!(digest_of("y", b"1", "n.png"), original);
        assert_ne!(digest_of("x", b"2", "n.png"), original);
        assert_ne!(digest_of("x", b"1", "m.png"), original);
    }

    #[test]
    fn a_digest_of_a_vanished_image_names_it() {
        let gone = Example {
            image: "gone.png".to_owned(),
            path: "/nowhere/gone.png".into(),
            captions: Vec::new(),
            digest: None,
        };
        let data = Dataset { test: vec![gone], ..Dataset::default() };
        assert_eq!(digest(&data).unwrap_err().to_string(), "/nowhere/gone.png: no such file");
    }
}
