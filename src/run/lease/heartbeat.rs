//! A lease that needs no locks: a file that its holder writes anew every few seconds.
//!
//! Where the holder is a process of this machine (same host, boot and namespace of process numbers), the system knows
//! whether it lives. Elsewhere only the beats tell: the times at which the file was written, by the clock of the file
//! system, which all machines share. A holder that was taken for dead and was not, because its machine slept, learns so
//! from the file and ends at once: it must not write another word.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Holder, read_json};
use crate::record::store::{remove_file, write_atomic};

const FILE_NAME: &str = ".lease";
const BEAT: Duration = Duration::from_secs(15);
/// A holder elsewhere that is silent for so long is gone. Some beats may be late, and a network's file system may show
/// times that are a minute old.
pub const SILENCE: Duration = Duration::from_secs(180);
/// Who takes a folder over from one that is gone waits so long to see whether another does the same.
const SETTLING: Duration = Duration::from_secs(1);

/// What a holder writes of itself. Its last beat is when the file was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    holder: Holder,
    machine: Machine,
    /// When the process began, by the machine's own count: a number is given to another process one day.
    began: Option<u64>,
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
        Self { machine: Machine::this(), began, holder }
    }

    /// Whether the system here knows if the holder lives.
    fn is_of(&self, here: &Machine) -> bool {
        self.machine == *here && here.boot.is_some() && self.began.is_some()
    }

    /// Whether the holder is gone that was heard so long ago. `process_began` tells when the process of a number here
    /// began, if there is one.
    fn is_stale(
        &self,
        silence: Duration,
        here: &Machine,
        process_began: impl Fn(u32) -> Option<u64>,
    ) -> bool {
        if self.is_of(here) { process_began(self.holder.pid) != self.began } else { silence > SILENCE }
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
        let is_ours = create(&path, &claim)? || (!is_taken(folder) && take_over(&path, &claim)?);
        Ok(is_ours.then(|| Self::start(path, claim, give_up)))
    }

    /// Makes sure that nobody has taken the folder over.
    pub fn check(&self) -> io::Result<()> {
        match read_json::<Claim>(&self.path) {
            Some(claim) if claim != self.claim => Err(io::Error::other(loss(&self.path, &claim.holder))),
            _ => Ok(()),
        }
    }

    fn start(path: PathBuf, claim: Claim, lost: fn(&Path, &Holder)) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let (place, own) = (path.clone(), claim.clone());
        let beats = thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                match read_json::<Claim>(&place) {
                    Some(claim) if claim != own => return lost(&place, &claim.holder),
                    // One beat that fails is made up for by the next.
                    _ => drop(write_atomic(&place, to_json(&own).as_bytes())),
                }
            }
        });
        Self { path, claim, stop: Some(stop), beats: Some(beats) }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.beats.take().map(thread::JoinHandle::join);
        if read_json::<Claim>(&self.path).is_some_and(|claim| claim == self.claim) {
            let _ = remove_file(&self.path);
        }
    }
}

/// Ends the process whose folder another has taken over.
fn give_up(lease: &Path, holder: &Holder) {
    let _ = writeln!(io::stderr(), "error: {}", loss(lease, holder));
    process::exit(1);
}

fn loss(lease: &Path, holder: &Holder) -> String {
    format!(
        "{}: this process gave no sign of life for {} s, and another has taken the folder over: {holder}",
        lease.parent().unwrap_or(lease).display(),
        SILENCE.as_secs()
    )
}

/// Whether someone seems to hold the folder by a heartbeat. Writes nothing, and believes the clock of this machine.
pub fn is_beating(folder: &Path) -> bool {
    is_fresh(&folder.join(FILE_NAME), SystemTime::now)
}

/// Whether someone holds the folder by a heartbeat, by the clock of the file system. Only for who may write there.
pub fn is_taken(folder: &Path) -> bool {
    is_fresh(&folder.join(FILE_NAME), || time_in(folder))
}

