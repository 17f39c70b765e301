//! Feeds hostile inputs to everything that reads files of strangers.
//!
//! ```text
//! cargo run --release --example fuzz -- [--inputs 1000000] [--seed 1] [--format yaml]...
//! cargo run --release --example fuzz -- --format yaml --seed 1 --index 123     # one input again
//! ```
//!
//! Every input follows from format, seed and number. It may take ten seconds and hold 1 GiB; a panic, a hang, more memory
//! or a crash is told with the number, and the input is kept under `target/fuzz`. The exit code is 1 if there was any.

mod formats;
mod memory;
mod worker;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use formats::{FORMATS, Format};
use worker::{HANGS, Outcome, Task, work};

/// Inputs of one process.
const CHUNK: u64 = 5_000;
/// Processes that may die of as many inputs of a chunk before it is given up.
const MOST_DEATHS: usize = 20;

struct Arguments {
    inputs: u64,
    seed: u64,
    formats: Vec<&'static Format>,
    index: Option<u64>,
    /// Given to a process by its parent: the first input, the one behind the last, and those to leave out.
    chunk: Option<(u64, u64, BTreeSet<u64>)>,
}

fn main() -> Result<ExitCode> {
    let arguments = arguments()?;
    let folder = Path::new("target/fuzz");
    fs::create_dir_all(folder)?;
    if let Some((from, to, skipped)) = arguments.chunk {
        let task = Task { format: arguments.formats[0], seed: arguments.seed, from, to, skipped };
        let scratch = scratch();
        fs::create_dir_all(&scratch)?;
        let progress = progress(std::os::unix::process::parent_id());
        // On a thread, since the program reads most files on threads, whose stacks are smaller than the first one's.
        let work = || work(&task, &scratch, &progress);
        let outcome = thread::scope(|scope| scope.spawn(work).join()).expect("panics are caught");
        fs::remove_dir_all(&scratch)?;
        println!("{}", serde_json::to_string(&outcome)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(index) = arguments.index {
        ensure!(arguments.formats.len() == 1, "--index needs one --format");
        return again(arguments.formats[0], arguments.seed, index, folder);
    }
    let mut failures = 0;
    let mut all = 0;
    for format in &arguments.formats {
        let inputs = if arguments.formats.len() == FORMATS.len() {
            arguments.inputs * format.percent / 100
        } else {
            arguments.inputs / arguments.formats.len() as u64
        };
        all += inputs;
        failures += run(format, arguments.seed, inputs, folder)?;
    }
    println!("{all} inputs, {failures} failures");
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn arguments() -> Result<Arguments> {
    let mut found = Arguments { inputs: 100_000, seed: 1, formats: Vec::new(), index: None, chunk: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--inputs" => found.inputs = value.parse()?,
            "--seed" => found.seed = value.parse()?,
            "--format" => {
                let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
                let unknown = || format!("no format {value}; there are {}", names.join(", "));
                found.formats.push(Format::named(&value).with_context(unknown)?);
            }
            "--index" => found.index = Some(value.parse()?),
            "--chunk" => {
                let numbers: Vec<u64> = value.split(',').map(str::parse).collect::<Result<_, _>>()?;
                let [from, to, skipped @ ..] = numbers.as_slice() else { bail!("a chunk has two ends") };
                found.chunk = Some((*from, *to, skipped.iter().copied().collect()));
            }
            _ => bail!("{word}: there are --inputs, --seed, --format and --index"),
        }
    }
    if found.formats.is_empty() {
        found.formats = FORMATS.iter().collect();
    }
    Ok(found)
}

/// The folder that inputs lie in while they are read.
fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("sweep-fuzz-{}", std::process::id()))
}

/// The file in which a process says which input it is at.
fn progress(parent: u32) -> PathBuf {
    std::env::temp_dir().join(format!("sweep-fuzz-{parent}.progress"))
}

