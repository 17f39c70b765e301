//! Whether memory and disk hold what is about to run.

use std::path::Path;

use super::execute::{ExecuteError, Options};
use super::launcher::Task;
use super::resources;
use super::share::Slots;
use crate::train::Preflight;

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

    #[test]
    fn disk_is_needed_for_each_trained_run_and_for_resuming_those_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let mut zero_shot = planned("r0");
        zero_shot.recipe.kind = Kind::ZeroShot;
        let specs = [zero_shot, planned("r1"), planned("r2"), planned("r3")];
        let tasks = specs.map(|spec| task(folder.path(), spec));
        let measured = Preflight { step_seconds: 1.0, peak_memory_bytes: 0, checkpoint_bytes: 10 };
        let needed = |at_work| disk_needed(&tasks, at_work, measured);
        assert_eq!((needed(1), needed(2), needed(usize::MAX)), (50, 70, 90));
    }
}
