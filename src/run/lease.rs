//! Who works on a folder: an exclusive lock that the operating system drops when its holder ends, however it ends.
//!
//! `sweep run` holds the sweep's folder, a worker its run's. There is no time-out to wait for and nothing to clean up
//! after a crash: the lock dies with the process. What the lock's file says of its holder is for people alone. On file
//! systems that know no locks, as some networks' do, a [`heartbeat`] stands in. On some networks a lock holds on its own
//! machine alone, which no program can tell: there the user asks for heartbeats as well ([`WISH`]).

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
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How often a folder that another holds is looked at.
const POLL: Duration = Duration::from_millis(100);

/// The environment's word for how folders are held: [`LOCKS`], which is what is done without it, or [`HEARTBEATS`] too.
/// Workers inherit it.
pub const WISH: &str = "SWEEP_LEASE";
const LOCKS: &str = "lock";
const HEARTBEATS: &str = "heartbeat";
/// "No locks available", as a network's file system says whose lock server does not answer.
const ENOLCK: i32 = if cfg!(target_os = "linux") { 37 } else { 77 };

/// The right to write to a folder, for as long as the value lives.
///
/// The fields are dropped in their order: who gets the lock must not find the beats of who let go of it.
#[derive(Debug)]
pub struct Lease {
    beats: Option<Heartbeat>,
    /// Absent where there are no locks.
    lock: Option<File>,
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
        let wants_beats = wants_heartbeats(std::env::var(WISH).ok())?;
        let file = open(folder)?;
        let has_locks = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) if knows_no_locks(&error) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        let beats = if has_locks && !wants_beats {
            // Someone on another machine may hold it without a lock.
            if heartbeat::is_taken(folder) {
                return Ok(None);
            }
            None
        } else {
            let Some(beats) = Heartbeat::try_start(folder)? else { return Ok(None) };
            Some(beats)
        };
        Ok(Some(Self { beats, lock: has_locks.then(|| signed(file)) }))
    }

    /// Makes sure that the folder is still this process's. It is as long as the process lives, unless it slept so long
    /// that another machine took it for gone.
    pub fn check(&self) -> io::Result<()> {
        self.beats.as_ref().map_or(Ok(()), Heartbeat::check)
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
}

/// Whether the environment asks for heartbeats.
fn wants_heartbeats(wish: Option<String>) -> io::Result<bool> {
    match wish.as_deref() {
        None | Some("" | LOCKS) => Ok(false),
        Some(HEARTBEATS) => Ok(true),
        Some(other) => {
            let message = format!("the variable {WISH} is `{other}`; it must be `{LOCKS}` or `{HEARTBEATS}`");
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}

fn knows_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(ENOLCK)
}

/// A lock's file that says who holds it. That is a courtesy: a disk that is full is no reason not to take the folder.
fn signed(mut file: File) -> File {
    let text = serde_json::to_string(&Holder::this_process()).unwrap_or_default();
    let _ = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
    file
}

impl Drop for Lease {
    /// Who held a folder once is nobody's business.
    fn drop(&mut self) {
        if let Some(file) = &self.lock {
            let _ = file.set_len(0);
        }
    }
}

/// Whether a process holds the folder now.
pub fn is_held(folder: &Path) -> bool {
    is_locked(folder) || heartbeat::is_beating(folder)
}

fn is_locked(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(FILE_NAME)) else { return false };
    // A shared lock, so that two who ask at the same time do not take each other for a holder.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Who holds the folder, where that can be learned.
pub fn holder(folder: &Path) -> Option<Holder> {
    // What a lock's file says may be of a process of before.
    if heartbeat::is_beating(folder) { heartbeat::holder(folder) } else { read_json(&folder.join(FILE_NAME)) }
}

/// How long ago the holder of a folder gave its last sign of life, and after how long a silence the folder is free.
/// `None` where that needs no waiting: the system knows whether the holder lives.
pub fn silence(folder: &Path) -> Option<[Duration; 2]> {
    heartbeat::silence_of_distant(folder).map(|silence| [silence, heartbeat::SILENCE])
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
    fn heartbeats_are_asked_for_by_their_name_and_other_words_are_refused() {
        let wish = |word: &str| wants_heartbeats(Some(word.to_owned())).map_err(|error| error.to_string());
        assert!(!wants_heartbeats(None).unwrap() && !wish("").unwrap() && !wish("lock").unwrap());
        assert!(wish("heartbeat").unwrap());
        let refused = "the variable SWEEP_LEASE is `yes`; it must be `lock` or `heartbeat`";
        assert_eq!(wish("yes").unwrap_err(), refused);
    }

    #[test]
    fn systems_without_locks_are_told_from_other_faults() {
        let says = |code| knows_no_locks(&io::Error::from_raw_os_error(code));
        assert!(says(ENOLCK));
        assert!(knows_no_locks(&io::ErrorKind::Unsupported.into()));
        assert!(!says(5) && !says(28), "a broken disk and a full one");
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
