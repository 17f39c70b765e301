//! Who computes what: a claim keeps two processes from encoding the same images at the same time.
//!
//! A claim is an advisory lock, which dies with its process. Nothing but time depends on it: where there are no locks,
//! or a claim is taken twice, images are encoded twice and the same bytes written twice.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::record::store::remove_file;

/// The answer to who wants to compute something.
#[derive(Debug)]
pub enum Claim {
    /// Nobody else does while this value lives.
    Taken(Taken),
    /// Another process is at it.
    Busy,
    /// It cannot be known.
    Unknown,
}

/// The right to compute something; given back when dropped.
#[derive(Debug)]
pub struct Taken {
    path: PathBuf,
    _lock: File,
}

impl Drop for Taken {
    /// Removed while it is still locked. Who opened the file before locks what has no name any more, and finds done
    /// what it wanted to do.
    fn drop(&mut self) {
        let _ = remove_file(&self.path);
    }
}

/// Claims what `name` stands for, below `folder`.
pub fn claim(folder: &Path, name: &str) -> Claim {
    let path = folder.join(name);
    let open = || {
        fs::create_dir_all(folder)?;
        OpenOptions::new().write(true).create(true).truncate(false).open(&path)
    };
    let Ok(file) = open() else { return Claim::Unknown };
    match file.try_lock() {
        Ok(()) => Claim::Taken(Taken { path, _lock: file }),
        Err(TryLockError::WouldBlock) => Claim::Busy,
        Err(TryLockError::Error(_)) => Claim::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_is_busy_until_it_is_given_back_and_leaves_no_file() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("claims");
        let Claim::Taken(first) = claim(&folder, "x") else { panic!("nobody has it") };
        assert!(matches!(claim(&folder, "x"), Claim::Busy));
        assert!(matches!(claim(&folder, "y"), Claim::Taken(_)));
        drop(first);
        assert!(matches!(claim(&folder, "x"), Claim::Taken(_)));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::write(root.path().join("file"), "").unwrap();
        assert!(matches!(claim(&root.path().join("file"), "x"), Claim::Unknown));
    }
}
