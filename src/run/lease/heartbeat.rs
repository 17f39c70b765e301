//! A lease for file systems without locks: a file that its holder writes anew every few seconds.
//!
//! Where the holder is a process of this machine (same host, boot and namespace of process numbers), the system knows
//! whether it lives. Elsewhere only the beats tell, by the clocks of both machines, which must not differ by minutes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Holder, read_json};
use crate::record::store::write_atomic;

const FILE_NAME: &str = ".lease";
const BEAT: Duration = Duration::from_secs(15);
/// A holder elsewhere that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(180);

/// What a holder writes of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    holder: Holder,
    machine: Machine,
    /// When the process began, by the machine's own count: a number is given to another process one day.
    began: Option<u64>,
    /// Time of the last beat, RFC 3339, UTC.
    beat: String,
}

/// Where a process number means something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Machine {
    host: String,
    boot: Option<String>,
    /// Containers count their processes each for itself.
    namespace: Option<String>,
}

impl Machine {
    fn this() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let namespace = fs::read_link("/proc/self/ns/pid").ok();
        Self {
            host: host(),
            boot: boot.map(|id| id.trim().to_owned()),
            namespace: namespace.map(|link| link.to_string_lossy().into_owned()),
        }
    }
}

impl Claim {
    fn of_this_process() -> Self {
        let holder = Holder::this_process();
        let began = process_began(holder.pid);
        Self { machine: Machine::this(), began, beat: beat_now(), holder }
    }

    fn is_same_holder(&self, other: &Self) -> bool {
        Self { beat: String::new(), ..self.clone() } == Self { beat: String::new(), ..other.clone() }
    }

    /// Whether the holder is gone. `process_began` tells when the process of a number here began, if there is one.
    fn is_stale(&self, now: SystemTime, here: &Machine, process_began: impl Fn(u32) -> Option<u64>) -> bool {
        if self.machine == *here && here.boot.is_some() && self.began.is_some() {
            return process_began(self.holder.pid) != self.began;
        }
        match humantime::parse_rfc3339(&self.beat) {
            // A beat in the future is that of a clock that is ahead.
            Ok(beat) => now.duration_since(beat).is_ok_and(|silence| silence > SILENCE),
            Err(_) => true,
        }
    }
}

/// A lease whose file is kept fresh for as long as this value lives, and is removed with it.
#[derive(Debug)]
pub struct Heartbeat {
    path: PathBuf,
    claim: Claim,
    /// Dropped to end the beats.
    stop: Option<Sender<()>>,
    beats: Option<thread::JoinHandle<()>>,
}

impl Heartbeat {
    /// Takes the folder; `None` where another process holds it.
    pub fn try_start(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(FILE_NAME);
        let claim = Claim::of_this_process();
        if create(&path, &claim)? || (is_stale(&path) && move_away(&path)? && create(&path, &claim)?) {
            return Ok(Some(Self::start(path, claim)));
        }
        Ok(None)
    }

    fn start(path: PathBuf, claim: Claim) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let (place, own) = (path.clone(), claim.clone());
        let beats = thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // Whoever took this process for dead, because the machine slept, keeps the folder.
                if read_json(&place).is_some_and(|claim: Claim| !own.is_same_holder(&claim)) {
                    return;
                }
                // One beat that fails is made up for by the next.
                let _ = write_atomic(&place, to_json(&Claim { beat: beat_now(), ..own.clone() }).as_bytes());
            }
        });
        Self { path, claim, stop: Some(stop), beats: Some(beats) }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.beats.take().map(thread::JoinHandle::join);
        if read_json(&self.path).is_some_and(|claim: Claim| self.claim.is_same_holder(&claim)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether someone holds the folder by a heartbeat.
pub fn is_beating(folder: &Path) -> bool {
    let path = folder.join(FILE_NAME);
    path.is_file() && !is_stale(&path)
}

/// Who holds the folder by a heartbeat.
pub fn holder(folder: &Path) -> Option<Holder> {
    read_json(&folder.join(FILE_NAME)).map(|claim: Claim| claim.holder)
}

/// Puts the claim there if no other is.
fn create(path: &Path, claim: &Claim) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(to_json(claim).as_bytes()).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_stale(path: &Path) -> bool {
    let now = SystemTime::now();
    match read_json::<Claim>(path) {
        Some(claim) => claim.is_stale(now, &Machine::this(), process_began),
        // It is being written at this moment, or its writer died over it.
        None => {
            let written = fs::metadata(path).and_then(|metadata| metadata.modified());
            written.is_ok_and(|at| now.duration_since(at).is_ok_and(|silence| silence > SILENCE))
        }
    }
}

/// Clears a stale claim away. Of two who do, the rename lets one win; `false` is for the other.
fn move_away(path: &Path) -> io::Result<bool> {
    let aside = path.with_file_name(format!("{FILE_NAME}.{}.tmp", std::process::id()));
    match fs::rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        moved => moved?,
    }
    // Between the look and the rename another may have put its own claim there.
    if is_stale(&aside) {
        return fs::remove_file(&aside).map(|()| true);
    }
    fs::rename(&aside, path).map(|()| false)
}

