//! How a run ended that could not say so itself: its process was killed, crashed, or never started.
//!
//! Every end has a name. The run's own `ended` line counts where there is one; else the parent writes one, from how
//! the process exited and what memory the machine had.

use anyhow::{Context, ensure};

use super::launcher::Exit;
use super::lease::Lease;
use super::log::last_lines;
use crate::record::event::{Ended, Status, Summary};
use crate::record::{Event, Journal, RunDir, RunRecord};
use crate::train::early_stopping::Progress;

const SIGKILL: i32 = 9;
/// What Rust's allocator says on standard error before it aborts.
const ALLOCATION_FAILED: &str = "memory allocation of ";
/// What is to be done for want of memory.
pub const LESS_MEMORY: &str = "hint: run fewer at once with `--jobs`, or lower `batch_size`";
/// How graphics drivers and candle word it.
const OUT_OF_MEMORY: [&str; 3] = ["out of memory", "OUT_OF_MEMORY", "ALLOC_FAILED"];

/// The end of a run whose process is gone, as its journal has it. Where the process did not say how it ended, the end
/// is worked out and appended; then the second value tells whether that succeeded.
///
/// `attempts_before` is the record's number of attempts before the process started, `ran_out_of_memory` whether the
/// operating system killed a process for want of memory meanwhile.
pub fn settle(
    record: &RunRecord,
    directory: &RunDir,
    attempts_before: u64,
    exit: Exit,
    ran_out_of_memory: bool,
) -> (Ended, anyhow::Result<()>) {
    // An orphan of an earlier sweep may have finished it meanwhile.
    let is_finished = record.status.is_some_and(Status::is_complete);
    let said_itself = record.attempts > attempts_before || is_finished;
    if let (true, Some(status)) = (said_itself, record.status) {
        let summary = record.summary.clone().unwrap_or_default();
        return (Ended { status, reason: record.reason.clone(), summary }, Ok(()));
    }
    let log = last_lines(&directory.log(), 5).join("\n");
    let (status, reason) = name_exit(exit, &log, ran_out_of_memory);
    name(record, directory, attempts_before, status, reason)
}

/// Gives a run whose process is gone its end, in place of one that it may have recorded itself. The second value tells
/// whether the end could be recorded.
pub fn name(
    record: &RunRecord,
    directory: &RunDir,
    attempts_before: u64,
    status: Status,
    reason: String,
) -> (Ended, anyhow::Result<()>) {
    let said_itself = record.summary.clone().filter(|_| record.attempts > attempts_before);
    let summary = said_itself.unwrap_or_else(|| summary_so_far(record));
    let ended = Ended { status, reason: Some(reason), summary };
    let attempt = record.attempts.max(attempts_before + 1);
    let appended = append(directory, attempt, ended.clone());
    (ended, appended)
}

/// The end of a run whose process could not be started. The second value tells whether it could be recorded: where the
/// folder cannot be written, which may be why, there is no place for it.
pub fn never_started(
    record: &RunRecord,
    directory: &RunDir,
    error: &anyhow::Error,
) -> (Ended, anyhow::Result<()>) {
    let ended =
        Ended { status: Status::Failed, reason: Some(format!("{error:#}")), summary: summary_so_far(record) };
    let appended = append(directory, record.attempts + 1, ended.clone());
    (ended, appended)
}

/// The end of a run that waits, in favour of better ones. The second value tells whether it could be recorded.
pub fn stop(record: &RunRecord, directory: &RunDir, reason: String) -> (Ended, anyhow::Result<()>) {
    let summary = record.summary.clone().unwrap_or_else(|| summary_so_far(record));
    let ended = Ended { status: Status::Pruned, reason: Some(reason), summary };
    let appended = append(directory, record.attempts.max(1), ended.clone());
    (ended, appended)
}

fn append(directory: &RunDir, attempt: u64, ended: Ended) -> anyhow::Result<()> {
    // The worker of an earlier sweep may still be at its end; a log has one writer at a time.
    let lease = Lease::try_take(&directory.path)?;
    let _lease = lease.context("another process is at work on the run")?;
    let is_finished = directory.read_end().is_some_and(|end| end.status.is_complete());
    ensure!(!is_finished, "another process has finished the run");
    let mut journal = Journal::open(&directory.events(), attempt)?;
    journal.append(Event::Ended(Box::new(ended)))?;
    Ok(())
}

/// The name of an error's end, by its words: an accelerator's memory runs out as an ordinary error.
pub fn status_of_error(words: &str) -> Status {
    if OUT_OF_MEMORY.iter().any(|phrase| words.contains(phrase)) {
        Status::OutOfMemory
    } else {
        Status::Failed
    }
}

fn name_exit(exit: Exit, log: &str, ran_out_of_memory: bool) -> (Status, String) {
    match exit {
        Exit::Signal(SIGKILL) if ran_out_of_memory => (
            Status::OutOfMemory,
            format!("killed by the operating system for want of memory (SIGKILL)\n{LESS_MEMORY}"),
        ),
        Exit::Signal(_) if log.contains(ALLOCATION_FAILED) => {
            (Status::OutOfMemory, format!("memory could not be allocated\n{LESS_MEMORY}"))
        }
        Exit::Signal(signal) => (Status::Failed, format!("killed by signal {signal}{}", signal_name(signal))),
        // What keeps a worker from its journal it says in its log alone.
        Exit::Code(code) => {
            let words = last_error(log)
                .map_or("and no word why".to_owned(), |error| format!("after an error: {error}"));
            (Status::Failed, format!("its process exited with code {code} {words}"))
        }
    }
}

