//! Every call that a sweep makes on a file fails once: each time the sweep ends in a state that has a name, and the next
//! `sweep run` completes it, with the tables of an undisturbed sweep.
//!
//! The calls fail in a layer that the dynamic linker puts before the C library (`tests/faults/preload.rs`, built here with
//! `rustc`), so this is for Linux alone. `SWEEP_FAULT_STRIDE=1` lets every call fail, `SWEEP_FAULT_FROM=1000` those from that
//! one on, `SWEEP_FAULT_KINDS=EIO,full` only in these ways; without them a sample of the calls fails in each of the ways.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sweep::record::{RunRecord, Store};

use crate::toy::{self, difference, tables};
use crate::workdir::Workdir;

/// The ways in which a call fails. `full` is a disk that stays full from that call on; `kill` ends the process in the
/// middle of a write, or just after any other call.
const KINDS: [&str; 6] = ["EIO", "ENOSPC", "full", "EINTR", "short", "kill"];

/// Without a wish one call in so many fails, in each of the ways another.
const STRIDE: usize = 127;

/// Nothing of the toy takes anywhere near this long.
const HANGS: Duration = Duration::from_secs(60);

/// Builds the layer into a folder and returns its path.
pub fn build_layer(folder: &Path) -> PathBuf {
    let library = folder.join("libfaults.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/preload.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let options =
        ["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort", "-Copt-level=2", "-Dwarnings", "-o"];
    let built = Command::new(rustc).args(options).arg(&library).arg(source).status();
    assert!(built.is_ok_and(|status| status.success()), "rustc cannot build the layer");
    library
}

/// What came of a sweep in which a call may have failed.
struct Met {
    status: ExitStatus,
    /// All that it printed, and all that its runs wrote into their logs.
    said: String,
    /// The call that failed, where the sweep came so far.
    call: Option<String>,
    /// Calls that could have failed.
    calls: u64,
}

/// A toy sweep to break, in a folder of its own.
struct Bench {
    workdir: Workdir,
    layer: PathBuf,
}

impl Bench {
    fn new(layer: &Path) -> Self {
        Self { workdir: toy::prepared(), layer: layer.to_owned() }
    }

    fn runs(&self) -> PathBuf {
        self.workdir.path().join("runs")
    }

    /// Begins anew and lets the call of a number fail; 0 lets none fail.
    fn break_call(&self, kind: &str, number: u64) -> Result<Met, String> {
        let _ = fs::remove_dir_all(self.runs());
        fs::create_dir(self.runs()).unwrap();
        let counter = self.workdir.path().join("counter");
        fs::write(&counter, [0; 4096]).unwrap();
        let mut command = self.workdir.command(&toy::command(1));
        command.env("LD_PRELOAD", &self.layer).env("FAULT_FOLDER", fs::canonicalize(self.runs()).unwrap());
        command.env("FAULT_COUNTER", &counter).env("FAULT_KIND", kind).env("FAULT_AT", number.to_string());
        let (status, said) = self.finish(command)?;
        let counted = fs::read(&counter).unwrap();
        let number = |place: usize| u64::from_le_bytes(counted[place..place + 8].try_into().unwrap());
        let text = counted[16..].split(|byte| *byte == 0).next().unwrap_or_default();
        let call = (number(8) == 1).then(|| String::from_utf8_lossy(text).into_owned());
        Ok(Met { status, said, call, calls: number(0) })
    }

    /// Goes on without faults.
    fn go_on(&self) -> Result<(ExitStatus, String), String> {
        self.finish(self.workdir.command(&toy::command(1)))
    }

    /// Waits for a command, but not forever.
    fn finish(&self, mut command: Command) -> Result<(ExitStatus, String), String> {
        let printed = self.workdir.path().join("printed.txt");
        let file = File::create(&printed).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut child = command.spawn().unwrap();
        let began = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if began.elapsed() > HANGS => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("hangs\n{}", fs::read_to_string(&printed).unwrap()));
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        Ok((status, fs::read_to_string(&printed).unwrap() + &self.logs()))
    }

    fn logs(&self) -> String {
        let folders = fs::read_dir(self.runs().join(toy::NAME)).into_iter().flatten();
        let texts = folders.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("log.txt")).ok());
        texts.collect::<Vec<_>>().join("")
    }

    fn records(&self) -> Vec<RunRecord> {
        Store::new(&self.runs()).sweep(toy::NAME).read_records().unwrap_or_default()
    }
}

fn is_complete(record: &RunRecord) -> bool {
    record.status.is_some_and(|status| status.is_complete())
}

