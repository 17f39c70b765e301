//! Shares the machine out: how many runs at once, with how many threads each.

/// What the user asked for; `None` where the choice is ours.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish {
    pub jobs: Option<usize>,
    pub threads: Option<usize>,
}

/// What there is, and what a run takes of it.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    pub cores: usize,
    /// Bytes; `None` where not known.
    pub available_memory: Option<u64>,
    /// Most bytes that one run takes; `None` where not known.
    pub memory_of_a_run: Option<u64>,
    /// A model so small that a second thread gains it nothing.
    pub is_small_model: bool,
    /// The runs compute on one accelerator.
    pub on_accelerator: bool,
    /// Runs to do.
    pub runs: usize,
}

/// The choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    pub jobs: usize,
    pub threads: usize,
}

/// Of the memory that is available, so much may be planned with: estimates err, and others need some too.
const SHARE_OF_MEMORY: f64 = 0.8;

/// Several small models side by side use the cores better than one with many threads; a large one needs them all.
pub fn share_out(wish: Wish, situation: Situation) -> Slots {
    let Situation { cores, runs, .. } = situation;
    let most = if situation.is_small_model && !situation.on_accelerator { cores } else { 1 };
    let jobs = wish.jobs.unwrap_or_else(|| most.min(fitting(situation)).min(runs)).max(1);
    // Threads do not depend on how few runs are left: results are recorded with them, and a sweep that is resumed
    // shall go on with as many as it began with.
    let at_once = wish.jobs.unwrap_or_else(|| most.min(fitting(situation))).max(1);
    let threads = wish.threads.unwrap_or(cores / at_once).max(1);
    Slots { jobs, threads }
}

/// How many runs the memory holds.
fn fitting(situation: Situation) -> usize {
    match (situation.available_memory, situation.memory_of_a_run) {
        (Some(available), Some(of_a_run)) if of_a_run > 0 => {
            let usable = available as f64 * SHARE_OF_MEMORY;
            (usable / of_a_run as f64) as usize
        }
        _ => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn slots(wish: (Option<usize>, Option<usize>), change: impl FnOnce(&mut Situation)) -> (usize, usize) {
        let mut situation = Situation {
            cores: 8,
            available_memory: Some(16 * GIB),
            memory_of_a_run: Some(GIB / 2),
            is_small_model: true,
            on_accelerator: false,
            runs: 100,
        };
        change(&mut situation);
        let slots = share_out(Wish { jobs: wish.0, threads: wish.1 }, situation);
        (slots.jobs, slots.threads)
    }

    #[test]
    fn small_models_run_side_by_side_and_large_ones_alone() {
        assert_eq!(slots((None, None), |_| ()), (8, 1));
        assert_eq!(slots((None, None), |s| s.is_small_model = false), (1, 8));
        assert_eq!(slots((None, None), |s| s.on_accelerator = true), (1, 8));
    }

    #[test]
    fn memory_limits_the_runs_at_once_but_never_to_none() {
        assert_eq!(slots((None, None), |s| s.memory_of_a_run = Some(4 * GIB)), (3, 2));
        assert_eq!(slots((None, None), |s| s.memory_of_a_run = Some(64 * GIB)), (1, 8));
        assert_eq!(slots((None, None), |s| s.available_memory = None), (8, 1));
    }

    #[test]
    fn the_users_wish_counts() {
        assert_eq!(slots((Some(2), None), |_| ()), (2, 4));
        assert_eq!(slots((Some(2), Some(1)), |_| ()), (2, 1));
        assert_eq!(slots((Some(100), None), |_| ()), (100, 1));
        assert_eq!(slots((None, Some(3)), |_| ()), (8, 3));
    }

    #[test]
    fn the_last_run_has_no_more_threads_than_the_others_had() {
        assert_eq!(slots((None, None), |s| s.runs = 1), (1, 1));
    }
}
