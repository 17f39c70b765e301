//! Whether memory and disk hold what is about to run.

use std::path::Path;

use super::execute::{ExecuteError, Options};
use super::launcher::Task;
use super::resources;
use super::share::Slots;
use crate::train::{DeviceMemory, Preflight};

/// As many runs as there are devices were asked for, so that memory cannot choose how many.
pub fn check_memory(
    options: &Options,
    slots: Slots,
    measured: Preflight,
    free: Option<u64>,
) -> Result<(), ExecuteError> {
    let needed = measured.peak_memory_bytes.saturating_mul(slots.jobs as u64);
    match free {
        Some(free) if free < needed && !options.devices.is_empty() => {
            Err(ExecuteError::MemoryFull { jobs: slots.jobs, free, needed })
        }
        _ => Ok(()),
    }
}

/// Refuses as many runs at a time on a device as its memory does not hold beside one another.
pub fn check_device_memory(device: &str, runs: usize, measured: Preflight) -> Result<(), ExecuteError> {
    let Some(DeviceMemory { of_a_run, left }) = measured.device_memory else { return Ok(()) };
    let needed = of_a_run.saturating_mul(runs.saturating_sub(1) as u64);
    if needed <= left {
        return Ok(());
    }
    Err(ExecuteError::DeviceMemoryFull { device: device.to_owned(), others: runs - 1, left, needed })
}

/// Bytes that the tasks' checkpoints take: one that stays for each, and two for each at work: the one to resume from,
/// and the next while it takes its place.
pub fn disk_needed(tasks: &[Task], at_work: usize, measured: Preflight) -> u64 {
    let trained = tasks.iter().filter(|task| task.spec.recipe.kind.trains()).count() as u64;
    measured.checkpoint_bytes * (trained + 2 * trained.min(at_work as u64))
}

pub fn check_disk(
    folder: &Path,
    tasks: &[Task],
    at_work: usize,
    measured: Preflight,
) -> Result<(), ExecuteError> {
    let needed = disk_needed(tasks, at_work, measured);
    match resources::free_disk(folder) {
        Some(free) if free < needed => {
            Err(ExecuteError::DiskFull { folder: folder.to_owned(), free, needed })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recipe::Kind;
    use crate::run::dispatch::tests::{planned, task};

    const MEASURED: Preflight =
        Preflight { step_seconds: 1.0, peak_memory_bytes: 0, checkpoint_bytes: 0, device_memory: None };

    #[test]
    fn runs_that_share_a_device_must_fit_into_what_the_first_leaves_of_its_memory() {
        let device_memory = Some(DeviceMemory { of_a_run: 3 << 30, left: 7 << 30 });
        let measured = Preflight { device_memory, ..MEASURED };
        let is_refused = |runs, measured| check_device_memory("cuda:1", runs, measured).is_err();
        assert_eq!([0, 1, 3, 4].map(|runs| is_refused(runs, measured)), [false, false, false, true]);
        assert!(!is_refused(99, MEASURED), "a device that does not tell");
        let words = check_device_memory("cuda:1", 4, measured).unwrap_err().to_string();
        insta::assert_snapshot!(words, @"
        beside one run 7.5 GB of the memory of cuda:1 are free, and 3 more at a time take about 9.7 GB
        hint: let fewer runs share it (`--devices`, `--jobs`), lower `batch_size`, or `--no-preflight` to start all the same
        ");
    }

    #[test]
    fn disk_is_needed_for_each_trained_run_and_for_resuming_those_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let mut zero_shot = planned("r0");
        zero_shot.recipe.kind = Kind::ZeroShot;
        let specs = [zero_shot, planned("r1"), planned("r2"), planned("r3")];
        let tasks = specs.map(|spec| task(folder.path(), spec));
        let measured = Preflight { checkpoint_bytes: 10, ..MEASURED };
        let needed = |at_work| disk_needed(&tasks, at_work, measured);
        assert_eq!((needed(1), needed(2), needed(usize::MAX)), (50, 70, 90));
    }
}