/// Lets one call fail, and says what is wrong with what comes of it. `None` where the sweep has no such call.
fn walk(
    bench: &Bench,
    kind: &str,
    number: u64,
    undisturbed: &BTreeMap<String, String>,
) -> Option<Result<(), String>> {
    let met = match bench.break_call(kind, number) {
        Ok(met) => met,
        Err(problem) => return Some(Err(problem)),
    };
    let call = met.call.clone()?;
    Some(judge(bench, kind, &met, undisturbed).map_err(|problem| format!("{call}: {problem}")))
}

fn judge(bench: &Bench, kind: &str, met: &Met, undisturbed: &BTreeMap<String, String>) -> Result<(), String> {
    let said = &met.said;
    let is_killed = kind == "kill";
    let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}; it said\n{said}")) };
    must(!said.contains("panicked"), "panics")?;
    let records = bench.records();
    let finished: Vec<(String, u64)> = records
        .iter()
        .filter(|run| is_complete(run))
        .map(|run| (run.spec.id.clone(), run.attempts))
        .collect();
    match met.status.code() {
        Some(0) => must(
            !records.is_empty() && records.iter().all(is_complete),
            "a run is missing after all is well",
        )?,
        // Where the disk is full an end cannot be recorded, but it is said. After some failures no other run starts.
        Some(3) => {
            let is_waiting = |run: &RunRecord| run.attempts == 0 && said.contains(" waiting\n");
            let is_said = |run: &RunRecord| said.contains(&run.spec.id[..7]);
            let has_end = |run: &RunRecord| run.status.is_some() || is_said(run) || is_waiting(run);
            must(records.iter().all(has_end), "a run has no end")?;
        }
        Some(1 | 2) => must(said.contains("error: "), "does not say why")?,
        Some(130) | None if is_killed => {}
        _ => must(false, &format!("ends with {}", met.status))?,
    }
    if ["EINTR", "short"].contains(&kind) {
        must(met.status.success(), "takes a call that was cut short for a failure")?;
        must(records.iter().all(|run| run.attempts == 1), "begins a run again")?;
    }
    let (status, said) = bench.go_on()?;
    let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}; it said\n{said}")) };
    must(status.success(), "the next sweep run does not complete it")?;
    must(!said.contains("panicked"), "the next sweep run panics")?;
    let records = bench.records();
    let is_as_before = |(id, attempts): &(String, u64)| {
        records.iter().any(|run| run.spec.id == *id && run.attempts == *attempts && is_complete(run))
    };
    must(finished.iter().all(is_as_before), "a finished run was run again")?;
    let difference = difference(&tables(&bench.runs(), toy::NAME), undisturbed);
    must(difference.is_empty(), &difference)
}

fn chosen(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

#[test]
fn whatever_call_on_a_file_fails_the_next_sweep_run_completes_the_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let layer = build_layer(folder.path());
    let stride = chosen("SWEEP_FAULT_STRIDE").map_or(STRIDE, |text| text.parse().unwrap());
    let from = chosen("SWEEP_FAULT_FROM").map_or(1, |text| text.parse().unwrap());
    let kinds = chosen("SWEEP_FAULT_KINDS").unwrap_or_else(|| KINDS.join(","));
    let kinds: Vec<&str> = kinds.split(',').collect();

    let bench = Bench::new(&layer);
    let counted = bench.break_call("count", 0).unwrap();
    assert!(counted.status.success(), "{}", counted.said);
    let undisturbed = tables(&bench.runs(), toy::NAME);
    let calls = counted.calls as usize;
    assert!(calls > 300, "the layer sees {calls} calls");

    let problems = Mutex::new(Vec::new());
    // All kinds of failing at the first call, then at the next. Each kind begins elsewhere, so that a sample has many.
    let points = (calls + 1).saturating_sub(from).div_ceil(stride) + 1;
    let next = AtomicUsize::new(0);
    let walked: BTreeMap<&str, AtomicUsize> = kinds.iter().map(|kind| (*kind, AtomicUsize::new(0))).collect();
    let work = || {
        let bench = Bench::new(&layer);
        loop {
            let place = next.fetch_add(1, Ordering::SeqCst);
            let (kind, point) = (place % kinds.len(), place / kinds.len());
            if point >= points {
                return;
            }
            let number = from + point * stride + kind * stride / kinds.len();
            match walk(&bench, kinds[kind], number as u64, &undisturbed) {
                None => continue,
                Some(Ok(())) => {}
                Some(Err(problem)) => {
                    let problem = format!("{} at call {number}: {problem}", kinds[kind]);
                    if chosen("SWEEP_FAULT_STRIDE").is_some() {
                        println!("{problem}");
                    }
                    problems.lock().unwrap().push(problem);
                }
            }
            walked[kinds[kind]].fetch_add(1, Ordering::SeqCst);
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let problems = problems.into_inner().unwrap();
    println!("{calls} calls; walked {walked:?}; {} problems", problems.len());
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n\n"));
    assert!(walked.values().all(|points| points.load(Ordering::SeqCst) > 0), "{walked:?}");
}
