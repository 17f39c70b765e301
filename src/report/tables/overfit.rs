//! What a run's losses say of overfitting: columns of `runs`.

use std::collections::BTreeMap;

use polars::prelude::Column;

use super::columns::{counts, flags, numbers};
use super::facts::Facts;
use crate::analysis::generalisation_gap::{GeneralisationGap, generalisation_gap, phase_gaps};
use crate::analysis::overfit_onset::{EpochLosses, Onset, overfit_onset};
use crate::analysis::{Interval, LossPoint, Overfitting, RESAMPLES, mean_intervals, overfitting};
use crate::record::event::Evaluated;
use crate::report::gather::RunData;

/// Resamples behind an onset: each run has one, of all its epochs. By chance the rarity that an interval stops at, 5 in 100,
/// is off by 0.7.
const ONSET_RESAMPLES: usize = 1_000;

/// What of a run's losses could be computed; nothing of a run that does not train.
#[derive(Default)]
pub struct Overfit {
    /// Of the losses as trained.
    pub curve: Option<Overfitting>,
    /// Mean paired rise of the validation images' NLL from the lowest to the last epoch, in nats a token.
    pub nll_rise: Option<Interval>,
    pub onset: Option<Onset>,
    /// Of validation and training images' NLL, both of the evaluated model.
    pub gap: Option<GeneralisationGap>,
    last_epoch: usize,
}

/// Validation images' NLL of each epoch of training.
type Losses<'a> = BTreeMap<usize, BTreeMap<&'a str, f64>>;

impl Overfit {
    pub fn of(run: &RunData) -> Self {
        let points = |train: fn(&Evaluated) -> Option<f64>, validation: fn(&Evaluated) -> Option<f64>| {
            let point = |evaluated: &Evaluated| LossPoint {
                epoch: evaluated.epoch,
                train: train(evaluated),
                validation: validation(evaluated),
            };
            run.record.curve.iter().map(point).collect::<Vec<_>>()
        };
        let curve = overfitting(&points(|at| at.train_loss, |at| at.val_loss));
        let losses = losses(run);
        Self {
            curve,
            nll_rise: curve.and_then(|found| nll_rise(&losses, found.lowest_epoch, found.last_epoch)),
            onset: onset(&losses),
            gap: generalisation_gap(&points(|at| at.train_nll, |at| at.val_nll)),
            last_epoch: run.record.curve.last().map_or(0, |last| last.epoch),
        }
    }

    /// The validation loss rose by much while the training loss fell, and the images' losses say that it is no accident.
    /// Nothing where there is nothing to judge by.
    fn is_overfit(&self) -> Option<bool> {
        Some(self.curve?.is_overfit() && self.onset.as_ref()?.epoch.is_some())
    }

    fn rise_at_onset(&self) -> Option<Interval> {
        let onset = self.onset.as_ref()?;
        onset.rises.iter().find(|rise| Some(rise.epoch) == onset.epoch).map(|rise| rise.above_lowest)
    }

    fn gap_at(&self, epoch: usize) -> Option<f64> {
        self.gap.as_ref()?.points.iter().find(|point| point.epoch == epoch).map(|point| point.gap)
    }

    fn phase_gap(&self, phase: usize) -> Option<f64> {
        phase_gaps(&self.gap.as_ref()?.points, self.last_epoch)[phase]
    }
}

fn losses(run: &RunData) -> Losses<'_> {
    let mut losses = Losses::new();
    for row in run.per_image.iter().filter(|row| row.split == "validation" && row.epoch > 0) {
        losses.entry(row.epoch).or_default().insert(&row.image, row.loss.unwrap_or(f64::NAN));
    }
    losses
}

fn nll_rise(losses: &Losses, from: usize, to: usize) -> Option<Interval> {
    if from == to {
        return None;
    }
    let (before, after) = (losses.get(&from)?, losses.get(&to)?);
    let rise = |(image, before): (&&str, &f64)| Some([after.get(image)? - before]);
    let differences: Vec<[f64; 1]> =
        before.iter().filter_map(rise).filter(|[rise]| rise.is_finite()).collect();
    mean_intervals(&differences, RESAMPLES, 0).map(|[interval]| interval)
}

/// Of the epochs that have all images' losses; a run that was cut off may lack some of its last.
fn onset(losses: &Losses) -> Option<Onset> {
    let images = losses.values().max_by_key(|images| images.len())?;
    let whole: Vec<(usize, Vec<f64>)> = losses
        .iter()
        .filter(|(_, found)| found.keys().eq(images.keys()))
        .map(|(epoch, found)| (*epoch, found.values().copied().collect()))
        .collect();
    let curve: Vec<EpochLosses> =
        whole.iter().map(|(epoch, per_image)| EpochLosses { epoch: *epoch, per_image }).collect();
    overfit_onset(&curve, ONSET_RESAMPLES, 0)
}

pub fn columns(facts: &[Facts]) -> Vec<Column> {
    let mut columns = rise_columns(facts);
    columns.extend(onset_columns(facts));
    columns.extend(gap_columns(facts));
    columns
}

