//! How much better a model knows the captions that it learnt from, epoch by epoch.
//!
//! The gap is the validation loss less the training loss, both of the model as it is evaluated: without dropout or
//! smoothing, after the epoch. The mean loss of an epoch's steps would not do: its dropout and its older weights make
//! it larger, and the gap smaller, even below zero, than what generalisation is about.

use super::overfitting::{LossPoint, overfitting};

/// The gap of an epoch, in nats a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GapPoint {
    pub epoch: usize,
    pub gap: f64,
}

/// The gaps of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneralisationGap {
    /// Of every epoch of training that has both losses, in their order.
    pub points: Vec<GapPoint>,
    /// Where the validation loss was lowest, if the training loss is known there.
    pub at_lowest: Option<f64>,
    pub at_last: f64,
    /// Under the gap from the lowest epoch to the last (trapezoids), in nats a token times epochs: what it came to
    /// while training went on after its best. 0 where the last epoch is the lowest.
    pub area_after_lowest: Option<f64>,
}

/// The gaps of a curve in the order of its epochs, whose training losses are those of the evaluated model. Epoch 0
/// does not count. Nothing where no epoch of training has both losses.
pub fn generalisation_gap(curve: &[LossPoint]) -> Option<GeneralisationGap> {
    let points: Vec<GapPoint> = curve.iter().filter(|point| point.epoch > 0).filter_map(gap).collect();
    let at_last = points.last()?.gap;
    let lowest = overfitting(curve)?.lowest_epoch;
    let place = points.iter().position(|point| point.epoch == lowest);
    Some(GeneralisationGap {
        at_lowest: place.map(|place| points[place].gap),
        at_last,
        area_after_lowest: place.map(|place| area(&points[place..])),
        points,
    })
}

fn gap(point: &LossPoint) -> Option<GapPoint> {
    let gap = point.validation? - point.train?;
    gap.is_finite().then_some(GapPoint { epoch: point.epoch, gap })
}

/// By the trapezoid rule. An epoch without a gap is bridged by a straight line.
fn area(points: &[GapPoint]) -> f64 {
    let trapezoid = |pair: &[GapPoint]| {
        let width = pair[1].epoch as f64 - pair[0].epoch as f64;
        width * (pair[0].gap + pair[1].gap) / 2.0
    };
    points.windows(2).map(trapezoid).sum()
}

/// A third of training. The original study does not say where its phases begin, so they are equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Early,
    Middle,
    Late,
}

impl Phase {
    /// In the order of training.
    pub const ALL: [Self; 3] = [Self::Early, Self::Middle, Self::Late];

    /// The third of epochs 1 to `last` in which the middle of this epoch lies. Nothing for an epoch outside them.
    pub fn of(epoch: usize, last: usize) -> Option<Self> {
        let third = 3 * (2 * epoch.checked_sub(1)? + 1) / (2 * last).max(1);
        Self::ALL.get(third).copied()
    }
}

/// The mean gap of each phase of training up to epoch `last`; nothing for a phase in which none is known.
pub fn phase_gaps(points: &[GapPoint], last: usize) -> [Option<f64>; 3] {
    Phase::ALL.map(|phase| {
        let of_phase = points.iter().filter(|point| Phase::of(point.epoch, last) == Some(phase));
        let (sum, count) = of_phase.fold((0.0, 0), |(sum, count), point| (sum + point.gap, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(losses: &[(f64, f64)]) -> Vec<LossPoint> {
        let point = |(epoch, &(train, validation)): (usize, &(f64, f64))| LossPoint {
            epoch,
            train: Some(train).filter(|loss| !loss.is_nan()),
            validation: Some(validation).filter(|loss| !loss.is_nan()),
        };
        losses.iter().enumerate().map(point).collect()
    }

    #[test]
    fn the_area_counts_from_the_lowest_epoch_to_the_last() {
        // Gaps 0.5, 0.25, 1 and 2; the lowest is the second.
        let found =
            generalisation_gap(&curve(&[(9.0, 10.0), (2.5, 3.0), (1.75, 2.0), (1.5, 2.5), (1.0, 3.0)]))
                .unwrap();
        assert_eq!(found.points.iter().map(|point| point.gap).collect::<Vec<_>>(), [0.5, 0.25, 1.0, 2.0]);
        assert_eq!((found.at_lowest, found.at_last), (Some(0.25), 2.0));
        assert_eq!(found.area_after_lowest, Some(0.625 + 1.5));
    }

    #[test]
    fn an_epoch_without_a_loss_is_bridged_and_a_falling_curve_has_no_area() {
        let nan = f64::NAN;
        let bridged = generalisation_gap(&curve(&[(9.0, 9.0), (1.0, 2.0), (nan, 2.5), (1.0, 4.0)])).unwrap();
        assert_eq!(bridged.area_after_lowest, Some(2.0 * (1.0 + 3.0) / 2.0));
        let falling = generalisation_gap(&curve(&[(9.0, 9.0), (2.0, 3.0), (1.0, 2.0)])).unwrap();
        assert_eq!(falling.area_after_lowest, Some(0.0));
        // The lowest epoch has no training loss: where the area begins is not known.
        let unknown = generalisation_gap(&curve(&[(9.0, 9.0), (nan, 2.0), (1.0, 4.0)])).unwrap();
        assert_eq!((unknown.at_lowest, unknown.area_after_lowest, unknown.at_last), (None, None, 3.0));
        assert_eq!(generalisation_gap(&curve(&[(1.0, 1.0), (nan, 2.0)])), None);
        assert_eq!(generalisation_gap(&curve(&[(1.0, 1.0)])), None);
    }

    #[test]
    fn phases_are_thirds_of_the_epochs_and_mirror_images() {
        use Phase::{Early, Late, Middle};
        let phases = |last: usize| (1..=last).filter_map(|epoch| Phase::of(epoch, last)).collect::<Vec<_>>();
        assert_eq!(phases(6), [Early, Early, Middle, Middle, Late, Late]);
        assert_eq!(phases(4), [Early, Middle, Middle, Late]);
        assert_eq!(phases(2), [Early, Late]);
        assert_eq!(phases(1), [Middle]);
        assert_eq!((Phase::of(0, 6), Phase::of(7, 6), Phase::of(1, 0)), (None, None, None));
    }

    #[test]
    fn each_phase_has_the_mean_of_its_gaps() {
        let point = |(epoch, gap)| GapPoint { epoch, gap };
        let points = [(1, 1.0), (2, 3.0), (5, 4.0), (6, 5.0)].map(point);
        assert_eq!(phase_gaps(&points, 6), [Some(2.0), None, Some(4.5)]);
    }
}