/// Who holds the folder by a heartbeat.
pub fn holder(folder: &Path) -> Option<Holder> {
    read_json::<Claim>(&folder.join(FILE_NAME)).map(|claim| claim.holder)
}

/// How long a holder on another machine has been silent.
pub fn silence_of_distant(folder: &Path) -> Option<Duration> {
    let path = folder.join(FILE_NAME);
    let claim: Claim = read_json(&path)?;
    (!claim.is_of(&Machine::this())).then(|| silence(&path, SystemTime::now())).flatten()
}

/// Puts the claim there if no other is.
fn create(path: &Path, claim: &Claim) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(to_json(claim).as_bytes()).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts the claim in the place of a stale one. Of several who do, the last has it.
fn take_over(path: &Path, claim: &Claim) -> io::Result<bool> {
    write_atomic(path, to_json(claim).as_bytes()).map_err(io::Error::other)?;
    thread::sleep(SETTLING);
    Ok(read_json::<Claim>(path).is_some_and(|found| found == *claim))
}

fn is_fresh(path: &Path, now: impl Fn() -> SystemTime) -> bool {
    // What is not there holds nothing, and what cannot be looked at is better left alone.
    if !path.exists() {
        return false;
    }
    let Some(silence) = silence(path, now()) else { return path.exists() };
    match read_json::<Claim>(path) {
        Some(claim) => !claim.is_stale(silence, &Machine::this(), process_began),
        // It is being written at this moment, or its writer died over it.
        None => silence <= SILENCE,
    }
}

/// How long ago a file was written; none at all where that is in the future.
fn silence(path: &Path, now: SystemTime) -> Option<Duration> {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    Some(now.duration_since(written).unwrap_or_default())
}

/// The time by the clock that stamps the files of a folder. On a network it is the server's.
fn time_in(folder: &Path) -> SystemTime {
    let path = folder.join(format!("{FILE_NAME}.{}.0.tmp", process::id()));
    let stamped = File::create(&path).and_then(|file| file.metadata()?.modified());
    let _ = remove_file(&path);
    stamped.unwrap_or_else(|_| SystemTime::now())
}

