//! How often a run saves what it would go on from: so often that little is lost, so rarely that it costs little.

use std::time::{Duration, Instant};

/// At least so many times what saving took lies between two savings that nothing but time asks for: a tenth of the time at
/// most is spent on them.
const WORK_PER_SAVING: u32 = 9;

/// When the next saving is due.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How much work may be lost. None: every step is saved, whatever that costs.
    every: Duration,
    /// When the last saving was done.
    since: Instant,
    /// What it took.
    took: Duration,
}

impl Pace {
    /// The first saving is due after `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, since: Instant::now(), took: Duration::ZERO }
    }

    /// Whether a checkpoint is due.
    pub fn is_due(&self) -> bool {
        self.will_be_due_in(Duration::ZERO)
    }

    /// Whether a checkpoint will be due after work that takes so long and cannot be interrupted for it.
    pub fn will_be_due_in(&self, work: Duration) -> bool {
        self.is_due_after(self.since.elapsed().saturating_add(work))
    }

    /// A checkpoint was saved.
    pub fn saved(&mut self, took: Duration) {
        self.took = took;
        self.restart();
    }

    /// Nothing is to be lost now, and that cost next to nothing.
    pub fn restart(&mut self) {
        self.since = Instant::now();
    }

    fn is_due_after(&self, time: Duration) -> bool {
        self.every.is_zero() || time >= self.every.max(self.took.saturating_mul(WORK_PER_SAVING))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_due_after_the_interval_unless_saving_takes_more_than_a_tenth_of_it() {
        let is_due = |every, took, time| {
            let seconds = Duration::from_secs;
            Pace { took: seconds(took), ..Pace::new(seconds(every)) }.is_due_after(seconds(time))
        };
        assert!(!is_due(60, 1, 59) && is_due(60, 1, 60));
        assert!(!is_due(60, 10, 89) && is_due(60, 10, 90));
        assert!(is_due(0, 10, 0), "an interval of nothing is every step");
    }

    #[test]
    fn what_is_about_to_take_long_is_saved_for_before() {
        let pace = Pace::new(Duration::from_secs(3600));
        assert!(!pace.will_be_due_in(Duration::from_secs(60)));
        assert!(pace.will_be_due_in(Duration::from_secs(3600)) && pace.will_be_due_in(Duration::MAX));
    }

    #[test]
    fn a_saving_begins_the_next_interval() {
        let mut pace = Pace::new(Duration::from_secs(3600));
        let before = pace.since;
        pace.saved(Duration::from_secs(2));
        assert!(pace.since >= before && !pace.is_due());
        assert_eq!(pace.took, Duration::from_secs(2));
    }
}
