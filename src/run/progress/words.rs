//! Numbers, times and events in words.

use std::time::Duration;

use crate::record::Status;
use crate::record::event::{Ended, Evaluated};

/// `40 s`, `12 min`, `3.5 h`, `2.1 days`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s < 99.5 => format!("{s:.0} s"),
        s if s < 99.5 * 60.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

/// `, 12 min left`, or nothing where it is not known or next to nothing.
pub fn left(left: Option<Duration>) -> String {
    let left = left.filter(|left| left.as_secs_f64() >= 0.5);
    left.map(|left| format!(", {} left", duration(left))).unwrap_or_default()
}

/// `512 MB`, `3.2 GB`: powers of ten.
pub fn size(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 1000.0 { format!("{megabytes:.0} MB") } else { format!("{:.1} GB", megabytes / 1e3) }
}

/// `loss 1.234 val 1.301 score 0.512`, of what was taken.
pub fn evaluation(evaluated: &Evaluated) -> String {
    named(&[("loss", evaluated.train_loss), ("val", evaluated.val_loss), ("score", evaluated.score)])
}

/// The same without the training loss.
pub fn validation(evaluated: &Evaluated) -> String {
    named(&[("val", evaluated.val_loss), ("score", evaluated.score)])
}

fn named(values: &[(&str, Option<f64>)]) -> String {
    let taken = values.iter().filter_map(|(name, value)| Some(format!("{name} {:.3}", (*value)?)));
    taken.collect::<Vec<_>>().join(" ")
}

/// `finished in 35 s: best epoch 7, score 0.512`, or how else it ended.
pub fn ending(ended: &Ended) -> String {
    let name = ended.status.name().replace('_', " ");
    let time = duration(Duration::try_from_secs_f64(ended.summary.seconds).unwrap_or_default());
    if !ended.status.is_complete() {
        let epochs = ended.summary.epochs;
        return match (&ended.reason, ended.status) {
            (_, Status::Interrupted) if ended.is_paused() => format!("waits after epoch {epochs}"),
            (_, Status::Interrupted) => format!("interrupted after epoch {epochs}"),
            (Some(reason), _) => format!("{name}: {}", reason.lines().next().unwrap_or_default()),
            (None, _) => name,
        };
    }
    if let (Status::Pruned, Some(reason)) = (ended.status, &ended.reason) {
        return reason.clone();
    }
    let outcome = match (&ended.summary.best, &ended.summary.initial) {
        (Some(best), _) => format!("best epoch {}, {}", best.epoch, evaluation(best)),
        (None, Some(initial)) => evaluation(initial),
        (None, None) => String::new(),
    };
    let separator = if outcome.is_empty() { "" } else { ": " };
    format!("{name} in {time}{separator}{outcome}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::{Summary, paused_after};

    #[test]
    fn a_run_that_waits_for_others_is_not_interrupted_and_one_that_was_stopped_says_why() {
        let of = |status, reason: String| {
            let summary = Summary { epochs: 3, ..Summary::default() };
            ending(&Ended { status, reason: Some(reason), summary })
        };
        assert_eq!(of(Status::Interrupted, paused_after(3)), "waits after epoch 3");
        assert_eq!(of(Status::Interrupted, "stopped at step 9".to_owned()), "interrupted after epoch 3");
        assert_eq!(
            of(Status::Pruned, "stopped after epoch 3: worse".to_owned()),
            "stopped after epoch 3: worse"
        );
    }

    #[test]
    fn times_and_sizes_are_short() {
        let of = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(
            [of(0), of(99), of(100), of(5 * 3600), of(60 * 3600)],
            ["0 s", "99 s", "2 min", "5.0 h", "2.5 days"]
        );
        assert_eq!([size(4_200_000), size(2_800_000_000)], ["4 MB", "2.8 GB"]);
    }
}
