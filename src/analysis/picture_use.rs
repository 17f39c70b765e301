//! Whether captions belong to their pictures, by what a trained model makes of pictures it has not seen.
//!
//! The *gain* of an image is how much likelier a token of its caption is beside its own picture than beside another, in
//! nats. The model itself expects a gain: the Kullback-Leibler divergence of its next token beside the own picture from
//! that beside the other. Where it is right about unseen images, both are the same on average. It learns to expect too
//! little where pictures were of little help in training because many captions belonged to other ones, and goes on to
//! gain more than it expects from captions that do belong. Learning by heart works the other way: it makes a model
//! expect too much. So a surplus tells captions that were paired wrongly in part, which the gain alone does not.
//!
//! On images that a model was trained on its gain is too large, and on others too small, by about as much: that is its
//! optimism (Efron 2004), and the mean over both kinds is free of it.
//!
//! This is the score test (Rao 1948) of `weight = 1` in the family `p(token) ~ p_other ^ (1 - weight) * p_own ^ weight`:
//! whether giving the picture more weight would raise the likelihood of unseen captions. With a share `e` of wrong pairs
//! and weak evidence in each token the gain is `2 / (1 - e) - 1` times the expected one.

/// An image's gain, and what the model expected of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    pub gain: f64,
    pub expected: f64,
}

/// Mean gains over images, in nats a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surplus {
    pub gain: f64,
    pub expected: f64,
    /// The standard error of their difference.
    pub error: f64,
}

/// What is left of equal numbers by rounding is less.
const ROUNDING: f64 = 1e-9;
/// Fewer images have no surplus.
const ENOUGH: usize = 20;
/// Standard errors of a surplus that is no accident: one in twenty of models that are exactly right about pictures has as
/// much.
const SURE: f64 = 1.645;
/// A surplus by which the expected gain has to be exceeded to matter: by the formula above that of one wrong pair in
/// twenty-six. Chosen on trained studies, see `tests/it/planted.rs`: of those with the right pairs and an unsmoothed loss the
/// largest surplus is 1.03 times the expected gain, and with half of the pairs wrong it is 1.12 to 1.29 in eighteen of twenty.
const MUCH: f64 = 1.08;

/// The surplus over images of one kind; `None` for too few of them or where nothing differs between them.
pub fn surplus(images: &[Gain]) -> Option<Surplus> {
    let rows: Vec<&Gain> =
        images.iter().filter(|row| row.gain.is_finite() && row.expected.is_finite()).collect();
    if rows.len() < ENOUGH {
        return None;
    }
    let n = rows.len() as f64;
    let mean = |value: fn(&Gain) -> f64| rows.iter().map(|row| value(row)).sum::<f64>() / n;
    let (gain, expected) = (mean(|row| row.gain), mean(|row| row.expected));
    let squares = rows.iter().map(|row| (row.gain - row.expected - gain + expected).powi(2)).sum::<f64>();
    let error = (squares / (n - 1.0) / n).sqrt();
    (error > ROUNDING).then_some(Surplus { gain, expected, error })
}

impl Surplus {
    /// The mean of two kinds of images, however many there are of each.
    pub fn and(self, other: Self) -> Self {
        let mean = |value: fn(&Self) -> f64| 0.5 * (value(&self) + value(&other));
        Self {
            gain: mean(|surplus| surplus.gain),
            expected: mean(|surplus| surplus.expected),
            error: 0.5 * self.error.hypot(other.error),
        }
    }

    /// The difference in standard errors.
    pub fn z(&self) -> f64 {
        (self.gain - self.expected) / self.error
    }

    /// The model surely makes too little of pictures.
    pub fn is_sure(&self) -> bool {
        self.z() >= SURE && self.gain >= MUCH * self.expected
    }

    /// The model surely expects more of pictures than there is.
    pub fn is_missing(&self) -> bool {
        self.z() <= -2.0 * SURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Captions of twenty tokens of two kinds; beside its own picture a token is of the kind it shows by `evidence`, and a
    /// model was trained on pairs of which a share is wrong.
    fn study(seed: u64, images: usize, evidence: f64, wrong: f64) -> Option<Surplus> {
        let mut random = Random::new(seed, "captions", &[]);
        let own = (1.0 - wrong) * evidence + wrong * 0.5;
        let divergence = own * (own / 0.5).ln() + (1.0 - own) * ((1.0 - own) / 0.5).ln();
        let token = |random: &mut Random| if random.chance(evidence) { own } else { 1.0 - own };
        let image = |random: &mut Random| (0..20).map(|_| (token(random) / 0.5).ln()).sum::<f64>() / 20.0;
        let rows: Vec<Gain> =
            (0..images).map(|_| Gain { gain: image(&mut random), expected: divergence }).collect();
        surplus(&rows)
    }

    #[test]
    fn a_model_that_is_right_about_pictures_is_seldom_said_to_make_too_little_of_them() {
        let alarms = (0..1000).filter(|seed| study(*seed, 200, 0.7, 0.0).unwrap().is_sure()).count();
        assert!((20..=70).contains(&alarms), "{alarms} of 1000 at a level of 5 %");
    }

    #[test]
    fn half_of_the_pairs_wrong_are_found_and_the_gain_is_about_three_times_the_expected() {
        let found = (0..100).filter(|seed| study(*seed, 200, 0.7, 0.5).unwrap().is_sure()).count();
        assert!(found >= 99, "{found} of 100");
        let weak = study(0, 20_000, 0.6, 0.5).unwrap();
        assert!((weak.gain / weak.expected - 3.0).abs() < 0.3, "{weak:?}");
    }

    #[test]
    fn a_model_that_learnt_by_heart_expects_more_than_there_is() {
        let rows = |expected: f64| -> Vec<Gain> {
            (0..100).map(|i| Gain { gain: 0.1 + 0.01 * f64::from(i % 7), expected }).collect()
        };
        let [by_heart, timid] = [0.3, 0.05].map(|expected| surplus(&rows(expected)).unwrap());
        assert!(by_heart.is_missing() && !by_heart.is_sure(), "{by_heart:?}");
        assert!(timid.is_sure() && !timid.is_missing(), "{timid:?}");
    }

    #[test]
    fn what_training_images_gain_too_much_others_gain_too_little() {
        let [seen, unseen] =
            [(0.28, 0.25), (0.22, 0.25)].map(|(gain, expected)| Surplus { gain, expected, error: 0.01 });
        let both = seen.and(unseen);
        assert!(seen.is_sure() && (both.z()).abs() < 1e-9 && (both.error - 0.01 / 2f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn too_few_images_and_such_as_do_not_differ_have_no_surplus() {
        let same = Gain { gain: 0.2, expected: 0.1 };
        assert_eq!(surplus(&[same; 10]), None);
        assert_eq!(surplus(&[same; 100]), None);
        assert_eq!(surplus(&[Gain { gain: f64::NAN, ..same }; 100]), None);
    }
}
