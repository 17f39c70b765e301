//! Feeds inputs, one after the other, in a process that may die of one.
//!
//! Panics are caught and told. A process that hangs, runs out of memory or overflows its stack leaves the number of the
//! input behind, from which its parent goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sweep::data::image_file::decode_rgb;

use crate::formats::{Format, Input, Reached};
use crate::memory;

/// Longest time for one input, as the processor counts it; beyond it, it counts as a hang.
pub const SECONDS: u64 = 10;
/// The same by the clock on the wall, for who waits without working. Other programs may take most of a machine.
const SECONDS_WAITED: u64 = 120;
/// The exit code of a process that gave up on a hang.
pub const HANGS: i32 = 99;
/// What may stay allocated after some thousand inputs: caches are filled once.
const KEPT: usize = 64 << 20;

/// Which inputs to feed.
pub struct Task {
    pub format: &'static Format,
    pub seed: u64,
    pub from: u64,
    pub to: u64,
    pub skipped: BTreeSet<u64>,
}

/// What came of a number of inputs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub inputs: u64,
    /// Inputs that got past the header, and those of them that were accepted.
    pub past_header: u64,
    pub accepted: u64,
    pub input_bytes: u64,
    /// Most bytes held by one input, and its number.
    pub peak: (usize, u64),
    /// The same of seconds.
    pub slowest: (f64, u64),
    /// Panics in libraries that were contained, by their place.
    pub contained: BTreeMap<String, u64>,
    /// Inputs with a panic of our own, with what it said.
    pub panics: Vec<(u64, String)>,
    /// Bytes still held at the end, where they are too many.
    pub leaked: Option<usize>,
}

impl Outcome {
    pub fn add(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.past_header += other.past_header;
        self.accepted += other.accepted;
        self.input_bytes += other.input_bytes;
        if other.peak.0 > self.peak.0 {
            self.peak = other.peak;
        }
        if other.slowest.0 > self.slowest.0 {
            self.slowest = other.slowest;
        }
        for (place, count) in other.contained {
            *self.contained.entry(place).or_default() += count;
        }
        self.panics.extend(other.panics);
        self.leaked = self.leaked.max(other.leaked);
    }
}

/// What panicked since the present input began, as place and message.
static PANICS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
/// Milliseconds since the start at which the present input began; 0 between inputs.
static BEGAN: AtomicU64 = AtomicU64::new(0);

/// Feeds the inputs of a task. Before each its number goes to `progress`.
pub fn work(task: &Task, scratch: &Path, progress: &Path) -> Outcome {
    let progress = File::create(progress).expect("the scratch folder can be written");
    hear_panics();
    watch();
    let mut outcome = Outcome::default();
    let mut held = None;
    for index in (task.from..task.to).filter(|index| !task.skipped.contains(index)) {
        progress.write_at(&index.to_le_bytes(), 0).expect("the scratch folder can be written");
        feed(task, index, scratch, &mut outcome);
        // The first inputs fill tables and caches that stay.
        if index == task.from + 200 {
            held = Some(memory::held());
        }
    }
    let grown = held.map_or(0, |held| memory::held().saturating_sub(held));
    outcome.leaked = Some(grown).filter(|grown| *grown > KEPT);
    outcome
}

fn feed(task: &Task, index: u64, scratch: &Path, outcome: &mut Outcome) {
    let input = task.format.input(task.seed, index);
    input.write(scratch);
    memory::begin();
    let start = Instant::now();
    BEGAN.store(now().max(1), Relaxed);
    let result = catch_unwind(AssertUnwindSafe(|| (task.format.feed)(scratch, &input)));
    BEGAN.store(0, Relaxed);
    outcome.inputs += 1;
    outcome.input_bytes += input.files.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
    outcome.peak = outcome.peak.max((memory::peak(), index));
    let seconds = start.elapsed().as_secs_f64();
    if seconds > outcome.slowest.0 {
        outcome.slowest = (seconds, index);
    }
    let panics = std::mem::take(&mut *PANICS.lock().expect("no panic while it is held"));
    match result {
        Ok(reached) => {
            outcome.past_header += u64::from(reached > Reached::Header);
            outcome.accepted += u64::from(reached == Reached::Accepted);
            for (place, message) in panics {
                // A library's panic is contained; one of our own is a fault, contained or not.
                if place.starts_with("src/") {
                    outcome.panics.push((index, format!("contained, but our own: {message} ({place})")));
                } else {
                    *outcome.contained.entry(place).or_default() += 1;
                }
            }
        }
        Err(_) => {
            let said: Vec<String> =
                panics.into_iter().map(|(place, message)| format!("{message} ({place})")).collect();
            outcome.panics.push((index, said.join("; ")));
        }
    }
    clean(scratch, &input);
}

fn clean(scratch: &Path, input: &Input) {
    input.remove(scratch);
    // What a loader was given besides.
    let _ = fs::remove_file(scratch.join("a.png"));
}

/// Notes every panic, contained or not, in the place of printing it.
fn hear_panics() {
    // The program sets a hook of its own where it first contains a panic; ours has to stand before it.
    let _ = decode_rgb(&[]);
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(String::new, |place| {
            let file = place.file().rsplit_once("/registry/src/").map_or(place.file(), |(_, file)| file);
            format!("{file}:{}", place.line())
        });
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        let message = text.unwrap_or("no message").to_owned();
        PANICS.lock().expect("no panic while it is held").push((place, message));
    }));
}

fn now() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// Ends the process when an input takes too long.
fn watch() {
    now();
    thread::spawn(|| {
        let (mut watched, mut worked_before) = (0, 0);
        loop {
            thread::sleep(Duration::from_millis(200));
            let began = BEGAN.load(Relaxed);
            let worked = milliseconds_worked();
            if began != watched {
                (watched, worked_before) = (began, worked);
            }
            let waits = now().saturating_sub(began) > SECONDS_WAITED * 1000;
            if began > 0 && (waits || worked - worked_before > SECONDS * 1000) {
                std::process::exit(HANGS);
            }
        }
    });
}

/// The processor's time that this process has had, where the system says it as Linux does.
fn milliseconds_worked() -> u64 {
    const TICK_MILLISECONDS: u64 = 10;
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets: the state, ten numbers, and the time of the program and of the system for it.
    let numbers = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    numbers.skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum::<u64>() * TICK_MILLISECONDS
}
