//! How well a linear classifier tells two sets of images apart: the proxy A-distance (Ben-David et al. 2007).

use super::linear::{cholesky, solve};
use super::vectors::{Vectors, products};
use super::{PERMUTATIONS, p_value};
use crate::random::Random;

/// Parts that take turns in being held out.
const FOLDS: usize = 5;

/// The distance of two sets, and whether it may be chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ADistance {
    /// `2 (1 - 2 error)`: 2 where no vector is confused, about 0, also below, where the classifier can only guess.
    pub value: f64,
    /// Share of held-out vectors that are told to belong to the other set, in [0, 1].
    pub error: f64,
    /// Share of random assignments of the vectors to the sets, as many of each in every fold, that are told apart as well.
    pub p: f64,
}

/// The classifier is ridge regression on standardised features with targets 1 and -1, in five-fold cross-validation;
/// its penalty is the number of features. Both sets should have the same size, or guessing is better than it looks.
/// `None` where a set has fewer vectors than there are folds.
pub fn a_distance(one: &Vectors, other: &Vectors, random: &mut Random) -> Option<ADistance> {
    if one.len() < FOLDS || other.len() < FOLDS {
        return None;
    }
    let mut folds = Vec::new();
    for set in [one, other] {
        let mut of_set: Vec<usize> = (0..set.len()).map(|i| i % FOLDS).collect();
        random.shuffle(&mut of_set);
        folds.extend(of_set);
    }
    let mut labels: Vec<f64> = vec![1.0; one.len()];
    labels.resize(one.len() + other.len(), -1.0);
    let classifier = Classifier::new(&one.and(other), &folds)?;
    let error = classifier.error(&labels);
    let as_well = (0..PERMUTATIONS).filter(|_| {
        classifier.shuffle(&mut labels, random);
        classifier.error(&labels) <= error
    });
    let p = p_value(as_well.count());
    Some(ADistance { value: 2.0 * (1.0 - 2.0 * error), error, p })
}

/// What is left of ridge regression when the labels are taken out: its predictions are linear in them.
struct Classifier {
    parts: Vec<Part>,
}

/// A fold: the vectors it is trained on and those it is tried on, and what each of the former adds to the latter.
struct Part {
    train: Vec<usize>,
    test: Vec<usize>,
    /// A row for each vector it is tried on.
    weights: Vec<f64>,
}

impl Classifier {
    fn new(vectors: &Vectors, folds: &[usize]) -> Option<Self> {
        let part = |fold: usize| {
            let (test, train): (Vec<usize>, Vec<usize>) = (0..vectors.len()).partition(|i| folds[*i] == fold);
            let (known, tried) = vectors.at(&train).standardised(&vectors.at(&test));
            let mut gram = products(&known, &known);
            gram.iter_mut().step_by(train.len() + 1).for_each(|value| *value += vectors.width() as f64);
            let factor = cholesky(gram, train.len())?;
            let mut weights = products(&tried, &known);
            weights.chunks_mut(train.len()).for_each(|row| solve(&factor, row));
            Some(Part { train, test, weights })
        };
        Some(Self { parts: (0..FOLDS).map(part).collect::<Option<_>>()? })
    }

    /// What is predicted of every vector when it is held out, in the order of the vectors.
    fn decisions(&self, labels: &[f64]) -> Vec<f64> {
        let mut decisions = vec![0.0; labels.len()];
        for Part { train, test, weights } in &self.parts {
            let mean = train.iter().map(|i| labels[*i]).sum::<f64>() / train.len() as f64;
            let centred: Vec<f64> = train.iter().map(|i| labels[*i] - mean).collect();
            for (i, row) in test.iter().zip(weights.chunks(train.len())) {
                decisions[*i] =
                    mean + row.iter().zip(&centred).map(|(weight, label)| weight * label).sum::<f64>();
            }
        }
        decisions
    }

    /// Deals the labels out anew within each fold. Across folds, one that is held out with more of a label would be
    /// trained with fewer: guesses would err in more than half of the cases, and what is no better look good beside them.
    fn shuffle(&self, labels: &mut [f64], random: &mut Random) {
        for Part { test, .. } in &self.parts {
            let mut dealt: Vec<f64> = test.iter().map(|i| labels[*i]).collect();
            random.shuffle(&mut dealt);
            test.iter().zip(dealt).for_each(|(i, label)| labels[*i] = label);
        }
    }

    fn error(&self, labels: &[f64]) -> f64 {
        let decisions = self.decisions(labels);
        let wrong =
            decisions.iter().zip(labels).filter(|(decision, label)| (**decision > 0.0) != (**label > 0.0));
        wrong.count() as f64 / labels.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::diagnostics::fixtures::{assert_near, cases, random_vectors};

    fn random() -> Random {
        Random::new(0, "permutations", &[])
    }

    #[test]
    fn held_out_vectors_are_classified_as_by_scikit_learn() {
        for case in cases() {
            let classifier = Classifier::new(&case.target.and(&case.source), &case.folds).unwrap();
            let n = case.target.len();
            let labels: Vec<f64> = (0..2 * n).map(|i| if i < n { 1.0 } else { -1.0 }).collect();
            for (found, wanted) in classifier.decisions(&labels).iter().zip(&case.decisions) {
                assert_near(*found, *wanted, &case.name);
            }
            assert_near(classifier.error(&labels), case.error, &case.name);
        }
    }

    #[test]
    fn sets_far_apart_are_told_apart_and_sets_from_one_distribution_seldom() {
        let of = |one: &Vectors, other: &Vectors| a_distance(one, other, &mut random()).unwrap();
        let far = cases().into_iter().find(|case| case.name == "far apart").unwrap();
        let found = of(&far.target, &far.source);
        assert_eq!((found.value, found.error, found.p), (2.0, 0.0, 0.002));
        let p = |seed: u64| of(&random_vectors(2 * seed, 15, 3), &random_vectors(2 * seed + 1, 15, 3)).p;
        let small = (0..100).filter(|seed| p(*seed) <= 0.05).count();
        assert!(small < 12, "{small}");
    }

    #[test]
    fn too_few_vectors_have_no_distance_and_equal_ones_only_guesses() {
        assert_eq!(a_distance(&random_vectors(0, 4, 2), &random_vectors(1, 9, 2), &mut random()), None);
        let same = Vectors::new(2, vec![1.0; 20]);
        assert_eq!(
            a_distance(&same, &same, &mut random()),
            Some(ADistance { value: 0.0, error: 0.5, p: 1.0 })
        );
    }
}