fn to_json(claim: &Claim) -> String {
    serde_json::to_string(claim).unwrap_or_default()
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
    began(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The same from what the system says of the process. One that has ended and that nobody has asked after is a zombie:
/// where orphans have no parent to ask, as in some containers, it stays one.
fn began(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything; the beginning is the 22nd field, and the 20th behind the name.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let lives = !matches!(fields.next()?, "Z" | "X" | "x");
    fields.nth(18).filter(|_| lives)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(host: &str, boot: &str, namespace: &str) -> Machine {
        Machine { host: host.to_owned(), boot: Some(boot.to_owned()), namespace: Some(namespace.to_owned()) }
    }

    fn claim(machine: &Machine, pid: u32, began: Option<u64>) -> Claim {
        let holder = Holder { pid, host: machine.host.clone(), since: "2026-01-09T11:00:00Z".to_owned() };
        Claim { holder, machine: machine.clone(), began }
    }

    /// Writes the file of a claim as if it had been heard last so long ago.
    fn write(folder: &Path, claim: &Claim, silence: Duration) {
        let path = folder.join(FILE_NAME);
        fs::write(&path, to_json(claim)).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - silence).unwrap();
    }

    #[test]
    fn a_lease_is_stale_when_its_process_is_gone_from_this_machine_or_is_silent_on_another() {
        let here = machine("a", "1", "n");
        // Only process 7 lives here, since tick 70.
        let alive = |pid| (pid == 7).then_some(70);
        let (fresh, old) = (Duration::from_secs(10), Duration::from_secs(600));
        let unknown = Machine { boot: None, namespace: None, ..here.clone() };
        let table = [
            ("alive", claim(&here, 7, Some(70)), fresh, false),
            ("alive after the machine slept", claim(&here, 7, Some(70)), old, false),
            ("dead, and its last beat a moment ago", claim(&here, 8, Some(70)), fresh, true),
            ("its number is another process's now", claim(&here, 7, Some(60)), fresh, true),
            ("other host, beating", claim(&machine("b", "2", "n"), 8, Some(70)), fresh, false),
            ("other host, silent", claim(&machine("b", "2", "n"), 7, Some(70)), old, true),
            ("this host before its last boot", claim(&machine("a", "0", "n"), 7, Some(70)), old, true),
            ("another container, beating", claim(&machine("a", "1", "m"), 8, Some(70)), fresh, false),
            ("a system that tells nothing, beating", claim(&unknown, 8, None), fresh, false),
            ("a system that tells nothing, silent", claim(&unknown, 7, None), old, true),
        ];
        for (case, claim, silence, is_stale) in table {
            assert_eq!(claim.is_stale(silence, &here, alive), is_stale, "{case}");
        }
    }

    #[test]
    fn a_folder_has_one_holder_and_the_claim_of_a_dead_one_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = Heartbeat::try_start(folder).unwrap().unwrap();
        assert!(is_beating(folder) && is_taken(folder) && Heartbeat::try_start(folder).unwrap().is_none());
        assert_eq!(holder(folder).unwrap().pid, process::id());
        assert_eq!(silence_of_distant(folder), None);
        drop(first);
        assert!(!is_beating(folder) && fs::read_dir(folder).unwrap().next().is_none());

        let elsewhere = claim(&machine("elsewhere", "2", "n"), 1, Some(1));
        write(folder, &elsewhere, SILENCE - Duration::from_secs(60));
        assert!(is_beating(folder) && is_taken(folder) && Heartbeat::try_start(folder).unwrap().is_none());
        assert!(silence_of_distant(folder).unwrap() >= SILENCE - Duration::from_secs(60));
        write(folder, &elsewhere, SILENCE + Duration::from_secs(60));
        assert!(!is_beating(folder) && !is_taken(folder));
        let second = Heartbeat::try_start(folder).unwrap().unwrap();
        assert!(is_beating(folder));
        // Another that took this process for dead keeps what it took.
        second.check().unwrap();
        write(folder, &elsewhere, Duration::ZERO);
        assert!(
            second
                .check()
                .unwrap_err()
                .to_string()
                .contains("another has taken the folder over: process 1 on")
        );
        drop(second);
        assert_eq!(holder(folder).unwrap(), elsewhere.holder);
    }

    #[test]
    fn of_several_who_take_over_from_a_dead_holder_one_gets_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        write(folder.path(), &claim(&machine("elsewhere", "2", "n"), 1, Some(1)), 2 * SILENCE);
        let here = machine("a", "1", "n");
        let got: Vec<bool> = thread::scope(|scope| {
            let takers = (0..8).map(|pid| claim(&here, pid, Some(1)));
            let takers: Vec<_> = takers
                .map(|claim| {
                    scope.spawn(|| {
                        let claim = claim;
                        take_over(&path, &claim).unwrap()
                    })
                })
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).collect()
        });
        assert_eq!(got.iter().filter(|got| **got).count(), 1, "{got:?}");
    }

    #[test]
    fn a_claim_that_is_being_written_is_not_stale_and_one_whose_writer_died_is_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "{").unwrap();
        assert!(is_beating(folder.path()) && Heartbeat::try_start(folder.path()).unwrap().is_none());
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - 2 * SILENCE).unwrap();
        assert!(!is_taken(folder.path()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_knows_when_a_process_began() {
        let own = process_began(process::id());
        assert!(own > process_began(1), "{own:?}");
        assert_eq!(process_began(u32::MAX), None);
        let stat = |state| format!("7 (a (b) c) {state} 1 {} 4711 9 9", "0 ".repeat(17).trim_end());
        assert_eq!(
            ["S", "R", "T", "Z", "X"].map(|state| began(&stat(state))),
            [Some(4711), Some(4711), Some(4711), None, None]
        );
    }
}
