//! Overfitting as seen in a run's own curves: the validation loss rises again while the training loss still falls.
//!
//! The measure is Prechelt's generalisation loss at the last epoch, `val(last) / min val - 1` ("Early Stopping:
//! But When?", 1998), over the epochs of training; epoch 0, the model before training, does not count.

/// Relative rise of the validation loss from which a run is said to overfit.
pub const OVERFIT_RISE: f64 = 0.05;

/// The losses of one epoch, in nats a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPoint {
    pub epoch: usize,
    pub train: Option<f64>,
    pub validation: Option<f64>,
}

/// How far the validation loss rose from its lowest point to the last epoch, and what the training loss did meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overfitting {
    /// Where the validation loss was lowest (the first such epoch).
    pub lowest_epoch: usize,
    pub last_epoch: usize,
    /// Relative: 0.05 is five per cent. 0 where the last epoch is the lowest.
    pub rise: f64,
    /// Training loss at both epochs, where recorded.
    pub train_at_lowest: Option<f64>,
    pub train_at_last: Option<f64>,
}

impl Overfitting {
    /// The rise reaches [`OVERFIT_RISE`] and the training loss kept falling.
    pub fn is_overfit(&self) -> bool {
        self.rise >= OVERFIT_RISE && self.training_loss_fell()
    }

    fn training_loss_fell(&self) -> bool {
        matches!((self.train_at_lowest, self.train_at_last), (Some(then), Some(now)) if now < then)
    }
}

/// Judges a curve in the order of its epochs. Nothing where no epoch of training has a finite validation loss.
pub fn overfitting(curve: &[LossPoint]) -> Option<Overfitting> {
    let finite = |loss: Option<f64>| loss.filter(|loss| loss.is_finite());
    let mut trained = curve
        .iter()
        .filter(|point| point.epoch > 0)
        .filter_map(|point| Some((point, finite(point.validation)?)));
    let first = trained.next()?;
    let (mut lowest, mut last) = (first, first);
    for point in trained {
        if point.1 < lowest.1 {
            lowest = point;
        }
        last = point;
    }
    // A loss of zero or less has no relative rise; it cannot come from a cross-entropy.
    let rise = if lowest.1 > 0.0 { last.1 / lowest.1 - 1.0 } else { 0.0 };
    Some(Overfitting {
        lowest_epoch: lowest.0.epoch,
        last_epoch: last.0.epoch,
        rise,
        train_at_lowest: finite(lowest.0.train),
        train_at_last: finite(last.0.train),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(losses: &[(f64, f64)]) -> Vec<LossPoint> {
        let point = |(epoch, &(train, validation)): (usize, &(f64, f64))| LossPoint {
            epoch,
            train: (epoch > 0).then_some(train),
            validation: Some(validation),
        };
        losses.iter().enumerate().map(point).collect()
    }

    #[test]
    fn a_validation_loss_that_rises_while_training_loss_falls_is_overfitting() {
        let found =
            overfitting(&curve(&[(9.0, 0.1), (2.0, 2.0), (1.5, 1.6), (1.0, 1.7), (0.5, 2.0)])).unwrap();
        assert_eq!((found.lowest_epoch, found.last_epoch), (2, 4));
        assert!((found.rise - 0.25).abs() < 1e-12, "{}", found.rise);
        assert_eq!((found.train_at_lowest, found.train_at_last), (Some(1.5), Some(0.5)));
        assert!(found.is_overfit());
    }

    #[test]
    fn neither_a_small_rise_nor_one_with_rising_training_loss_is_overfitting() {
        let small = overfitting(&curve(&[(9.0, 3.0), (2.0, 2.0), (1.0, 2.09)])).unwrap();
        assert!(!small.is_overfit(), "{small:?}");
        let diverging = overfitting(&curve(&[(9.0, 3.0), (2.0, 2.0), (2.5, 2.6)])).unwrap();
        assert!(!diverging.is_overfit(), "{diverging:?}");
        let falling = overfitting(&curve(&[(9.0, 3.0), (2.0, 2.0), (1.0, 1.0)])).unwrap();
        assert_eq!((falling.rise, falling.is_overfit()), (0.0, false));
    }

    #[test]
    fn epochs_without_a_finite_loss_are_passed_over() {
        let mut broken = curve(&[(9.0, 3.0), (2.0, 2.0), (1.0, f64::NAN), (0.9, 2.2)]);
        broken.push(LossPoint { epoch: 4, train: Some(0.8), validation: None });
        let found = overfitting(&broken).unwrap();
        assert_eq!((found.lowest_epoch, found.last_epoch), (1, 3));
        assert!(found.is_overfit());
        assert_eq!(overfitting(&curve(&[(9.0, 3.0)])), None);
        assert_eq!(overfitting(&[]), None);
    }
}
