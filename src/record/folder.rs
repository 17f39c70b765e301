//! Folders that are replaced whole: a fresh one is written beside the old one and then takes its place.
//!
//! A crash leaves the old folder or the new one, whole. Between the two renames of [`replace`] the old one lies beside
//! its place under a hidden name, from where [`settle`] brings it back. So there are never more than two of a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{StoreError, sync_folder};

/// An empty folder beside `folder` to be filled; what a crash left of an earlier one is removed.
pub fn fresh(folder: &Path) -> Result<PathBuf, StoreError> {
    let fresh = beside(folder, "new");
    remove(&fresh)?;
    fs::create_dir_all(&fresh).map_err(|source| StoreError::io(&fresh, "create", source))?;
    Ok(fresh)
}

/// Puts the filled `fresh` in the place of `folder`, to stay there through a power cut.
pub fn replace(folder: &Path, fresh: &Path) -> Result<(), StoreError> {
    settle_old(folder)?;
    let old = beside(folder, "old");
    let above = folder.parent().unwrap_or(Path::new("."));
    let swap = || -> io::Result<()> {
        sync_folder(fresh)?;
        if folder.exists() {
            fs::rename(folder, &old)?;
        }
        if let Err(error) = fs::rename(fresh, folder) {
            // The old one is better than none.
            let _ = fs::rename(&old, folder);
            return Err(error);
        }
        sync_folder(above)
    };
    swap().map_err(|source| StoreError::io(folder, "replace", source))?;
    remove(&old)
}

/// Mends what a crash left: brings the old folder back where no other took its place, and removes what is beside it.
pub fn settle(folder: &Path) -> Result<(), StoreError> {
    settle_old(folder)?;
    remove(&beside(folder, "new"))
}

fn settle_old(folder: &Path) -> Result<(), StoreError> {
    let old = beside(folder, "old");
    if folder.exists() || !old.exists() {
        return remove(&old);
    }
    fs::rename(&old, folder).map_err(|source| StoreError::io(folder, "restore", source))
}

/// Removes a folder and all in it; one that is not there is no error.
pub fn remove(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io(folder, "remove", source))
        }
        _ => Ok(()),
    }
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder beside others of its kind, as `(name, content)`.
    fn with(folders: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in folders {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("file"), content).unwrap();
        }
        root
    }

    fn found(root: &tempfile::TempDir) -> Vec<(String, String)> {
        let entries = fs::read_dir(root.path()).unwrap().map(Result::unwrap);
        let mut found: Vec<_> = entries
            .map(|entry| {
                let content = fs::read_to_string(entry.path().join("file")).unwrap_or_default();
                (entry.file_name().to_string_lossy().into_owned(), content)
            })
            .collect();
        found.sort();
        found
    }

    fn pairs(folders: &[(&str, &str)]) -> Vec<(String, String)> {
        folders.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
    }

    #[test]
    fn a_folder_is_replaced_by_a_fresh_one_and_nothing_is_left_beside_it() {
        for before in
            [vec![], vec![("x", "one")], vec![(".x.old", "zero")], vec![("x", "one"), (".x.old", "zero")]]
        {
            let root = with(&before);
            let folder = root.path().join("x");
            let fresh = fresh(&folder).unwrap();
            fs::write(fresh.join("file"), "two").unwrap();
            replace(&folder, &fresh).unwrap();
            assert_eq!(found(&root), pairs(&[("x", "two")]), "{before:?}");
        }
    }

    #[test]
    fn what_a_crash_left_is_mended_without_losing_the_last_whole_folder() {
        for (left, mended) in [
            (vec![("x", "one"), (".x.new", "half")], vec![("x", "one")]),
            (vec![(".x.old", "one"), (".x.new", "two")], vec![("x", "one")]),
            (vec![("x", "two"), (".x.old", "one")], vec![("x", "two")]),
            (vec![(".x.new", "half")], vec![]),
            (vec![], vec![]),
        ] {
            let root = with(&left);
            settle(&root.path().join("x")).unwrap();
            assert_eq!(found(&root), pairs(&mended), "{left:?}");
        }
    }
}
