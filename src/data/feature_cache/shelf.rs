//! The states under one key: which images have one, and where.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::shard::{Header, ShardError, packed};
use super::{ImageDigest, Key, hex};
use crate::record::store::{StoreError, remove_file, write_atomic};

/// The ending of a shard's name.
const ENDING: &str = "states";
/// A shard that is in use says so this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// What this process knows of a key's folder.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    key: Key,
    values: usize,
    /// Names of files that were looked into.
    known: HashSet<OsString>,
    shards: Vec<Shard>,
    /// The shard and the row of each image's state.
    places: HashMap<ImageDigest, (usize, usize)>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    header: Header,
    touched: Option<Instant>,
}

impl Shelf {
    /// The shelf of states of `values` values under `key`, whose folder need not exist.
    pub fn new(root: &Path, key: Key, values: usize) -> Self {
        Self {
            folder: root.join(&hex(&key)[..32]),
            key,
            values,
            known: HashSet::new(),
            shards: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// Whether a state is known to be there.
    pub fn has(&self, image: &ImageDigest) -> bool {
        self.places.contains_key(image)
    }

    /// Looks for shards that others have written. What is damaged is removed, and said.
    pub fn look(&mut self, notes: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.retain(|name| {
            Path::new(name).extension().is_some_and(|ending| ending == ENDING) && !self.known.contains(name)
        });
        names.sort();
        for name in names {
            let path = self.folder.join(&name);
            match Header::read(&path, &self.key, self.values) {
                Ok(header) => self.add(path, header),
                Err(error) => drop_shard(&path, &error, notes),
            }
            self.known.insert(name);
        }
    }

    fn add(&mut self, path: PathBuf, header: Header) {
        let shard = self.shards.len();
        for (row, (image, _)) in header.rows.iter().enumerate() {
            self.places.insert(*image, (shard, row));
        }
        self.shards.push(Shard { path, header, touched: None });
    }

    /// The state of an image, where there is one that is sound.
    pub fn read(&mut self, image: &ImageDigest, notes: &mut Vec<String>) -> Option<Vec<f32>> {
        let (index, row) = *self.places.get(image)?;
        let shard = self.shards.get_mut(index)?;
        let found = File::open(&shard.path).map_err(ShardError::Io).and_then(|mut file| {
            if shard.touched.is_none_or(|at| at.elapsed() > TOUCH_EVERY) {
                shard.touched = Some(Instant::now());
                // It only makes the shard go later; a folder that cannot be written to is read all the same.
                let _ = file.set_modified(SystemTime::now());
            }
            shard.header.state(&mut file, row)
        });
        match found {
            Ok(state) => Some(state),
            Err(error) => {
                let path = shard.path.clone();
                drop_shard(&path, &error, notes);
                self.forget(index);
                None
            }
        }
    }

    /// Forgets a shard that is gone. A file that takes its place is looked into again.
    fn forget(&mut self, index: usize) {
        self.places.retain(|_, (shard, _)| *shard != index);
        if let Some(name) = self.shards.get(index).and_then(|shard| shard.path.file_name()) {
            self.known.remove(name);
        }
    }

    /// Writes a shard. `name` is that of its images, so that whoever writes the same ones writes the same file.
    pub fn write(&mut self, name: &str, states: &[(ImageDigest, Vec<f32>)]) -> Result<(), StoreError> {
        let name = OsString::from(format!("{name}.{ENDING}"));
        let path = self.folder.join(&name);
        let (bytes, header) = packed(&self.key, states);
        write_atomic(&path, &bytes)?;
        self.known.insert(name);
        self.add(path, header);
        Ok(())
    }
}

/// Says what is wrong with a shard, and removes it: it will be written anew. One that is gone was evicted.
fn drop_shard(path: &Path, error: &ShardError, notes: &mut Vec<String>) {
    match error {
        ShardError::Io(error) if error.kind() == io::ErrorKind::NotFound => return,
        ShardError::Io(_) => {}
        ShardError::Damaged(_) => {
            let _ = remove_file(path);
        }
    }
    notes.push(format!("{}: {error}; what it held is computed again", path.display()));
}
