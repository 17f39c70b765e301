//! One number for all that a data set holds, so that a run is never resumed or compared on other data unseen.

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::dataset::{DataError, Dataset, Example};
use super::image_file::{self, Digest, ImageFileError};

/// SHA-256, in hexadecimal, over the names, captions and image bytes of all splits. Folders do not enter into
/// it. The examples keep the digests of their images, so that no other picture is decoded in their place.
pub fn digest(data: &mut Dataset) -> Result<String, DataError> {
    let mut hash = Sha256::new();
    for (name, examples) in data.splits_mut() {
        add_text(&mut hash, name);
        hash.update((examples.len() as u64).to_le_bytes());
        let images: Vec<Digest> =
            examples.par_iter().map(image_digest).collect::<Result<_, ImageFileError>>()?;
        for (example, image) in examples.iter_mut().zip(images) {
            example.digest = Some(image);
            add_text(&mut hash, &example.image);
            hash.update((example.captions.len() as u64).to_le_bytes());
            for caption in &example.captions {
                add_text(&mut hash, caption);
            }
            hash.update(image);
        }
    }
    let bytes = hash.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Adds the length as well, so that no two lists of texts run together into the same bytes.
fn add_text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

fn image_digest(example: &Example) -> Result<Digest, ImageFileError> {
    image_file::file_digest(&example.path)
        .map_err(|problem| ImageFileError { path: example.path.clone(), problem })
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
            let mut data = Dataset {
                train: vec![example("a.png", "one"), example(name, caption)],
                validation: vec![example("b.png", "two")],
                ..Dataset::default()
            };
            digest(&mut data).unwrap()
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
        let mut data = Dataset { test: vec![gone], ..Dataset::default() };
        assert_eq!(digest(&mut data).unwrap_err().to_string(), "/nowhere/gone.png: no such file");
    }
}