/// Feeds so many inputs of a format, and says what came of it. The answer is the number of failures.
fn run(format: &'static Format, seed: u64, inputs: u64, folder: &Path) -> Result<usize> {
    let start = Instant::now();
    let mut total = Outcome::default();
    let mut failures: Vec<(u64, String)> = Vec::new();
    for from in (0..inputs).step_by(CHUNK as usize) {
        let to = (from + CHUNK).min(inputs);
        let mut deaths = BTreeSet::new();
        let outcome = loop {
            match chunk(format, seed, from, to, &deaths)? {
                Ok(outcome) => break outcome,
                Err((index, how)) => {
                    println!("{}: input {index}: {how}", format.name);
                    failures.push((index, how));
                    deaths.insert(index);
                    ensure!(deaths.len() < MOST_DEATHS, "{}: too many processes die", format.name);
                }
            }
        };
        for (index, panic) in &outcome.panics {
            println!("{}: input {index}: panic: {panic}", format.name);
            failures.push((*index, panic.clone()));
        }
        if let Some(bytes) = outcome.leaked {
            println!("{}: inputs {from} to {to}: {bytes} bytes were not given back", format.name);
            failures.push((from, "leak".to_owned()));
        }
        total.inputs += deaths.len() as u64;
        total.add(outcome);
    }
    for (index, _) in failures.iter().take(100) {
        keep(format, seed, *index, folder)?;
    }
    tell(format, &total, start.elapsed().as_secs_f64());
    Ok(failures.len())
}

fn tell(format: &Format, total: &Outcome, seconds: f64) {
    let share = |part: u64| 100.0 * part as f64 / total.inputs.max(1) as f64;
    println!(
        "{:<12} {:>8} inputs  {:>5.1} % past the header  {:>5.1} % accepted  {:>5} bytes each  most memory {:>7.1} MiB (input {})  \
         slowest {:>6.3} s (input {})  {:>5.0} s",
        format.name,
        total.inputs,
        share(total.past_header),
        share(total.accepted),
        total.input_bytes / total.inputs.max(1),
        total.peak.0 as f64 / f64::from(1 << 20),
        total.peak.1,
        total.slowest.0,
        total.slowest.1,
        seconds,
    );
    for (place, count) in &total.contained {
        println!("{:<12} {count:>8} contained panics at {place}", "");
    }
}

/// What came of the inputs of a chunk in a process of their own, or which input it died of, and how.
fn chunk(
    format: &Format,
    seed: u64,
    from: u64,
    to: u64,
    skipped: &BTreeSet<u64>,
) -> Result<Result<Outcome, (u64, String)>> {
    let numbers: Vec<String> = [from, to].iter().chain(skipped).map(u64::to_string).collect();
    let output = Command::new(std::env::current_exe()?)
        .args(["--format", format.name, "--seed", &seed.to_string(), "--chunk", &numbers.join(",")])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if output.status.success() {
        return Ok(Ok(serde_json::from_slice(&output.stdout).context("what a process says of its inputs")?));
    }
    let progress = progress(std::process::id());
    let number = fs::read(&progress).ok().and_then(|bytes| bytes.try_into().ok());
    let index = u64::from_le_bytes(number.context("a process died before its first input")?);
    let said = String::from_utf8_lossy(&output.stderr);
    let how = match output.status.code() {
        Some(HANGS) => format!("takes more than {} seconds", worker::SECONDS),
        _ => format!("{}: {}", output.status, said.trim().lines().next().unwrap_or("no words")),
    };
    Ok(Err((index, how)))
}

/// Saves an input to look at.
fn keep(format: &Format, seed: u64, index: u64, folder: &Path) -> Result<PathBuf> {
    let folder = folder.join(format!("{}-{seed}-{index}", format.name));
    fs::create_dir_all(&folder)?;
    format.input(seed, index).write(&folder);
    Ok(folder)
}

/// Feeds one input as it comes, with panics printed.
fn again(format: &Format, seed: u64, index: u64, folder: &Path) -> Result<ExitCode> {
    let kept = keep(format, seed, index, folder)?;
    println!("the input lies in {}", kept.display());
    let input = format.input(seed, index);
    let scratch = scratch();
    fs::create_dir_all(&scratch)?;
    input.write(&scratch);
    memory::begin();
    let start = Instant::now();
    let reached = (format.feed)(&scratch, &input);
    println!(
        "{reached:?} after {:.3} s, with {} bytes held at most",
        start.elapsed().as_secs_f64(),
        memory::peak()
    );
    fs::remove_dir_all(&scratch)?;
    Ok(ExitCode::SUCCESS)
}