/// The error that the last attempt logged.
fn last_error(log: &str) -> Option<&str> {
    let mut lines = log.lines().rev().take_while(|line| !line.starts_with("attempt "));
    lines.find_map(|line| line.strip_prefix("error: "))
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        SIGKILL => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

/// What an unfinished run came to, from the curve it recorded.
pub fn summary_so_far(record: &RunRecord) -> Summary {
    // The same rule as the run's own, so that its best epoch is the one whose checkpoint it kept.
    let mut progress = Progress::default();
    for evaluated in record.curve.iter().filter(|evaluated| evaluated.epoch > 0) {
        progress.observe(evaluated, &record.spec.recipe.early_stopping);
    }
    let last = record.curve.last();
    let last_step = record.steps.last().map_or(0, |step| step.step);
    Summary {
        epochs: last.map_or(0, |evaluated| evaluated.epoch),
        steps: last.map_or(0, |evaluated| evaluated.step).max(last_step),
        seconds: record.curve.iter().map(|evaluated| evaluated.seconds).sum(),
        initial: record.curve.iter().find(|evaluated| evaluated.epoch == 0).cloned(),
        best: progress.best,
        last: last.cloned(),
        skipped_steps: record.steps.last().and_then(|step| step.skipped_steps),
        ..Summary::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::dispatch::tests::{evaluated, planned};
    use crate::run::launcher::exit_code;

    fn end_of(exit: Exit, log: &str, ran_out_of_memory: bool) -> (Status, String) {
        let (status, reason) = name_exit(exit, log, ran_out_of_memory);
        (status, reason.lines().next().unwrap_or_default().to_owned())
    }

    #[test]
    fn every_exit_has_a_name() {
        let table = [
            (
                Exit::Signal(9),
                "",
                true,
                Status::OutOfMemory,
                "killed by the operating system for want of memory (SIGKILL)",
            ),
            (Exit::Signal(9), "", false, Status::Failed, "killed by signal 9 (SIGKILL)"),
            (Exit::Signal(15), "", true, Status::Failed, "killed by signal 15 (SIGTERM)"),
            (
                Exit::Signal(6),
                "memory allocation of 8 bytes failed",
                false,
                Status::OutOfMemory,
                "memory could not be allocated",
            ),
            (Exit::Code(101), "", false, Status::Failed, "its process exited with code 101 and no word why"),
            (
                Exit::Code(1),
                "attempt 2\nerror: x: no such file",
                false,
                Status::Failed,
                "its process exited with code 1 after an error: x: no such file",
            ),
        ];
        for (exit, log, memory, status, reason) in table {
            assert_eq!(end_of(exit, log, memory), (status, reason.to_owned()));
        }
    }

    #[test]
    fn an_error_about_memory_is_told_from_others() {
        assert_eq!(status_of_error("DriverError(CUDA_ERROR_OUT_OF_MEMORY, ..)"), Status::OutOfMemory);
        assert_eq!(status_of_error("CublasError(CUBLAS_STATUS_ALLOC_FAILED)"), Status::OutOfMemory);
        assert_eq!(status_of_error("no such file"), Status::Failed);
    }

    #[test]
    fn the_summary_of_a_run_cut_off_takes_the_best_epoch_of_its_curve_but_never_epoch_0() {
        let mut record = RunRecord::planned(planned("r1"));
        record.curve = vec![evaluated(0, 0.9), evaluated(1, 0.2), evaluated(2, 0.4), evaluated(3, 0.3)];
        let summary = summary_so_far(&record);
        assert_eq!(summary.epochs, 3);
        assert_eq!(summary.initial.unwrap().epoch, 0);
        assert_eq!(summary.best.unwrap().epoch, 2);
        assert_eq!(summary.last.unwrap().epoch, 3);
    }

    #[test]
    fn a_log_that_another_process_works_on_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDir { path: folder.path().to_owned() };
        let record = RunRecord::planned(planned("r1"));
        let settled = || settle(&record, &directory, 0, Exit::Signal(SIGKILL), false);
        let orphan = Lease::try_take(&directory.path).unwrap();
        let (ended, appended) = settled();
        assert_eq!(ended.status, Status::Failed);
        assert_eq!(appended.unwrap_err().to_string(), "another process is at work on the run");
        assert!(!directory.events().exists());
        drop(orphan);
        settled().1.unwrap();
        assert_eq!(directory.read_end().unwrap().status, Status::Failed);
    }

    #[test]
    fn a_run_that_an_orphan_finished_is_finished_however_its_own_process_ended() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDir { path: folder.path().to_owned() };
        let planned = RunRecord::planned(planned("r1"));
        let finished = RunRecord { status: Some(Status::Finished), attempts: 1, ..planned.clone() };
        for exit in [Exit::Code(exit_code::DONE), Exit::Signal(SIGKILL)] {
            assert_eq!(settle(&finished, &directory, 1, exit, false).0.status, Status::Finished);
            assert!(!directory.events().exists());
        }
        // It was finished after the record had been read.
        let ended = Ended { status: Status::Finished, reason: None, summary: Summary::default() };
        append(&directory, 1, ended).unwrap();
        let (_, appended) = settle(&planned, &directory, 0, Exit::Signal(SIGKILL), false);
        assert_eq!(appended.unwrap_err().to_string(), "another process has finished the run");
        assert_eq!(directory.read_end().unwrap().status, Status::Finished);
    }
}
