//! States of images below the first layer that trains, on disk: computed once, shared by epochs, runs and processes.
//!
//! [`FeatureCache`] knows nothing of models. A [`Key`] stands for all that a state depends on beside the image's bytes;
//! under it lie immutable shards (`shard`) in a folder (`shelf`). A state that is found is, bit by bit, what was
//! written; what is damaged or gone is computed again by whoever asked. The cache never fails: what keeps it from
//! working is a note, said once, and everything goes on without it. It stays within a budget of bytes (`room`), and
//! processes that fill it at the same time share the work by claims (`claim`).
//!
//! States are read with plain reads and not mapped into memory: they are copied into a batch in any case, a file that is
//! cut short meanwhile is an error and no signal that ends the process, and the pages do not count as the run's memory.

mod claim;
mod room;
mod shard;
mod shelf;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use claim::Claim;
pub use room::size;
use shelf::Shelf;

/// What a state depends on, but for the image.
pub type Key = [u8; 32];
/// SHA-256 of an image's file.
pub type ImageDigest = [u8; 32];

/// More values than a state of any model has (4096 x 4096 pixels in patches of 16, 2048 wide).
const MOST_VALUES: usize = 1 << 28;
/// A shard holds at least as many states as are encoded at once, and small ones up to this: flushing a file to disk
/// costs several milliseconds, however small it is.
const SHARD_BYTES: usize = 4 << 20;

/// The cache as one process uses it.
#[derive(Debug)]
pub struct FeatureCache {
    root: PathBuf,
    budget: u64,
    shelves: HashMap<Key, Shelf>,
    /// Whether states may still be written.
    is_open: bool,
    notes: Vec<String>,
}

impl FeatureCache {
    /// The cache below `root`, which need not exist, of at most `budget` bytes.
    pub fn new(root: &Path, budget: u64) -> Self {
        let root = root.to_owned();
        Self { root, budget, shelves: HashMap::new(), is_open: true, notes: Vec::new() }
    }

    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// Whether it takes what is computed. It stops to once it is full or cannot be written.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// What the user should know, once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn shelf(&mut self, key: &Key, values: usize) -> &mut Shelf {
        let new = || Shelf::new(&self.root, *key, values);
        self.shelves.entry(*key).or_insert_with(new)
    }

    /// Which of the images have no state that is known of. Looks on the disk where there are any.
    pub fn missing(&mut self, key: &Key, values: usize, images: &[ImageDigest]) -> Vec<ImageDigest> {
        let mut notes = Vec::new();
        let shelf = self.shelf(key, values);
        if !images.iter().all(|image| shelf.has(image)) {
            shelf.look(&mut notes);
        }
        let missing = images.iter().filter(|image| !shelf.has(image)).copied().collect();
        self.notes.extend(notes);
        missing
    }

    /// The state of an image, where it is known of and sound.
    pub fn read(&mut self, key: &Key, values: usize, image: &ImageDigest) -> Option<Vec<f32>> {
        let mut notes = Vec::new();
        let state = self.shelf(key, values).read(image, &mut notes);
        self.notes.extend(notes);
        state
    }

    /// Keeps states, which must all have the same number of values, and says whether it did.
    pub fn write(&mut self, key: &Key, states: &[(ImageDigest, Vec<f32>)]) -> bool {
        let Some(values) = states.first().map(|(_, state)| state.len()) else { return true };
        if !self.is_open || values > MOST_VALUES || states.len() > shard::MOST_IMAGES {
            return false;
        }
        let bytes = states.len() * (values * size_of::<f32>() + 40) + 64;
        if !room::make(&self.root, self.budget, bytes as u64) {
            let (root, budget) = (self.root.display(), self.budget as f64 / 1e9);
            self.stop(format!("{root}: the feature cache is full ({budget:.1} GB, all of it in use)"));
            return false;
        }
        let name = name_of(states.iter().map(|(image, _)| image));
        match self.shelf(key, values).write(&name, states) {
            Ok(()) => true,
            Err(error) => {
                self.stop(format!("the feature cache cannot be written: {error}"));
                false
            }
        }
    }

    fn stop(&mut self, why: String) {
        self.is_open = false;
        self.notes.push(format!("{why}; images that are not in it are encoded in every run"));
    }

    /// Claims the images under a key of all who may compute the same.
    pub fn claim(&self, key: &Key, images: &[ImageDigest]) -> Claim {
        if !self.is_open {
            return Claim::Unknown;
        }
        claim::claim(&self.root.join(".claims"), &name_of(std::iter::once(key).chain(images)))
    }
}

/// States of so many bytes that make a shard: a multiple of `batch`.
pub fn shard_images(state_bytes: usize, batch: usize) -> usize {
    let batches = (SHARD_BYTES / (state_bytes * batch).max(1)).max(1);
    (batches * batch).min(shard::MOST_IMAGES / batch * batch)
}

fn name_of<'a>(digests: impl Iterator<Item = &'a [u8; 32]>) -> String {
    let mut hash = Sha256::new();
    digests.for_each(|digest| hash.update(digest));
    hex(&hash.finalize().into())[..32].to_owned()
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
