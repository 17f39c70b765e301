//! Does the model know how likely its next token is to be right? Over-confidence on unseen captions is how a model
//! overfits before its captions get worse.

/// Bins of equal width over the confidence, as in Guo et al. (2017), "On calibration of modern neural networks".
const BINS: usize = 15;

/// What was predicted, token by token, given the tokens of the reference before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NextTokens {
    bins: [Bin; BINS],
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Bin {
    count: usize,
    right: usize,
    confidence: f64,
}

/// How confident a model is, and how often rightly so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Expected calibration error: the mean over the bins, weighted by their tokens, of the distance between
    /// confidence and accuracy. In [0, 1]; 0 where they agree.
    pub ece: f64,
    /// Mean probability of the likeliest token, in [0, 1].
    pub confidence: f64,
    /// Share of tokens of which the likeliest is the reference's, in [0, 1].
    pub accuracy: f64,
}

impl NextTokens {
    /// Adds a token whose likeliest candidate had this probability.
    pub fn add(&mut self, confidence: f64, is_right: bool) {
        // The m-th bin of M holds confidences in ((m - 1) / M, m / M].
        let place = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut self.bins[place.clamp(1, BINS) - 1];
        bin.count += 1;
        bin.right += usize::from(is_right);
        bin.confidence += confidence;
    }

    /// `None` where no token was added.
    pub fn calibration(&self) -> Option<Calibration> {
        let count: usize = self.bins.iter().map(|bin| bin.count).sum();
        let n = if count == 0 { return None } else { count as f64 };
        let total = |value: fn(&Bin) -> f64| self.bins.iter().map(value).sum::<f64>() / n;
        Some(Calibration {
            ece: total(|bin| (bin.right as f64 - bin.confidence).abs()),
            confidence: total(|bin| bin.confidence),
            accuracy: total(|bin| bin.right as f64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tokens: &[(f64, bool)]) -> Calibration {
        let mut seen = NextTokens::default();
        tokens.iter().for_each(|(confidence, is_right)| seen.add(*confidence, *is_right));
        seen.calibration().unwrap()
    }

    fn assert_near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-12, "{found}, not {wanted}");
    }

    #[test]
    fn errors_of_a_bin_balance_and_errors_of_different_bins_do_not() {
        // Both in the bin (0.8, 0.867]: one right of two at a mean confidence of 0.84.
        assert_near(of(&[(0.83, true), (0.85, false)]).ece, 0.34);
        // One bin too timid by 0.4, one too bold by 0.4: the mean is right and the calibration is not.
        let two = of(&[(0.6, true), (0.4, false)]);
        assert_near(two.ece, 0.4);
        assert_near(two.confidence - two.accuracy, 0.0);
    }

    #[test]
    fn certainty_that_is_right_has_no_error_and_certainty_that_is_wrong_all_of_it() {
        assert_eq!(of(&[(1.0, true)]), Calibration { ece: 0.0, confidence: 1.0, accuracy: 1.0 });
        assert_eq!(of(&[(1.0, false)]), Calibration { ece: 1.0, confidence: 1.0, accuracy: 0.0 });
        assert_eq!(NextTokens::default().calibration(), None);
    }

    #[test]
    fn a_bin_holds_its_upper_edge_and_not_its_lower_one() {
        // 0.4 is the upper edge of the sixth bin of fifteen: apart from what is just above it.
        let apart = of(&[(0.4, true), (0.4000001, false)]);
        assert!((apart.ece - 0.5).abs() < 1e-6, "{apart:?}");
    }
}