fn rise_columns(facts: &[Facts]) -> Vec<Column> {
    let curve = |name, value: fn(&Overfitting) -> Option<f64>| {
        numbers(name, facts, move |facts| value(facts.overfit.curve.as_ref()?))
    };
    let rise = |name, value: fn(&Interval) -> f64| {
        numbers(name, facts, move |facts| facts.overfit.nll_rise.as_ref().map(value))
    };
    vec![
        counts("val_loss_lowest_epoch", facts, |facts| Some(facts.overfit.curve?.lowest_epoch)),
        counts("last_epoch", facts, |facts| Some(facts.overfit.curve?.last_epoch)),
        curve("val_loss_rise", |found| Some(found.rise)),
        curve("train_loss_at_lowest", |found| found.train_at_lowest),
        curve("train_loss_at_last", |found| found.train_at_last),
        numbers("score_at_lowest", facts, |facts| {
            let lowest = facts.overfit.curve?.lowest_epoch;
            facts.run.record.curve.iter().find(|evaluated| evaluated.epoch == lowest)?.score
        }),
        rise("val_nll_rise", |rise| rise.estimate),
        rise("val_nll_rise_low", |rise| rise.low),
        rise("val_nll_rise_high", |rise| rise.high),
    ]
}

fn onset_columns(facts: &[Facts]) -> Vec<Column> {
    let rise = |name, value: fn(Interval) -> f64| {
        numbers(name, facts, move |facts| facts.overfit.rise_at_onset().map(value))
    };
    vec![
        flags("overfit", facts, |facts| facts.overfit.is_overfit()),
        counts("onset_epoch", facts, |facts| facts.overfit.onset.as_ref()?.epoch),
        rise("onset_rise", |rise| rise.estimate),
        rise("onset_rise_low", |rise| rise.low),
        rise("onset_rise_high", |rise| rise.high),
    ]
}

fn gap_columns(facts: &[Facts]) -> Vec<Column> {
    let phase =
        |name, phase: usize| numbers(name, facts, move |facts: &Facts| facts.overfit.phase_gap(phase));
    vec![
        numbers("gap_at_best", facts, |facts| facts.overfit.gap_at(facts.best?.epoch)),
        numbers("gap_at_last", facts, |facts| Some(facts.overfit.gap.as_ref()?.at_last)),
        numbers("gap_area", facts, |facts| facts.overfit.gap.as_ref()?.area_after_lowest),
        phase("gap_early", 0),
        phase("gap_middle", 1),
        phase("gap_late", 2),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::record::Store;
    use crate::record::run::PerImage;
    use crate::report::example_runs::{forget_what_old_logs_lack, gather_example, write_example_runs};
    use crate::report::gather::SweepData;
    use crate::report::tables::{RunRow, build};

    fn sweep(root: &Path) -> SweepData {
        gather_example(root)
    }

    fn rows(root: &Path) -> Vec<RunRow> {
        build(&sweep(root)).unwrap().run_rows().unwrap()
    }

    #[test]
    fn gaps_and_onset_are_those_of_the_curve() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let (sweep, rows) = (sweep(folder.path()), rows(folder.path()));
        let row = rows.iter().find(|row| row.overfit).unwrap();
        let curve = &sweep.runs.iter().find(|run| run.id() == row.run).unwrap().record.curve;
        let gap = |epoch: usize| curve[epoch].val_nll.unwrap() - curve[epoch].train_nll.unwrap();
        let (lowest, last) = (row.val_loss_lowest_epoch.unwrap(), row.last_epoch.unwrap());
        let is =
            |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-9, "{row:?}");
        is(row.gaps.at_best, gap(row.best_epoch.unwrap()));
        is(row.gaps.at_last, gap(last));
        is(row.gaps.area, (lowest..last).map(|epoch| (gap(epoch) + gap(epoch + 1)) / 2.0).sum());
        is(row.score_at_lowest, curve[lowest].score.unwrap());
        let [early, middle, late] = row.gaps.phases.map(Option::unwrap);
        assert!(early < middle && middle < late, "{row:?}");
        let [rise, low, _] = row.onset_rise.unwrap();
        assert!(row.onset_epoch > row.val_loss_lowest_epoch && low > 0.0 && rise >= low, "{row:?}");
    }

    #[test]
    fn no_run_overfits_whose_images_do_not_agree_that_the_loss_rose() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let before: Vec<String> =
            rows(folder.path()).into_iter().filter(|row| row.overfit).map(|row| row.run).collect();
        assert!(before.len() > 1, "{before:?}");
        let run = Store::new(&folder.path().join("runs")).sweep("unfreeze").run(&before[0]);
        let scattered = |(place, row): (usize, PerImage)| PerImage {
            loss: row.loss.map(|loss| loss + if (place + row.epoch) % 2 == 0 { 3.0 } else { -3.0 }),
            ..row
        };
        let (losses, _) = run.read_per_image();
        run.append_per_image(&losses.into_iter().enumerate().map(scattered).collect::<Vec<_>>()).unwrap();
        let after = rows(folder.path());
        let row = after.iter().find(|row| row.run == before[0]).unwrap();
        assert!(row.val_loss_rise.unwrap() > 0.05, "{row:?}");
        assert_eq!((row.overfit, row.onset_epoch, row.onset_rise), (false, None, None));
        assert_eq!(after.iter().filter(|row| row.overfit).count(), before.len() - 1);
    }

    #[test]
    fn old_logs_have_no_gap_and_an_onset_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let before = rows(folder.path());
        forget_what_old_logs_lack(folder.path()).unwrap();
        let after = rows(folder.path());
        assert!(before.iter().any(|row| row.gaps.at_last.is_some()));
        assert!(after.iter().all(|row| row.gaps == Default::default()));
        let onsets =
            |rows: &[RunRow]| rows.iter().map(|row| (row.overfit, row.onset_epoch)).collect::<Vec<_>>();
        assert_eq!(onsets(&after), onsets(&before));
    }
}
