//! What a sweep does about time and failures: which runs are tried again, when it gives up, and why it ended early.

use std::time::{Duration, Instant};

use super::progress::duration;
use crate::record::event::Ended;
use crate::record::{RunRecord, Status};
pub use crate::spec::OnFailure;

/// So many runs that fail one after the other are more likely a bad disk or node than bad settings.
pub const MAX_CONSECUTIVE_FAILURES: usize = 3;

/// What the user wants of a sweep beyond its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which runs that began before are tried again; `None` is all but those that diverged.
    pub retry: Option<Retry>,
    pub on_failure: OnFailure,
    /// Nothing new starts after so many failures in a row; 0 is never.
    pub max_consecutive_failures: usize,
    /// After this time runs are asked to stop.
    pub time_budget: Option<Duration>,
    /// What one attempt of a run may take.
    pub run_timeout: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry: None,
            on_failure: OnFailure::Continue,
            max_consecutive_failures: MAX_CONSECUTIVE_FAILURES,
            time_budget: None,
            run_timeout: None,
        }
    }
}

impl Policy {
    /// When a sweep that began then has spent its time. A budget beyond all clocks is none.
    pub fn deadline(&self, began: Instant) -> Option<Instant> {
        began.checked_add(self.time_budget?)
    }
}

/// Which runs that began before and have no result are tried again. Runs that never began always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Only those that failed, ran out of memory or of time.
    Failed,
    /// Only those that were stopped or cut off.
    Interrupted,
    /// Both, and those that diverged.
    All,
}

impl Retry {
    /// The words for them.
    pub const WORDS: [&'static str; 3] = ["failed", "interrupted", "all"];

    pub fn named(word: &str) -> Option<Self> {
        match word {
            "failed" => Some(Self::Failed),
            "interrupted" => Some(Self::Interrupted),
            "all" => Some(Self::All),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::All => "all",
        }
    }
}

/// How a run stands when a sweep begins, in the order in which runs are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has its result.
    Complete,
    /// It was stopped, or cut off without a word.
    Interrupted,
    /// It never began.
    New,
    Failed,
    /// The same settings diverge again, to the bit.
    Diverged,
}

impl Standing {
    pub fn of(record: &RunRecord) -> Self {
        match record.status {
            Some(status) if status.is_complete() => Self::Complete,
            Some(Status::Diverged) => Self::Diverged,
            Some(Status::Interrupted) => Self::Interrupted,
            Some(_) => Self::Failed,
            None if record.attempts > 0 => Self::Interrupted,
            None => Self::New,
        }
    }

    /// Whether a run that stands so is to be run.
    pub fn is_to_do(self, retry: Option<Retry>) -> bool {
        match self {
            Self::Complete => false,
            Self::New => true,
            Self::Interrupted => retry != Some(Retry::Failed),
            Self::Failed => retry != Some(Retry::Interrupted),
            Self::Diverged => retry == Some(Retry::All),
        }
    }
}

/// Why a sweep ended before all its runs had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// Someone stopped it, or one of its runs.
    Interrupted,
    /// The time budget is spent.
    BudgetSpent,
    /// Runs failed, and the policy is to start no others then.
    Failures,
}

/// Failures since a run last came to its result.
#[derive(Debug, Default)]
pub struct Streak {
    /// What each failed of, in the first line of its reason.
    causes: Vec<String>,
}

impl Streak {
    /// Takes in how a run ended. A run that diverged tells as much of its settings as one with a result: the machine
    /// did its work. One that was stopped tells nothing.
    pub fn hear(&mut self, run: &str, ended: &Ended) {
        match ended.status {
            Status::Interrupted => {}
            Status::Failed | Status::OutOfMemory | Status::TimedOut => {
                let reason = ended.reason.as_deref().unwrap_or(ended.status.name());
                // Paths in a reason name the run: without it the same cause is the same text.
                self.causes.push(reason.lines().next().unwrap_or_default().replace(run, "RUN"));
            }
            _ => self.causes.clear(),
        }
    }

    /// Why no more runs should start after these failures, if so.
    pub fn verdict(&self, limit: usize) -> Option<String> {
        if limit == 0 || self.causes.len() < limit {
            return None;
        }
        let mut causes = self.causes.clone();
        causes.dedup();
        let causes = match causes.as_slice() {
            [cause] if limit > 1 => format!("all of the same cause: {cause}"),
            causes => causes.join("; "),
        };
        Some(match limit {
            1 => format!("a run has failed: {causes}"),
            _ => format!("{limit} runs in a row have failed, {causes}"),
        })
    }
}

/// Why a run ended that took too long.
pub fn timed_out(limit: Duration) -> String {
    format!(
        "it had no result after {}, its limit (`--run-timeout`); running it again goes on from its last checkpoint",
        duration(limit)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::Summary;
    use crate::run::dispatch::tests::planned;

    #[test]
    fn what_is_tried_again_is_what_the_user_asked_for() {
        let record = |status, attempts| {
            let mut record = RunRecord::planned(planned("r1"));
            (record.status, record.attempts) = (status, attempts);
            record
        };
        let table = [
            // status, attempts, and whether it is done by default, with `failed`, `interrupted`, `all`
            (None, 0, [true, true, true, true]),
            (None, 1, [true, false, true, true]),
            (Some(Status::Interrupted), 1, [true, false, true, true]),
            (Some(Status::Failed), 1, [true, true, false, true]),
            (Some(Status::OutOfMemory), 1, [true, true, false, true]),
            (Some(Status::TimedOut), 1, [true, true, false, true]),
            (Some(Status::Diverged), 1, [false, false, false, true]),
            (Some(Status::Finished), 1, [false; 4]),
            (Some(Status::EarlyStopped), 1, [false; 4]),
        ];
        for (status, attempts, expected) in table {
            let standing = Standing::of(&record(status, attempts));
            let ways = [None, Some(Retry::Failed), Some(Retry::Interrupted), Some(Retry::All)];
            assert_eq!(ways.map(|retry| standing.is_to_do(retry)), expected, "{status:?} after {attempts}");
        }
    }

    fn streak(ends: &[(&str, Status, &str)]) -> Streak {
        let mut streak = Streak::default();
        for (run, status, reason) in ends {
            let reason = Some((*reason).to_owned());
            streak.hear(run, &Ended { status: *status, reason, summary: Summary::default() });
        }
        streak
    }

    #[test]
    fn failures_in_a_row_are_a_verdict_and_say_whether_their_cause_is_one() {
        use Status::{Diverged, Failed, Finished, Interrupted, OutOfMemory};
        let same = streak(&[("r1", Failed, "x/r1/log: full\nhint"), ("r2", Failed, "x/r2/log: full")]);
        assert_eq!(
            same.verdict(2).unwrap(),
            "2 runs in a row have failed, all of the same cause: x/RUN/log: full"
        );
        assert_eq!((same.verdict(3), same.verdict(0)), (None, None));
        let others = streak(&[("r1", Failed, "a"), ("r2", Interrupted, ""), ("r3", OutOfMemory, "b")]);
        assert_eq!(others.verdict(2).unwrap(), "2 runs in a row have failed, a; b");
        for between in [Finished, Diverged] {
            let broken = streak(&[("r1", Failed, "a"), ("r2", between, ""), ("r3", Failed, "a")]);
            assert_eq!(broken.verdict(2), None, "{between:?}");
        }
    }
}
