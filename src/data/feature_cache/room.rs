//! How much the cache takes on the disk, and what goes first where that is too much: what was used longest ago.
//!
//! A shard's modification time says when it was used last; who reads it sets it anew from time to time. Clocks may be
//! wrong: all that they decide is what is computed again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use walkdir::WalkDir;

use crate::record::store::remove_file;

/// What was used within this time is in use, and stays.
const IN_USE: Duration = Duration::from_secs(600);
/// A file under a temporary name that is older than this was left by a writer that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// A file of the cache.
struct Entry {
    path: PathBuf,
    bytes: u64,
    /// Time since it was used; nothing where it lies in the future.
    age: Option<Duration>,
}

/// Bytes that the files below a folder take.
pub fn size(root: &Path) -> u64 {
    entries(root).iter().map(|entry| entry.bytes).sum()
}

/// Makes room for `needed` bytes within `budget`, and says whether there is. Two processes that write at the same time
/// may exceed it by a shard each.
pub fn make(root: &Path, budget: u64, needed: u64) -> bool {
    let mut entries = entries(root);
    entries.retain(|entry| !remove_if_left_behind(entry));
    let mut taken: u64 = entries.iter().map(|entry| entry.bytes).sum();
    // Where the clock went back, ages are unknown, and what has none goes like the oldest.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.age.unwrap_or(Duration::MAX)));
    for entry in entries {
        if taken.saturating_add(needed) <= budget {
            return true;
        }
        if entry.age.is_some_and(|age| age < IN_USE) {
            return false;
        }
        if remove_file(&entry.path).is_ok() {
            taken -= entry.bytes;
        }
    }
    taken.saturating_add(needed) <= budget
}

fn remove_if_left_behind(entry: &Entry) -> bool {
    let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
    let is_old = entry.age.is_some_and(|age| age > LEFT_BEHIND);
    is_old && name.ends_with(".tmp") && remove_file(&entry.path).is_ok()
}

fn entries(root: &Path) -> Vec<Entry> {
    let now = SystemTime::now();
    let files = WalkDir::new(root).max_depth(2).into_iter().flatten();
    let entry = |file: walkdir::DirEntry| {
        let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
        let age = metadata.modified().ok().and_then(|modified| now.duration_since(modified).ok());
        Some(Entry { path: file.into_path(), bytes: metadata.len(), age })
    };
    files.filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of 100 bytes that were used so many minutes ago, below 0 in the future.
    fn files(ages: &[(&str, i64)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for (name, minutes) in ages {
            let path = root.path().join("key").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, [0; 100]).unwrap();
            let distance = Duration::from_secs(60 * minutes.unsigned_abs());
            let at = if *minutes < 0 { now + distance } else { now - distance };
            fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        }
        root
    }

    fn left(root: &tempfile::TempDir) -> Vec<String> {
        let mut names: Vec<String> = entries(root.path())
            .iter()
            .map(|entry| entry.path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_only_as_much_as_must() {
        let root = files(&[("a", 90), ("b", 30), ("c", 60), ("d", 1)]);
        assert_eq!(size(root.path()), 400);
        assert!(make(root.path(), 500, 100));
        assert_eq!(left(&root), ["a", "b", "c", "d"]);
        assert!(make(root.path(), 400, 150));
        assert_eq!(left(&root), ["b", "d"]);
    }

    #[test]
    fn what_is_in_use_stays_although_there_is_no_room_then() {
        let root = files(&[("old", 60), ("used", 5), ("just now", 0)]);
        assert!(!make(root.path(), 250, 100));
        assert_eq!(left(&root), ["just now", "used"]);
        assert!(!make(root.path(), 50, 100), "more than all there may be");
        assert!(make(root.path(), 300, 100));
    }

    #[test]
    fn a_clock_that_went_back_and_files_left_behind_do_no_harm() {
        let root =
            files(&[("ahead", -6000), ("old", 20), (".x.states.1.0.tmp", 120), (".y.states.1.1.tmp", 2)]);
        assert!(make(root.path(), 300, 100));
        assert_eq!(left(&root), [".y.states.1.1.tmp", "old"]);
        let nowhere = root.path().join("nowhere");
        assert!(make(&nowhere, 100, 100) && !make(&nowhere, 99, 100));
    }
}