fn to_json(claim: &Claim) -> String {
    serde_json::to_string(claim).unwrap_or_default()
}

fn beat_now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The machine's name in its network.
pub fn host() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = kernel.or_else(|| std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok());
    named
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or("this machine".to_owned())
}

/// When the process of this number began, in ticks since the machine's boot; `None` where there is none, or no telling.
fn process_began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the beginning is the 22nd field, and the 20th behind the name.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(machine: &Machine, pid: u32, began: Option<u64>, beat: &str) -> Claim {
        let holder = Holder { pid, host: machine.host.clone(), since: "2026-01-09T11:00:00Z".to_owned() };
        Claim { holder, machine: machine.clone(), began, beat: beat.to_owned() }
    }

    #[test]
    fn a_lease_is_stale_when_its_process_is_gone_from_this_machine_or_is_silent_on_another() {
        let machine = |host: &str, boot: &str, namespace: &str| Machine {
            host: host.to_owned(),
            boot: Some(boot.to_owned()),
            namespace: Some(namespace.to_owned()),
        };
        let here = machine("a", "1", "n");
        let now = humantime::parse_rfc3339("2026-01-09T12:00:00Z").unwrap();
        // Only process 7 lives here, since tick 70.
        let alive = |pid| (pid == 7).then_some(70);
        let (fresh, old, ahead) = ("2026-01-09T11:59:50Z", "2026-01-09T11:50:00Z", "2026-01-09T12:05:00Z");
        let unknown = Machine { boot: None, namespace: None, ..here.clone() };
        let table = [
            ("alive", claim(&here, 7, Some(70), fresh), false),
            ("alive after the machine slept", claim(&here, 7, Some(70), old), false),
            ("dead, and its last beat a moment ago", claim(&here, 8, Some(70), fresh), true),
            ("its number is another process's now", claim(&here, 7, Some(60), fresh), true),
            ("other host, beating", claim(&machine("b", "2", "n"), 8, Some(70), fresh), false),
            ("other host, silent", claim(&machine("b", "2", "n"), 7, Some(70), old), true),
            ("other host, its clock ahead", claim(&machine("b", "2", "n"), 7, Some(70), ahead), false),
            ("this host before its last boot", claim(&machine("a", "0", "n"), 7, Some(70), old), true),
            ("another container, beating", claim(&machine("a", "1", "m"), 8, Some(70), fresh), false),
            ("a system that tells nothing, beating", claim(&unknown, 8, None, fresh), false),
            ("a system that tells nothing, silent", claim(&unknown, 7, None, old), true),
            ("no time that can be read", claim(&machine("b", "2", "n"), 7, Some(70), "soon"), true),
        ];
        for (case, claim, is_stale) in table {
            assert_eq!(claim.is_stale(now, &here, alive), is_stale, "{case}");
        }
    }

    #[test]
    fn a_folder_has_one_holder_and_the_claim_of_a_dead_one_is_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let first = Heartbeat::try_start(folder.path()).unwrap().unwrap();
        assert!(is_beating(folder.path()) && Heartbeat::try_start(folder.path()).unwrap().is_none());
        assert_eq!(holder(folder.path()).unwrap().pid, std::process::id());
        drop(first);
        assert!(!is_beating(folder.path()) && fs::read_dir(folder.path()).unwrap().next().is_none());

        let elsewhere = Machine { host: "elsewhere".to_owned(), boot: None, namespace: None };
        let silent = claim(&elsewhere, 1, None, "2020-01-01T00:00:00Z");
        fs::write(folder.path().join(FILE_NAME), to_json(&silent)).unwrap();
        assert!(!is_beating(folder.path()));
        let second = Heartbeat::try_start(folder.path()).unwrap().unwrap();
        assert!(is_beating(folder.path()));
        // Another that took this process for dead keeps what it took.
        let taken = claim(&elsewhere, 1, None, &beat_now());
        fs::write(folder.path().join(FILE_NAME), to_json(&taken)).unwrap();
        drop(second);
        assert_eq!(holder(folder.path()).unwrap(), taken.holder);
    }

    #[test]
    fn a_claim_that_is_being_written_is_not_stale() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), "{").unwrap();
        assert!(is_beating(folder.path()) && Heartbeat::try_start(folder.path()).unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_knows_when_a_process_began() {
        let own = process_began(std::process::id());
        assert!(own > process_began(1), "{own:?}");
        assert_eq!(process_began(u32::MAX), None);
    }
}
