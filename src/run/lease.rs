//! Who works on a folder: an exclusive lock that the operating system drops when its holder ends, however it ends.
//!
//! `sweep run` holds the sweep's folder, a worker its run's. There is no time-out to wait for and nothing to clean up
//! after a crash: the lock dies with the process. What the lock's file says of its holder is for people alone. On file
//! systems that know no locks, as some networks' do, [`heartbeat`] stands in.

mod heartbeat;

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::progress::duration;
use heartbeat::Heartbeat;

const FILE_NAME: &str = ".lock";
/// What a lock's file says is short.
const MOST_BYTES: u64 = 4096;
/// A worker that its parent left behind has this long to save its checkpoint and end.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a folder that another holds is looked at.
const POLL: Duration = Duration::from_millis(100);

/// The right to write to a folder, for as long as the value lives.
#[derive(Debug)]
pub struct Lease(Held);

#[derive(Debug)]
enum Held {
    Lock(File),
    Heartbeat { _beats: Box<Heartbeat> },
}

/// Who holds a folder, as it said itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub host: String,
    /// RFC 3339, UTC.
    pub since: String,
}

impl Holder {
    fn this_process() -> Self {
        let since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self { pid: std::process::id(), host: heartbeat::host(), since }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "process {} on {}, since {}", self.pid, self.host, self.since)
    }
}

impl Lease {
    /// Takes the folder, creating it where there is none; `None` where another process holds it.
    pub fn try_take(folder: &Path) -> io::Result<Option<Self>> {
        let file = open(folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self::locked(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                let beats = Heartbeat::try_start(folder)?;
                Ok(beats.map(|beats| Self(Held::Heartbeat { _beats: Box::new(beats) })))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the folder as soon as its holder lets go of it. The worker of a parent that was killed needs a moment to
    /// save its checkpoint and end; one that hangs is not waited for without end.
    pub fn wait_for(folder: &Path) -> io::Result<Self> {
        Self::wait_at_most(folder, PATIENCE)
    }

    fn wait_at_most(folder: &Path, patience: Duration) -> io::Result<Self> {
        let began = Instant::now();
        loop {
            if let Some(lease) = Self::try_take(folder)? {
                return Ok(lease);
            }
            if began.elapsed() >= patience {
                let holder = holder(folder).map_or("another process".to_owned(), |holder| holder.to_string());
                let message = format!("after {} it is still held by {holder}", duration(patience));
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            thread::sleep(POLL);
        }
    }

    fn locked(mut file: File) -> Self {
        // What is said there is a courtesy: a disk that is full is no reason not to take the folder.
        let text = serde_json::to_string(&Holder::this_process()).unwrap_or_default();
        let _ = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
        Self(Held::Lock(file))
    }
}

impl Drop for Lease {
    /// Who held a folder once is nobody's business.
    fn drop(&mut self) {
        if let Held::Lock(file) = &self.0 {
            let _ = file.set_len(0);
        }
    }
}

/// Whether a process holds the folder now.
pub fn is_held(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(FILE_NAME)) else {
        return false;
    };
    // A shared lock, so that two who ask at the same time do not take each other for a holder.
    match file.try_lock_shared() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => heartbeat::is_beating(folder),
    }
}

/// Who holds the folder, where that can be learned.
pub fn holder(folder: &Path) -> Option<Holder> {
    read_json(&folder.join(FILE_NAME)).or_else(|| heartbeat::holder(folder))
}

fn open(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(FILE_NAME))
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    let mut text = String::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time_who_is_known_and_is_free_once_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("sweep");
        assert!(!is_held(&folder));
        let lease = Lease::try_take(&folder).unwrap().unwrap();
        assert!(is_held(&folder));
        assert!(Lease::try_take(&folder).unwrap().is_none());
        let known = holder(&folder).unwrap();
        assert_eq!(known.pid, std::process::id());
        assert!(humantime::parse_rfc3339(&known.since).is_ok() && !known.host.is_empty(), "{known}");
        drop(lease);
        assert!(!is_held(&folder));
        assert_eq!(holder(&folder), None);
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

    #[test]
    fn a_holder_that_does_not_end_is_named_and_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let _lease = Lease::try_take(folder.path()).unwrap().unwrap();
        let error = Lease::wait_at_most(folder.path(), Duration::from_millis(1)).unwrap_err().to_string();
        let wanted = format!("after 0 s it is still held by process {} on ", std::process::id());
        assert!(error.starts_with(&wanted), "{error}");
    }
}
