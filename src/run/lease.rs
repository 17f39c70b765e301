//! Who works on a folder: an exclusive lock that the operating system drops when its holder ends, however it ends.
//!
//! `sweep run` holds the sweep's folder, a worker its run's. There is no time-out to wait for and nothing to clean up
//! after a crash: the lock dies with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

const FILE_NAME: &str = ".lock";

/// The right to write to a folder, for as long as the value lives.
#[derive(Debug)]
pub struct Lease {
    _file: File,
}

impl Lease {
    /// Takes the folder, creating it where there is none; `None` where another process holds it.
    pub fn try_take(folder: &Path) -> io::Result<Option<Self>> {
        let file = open(folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            // Some network file systems know no locks. There the user has to see to it alone.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Some(Self { _file: file }))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the folder as soon as its holder lets go of it. The worker of a parent that was killed needs a moment to
    /// save its checkpoint and end.
    pub fn wait_for(folder: &Path) -> io::Result<Self> {
        let file = open(folder)?;
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => Ok(Self { _file: file }),
        }
    }
}

/// Whether a process holds the folder now.
pub fn is_held(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(FILE_NAME)) else {
        return false;
    };
    // A shared lock, so that two who ask at the same time do not take each other for a holder.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn open(folder: &Path) -> io::Result<File> {
    std::fs::create_dir_all(folder)?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time_and_is_free_once_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("sweep");
        assert!(!is_held(&folder));
        let lease = Lease::try_take(&folder).unwrap().unwrap();
        assert!(is_held(&folder));
        assert!(Lease::try_take(&folder).unwrap().is_none());
        drop(lease);
        assert!(!is_held(&folder));
        assert!(Lease::try_take(&folder).unwrap().is_some());
    }

    #[test]
    fn who_waits_gets_the_folder_when_the_holder_ends() {
        let folder = tempfile::tempdir().unwrap();
        let lease = Lease::try_take(folder.path()).unwrap().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lease::wait_for(folder.path()).is_ok());
            drop(lease);
            assert!(waiting.join().unwrap());
        });
    }
}
