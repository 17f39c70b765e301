//! What pictures have to do with the words of their captions, in training and elsewhere: whether the pairs are right.
//!
//! Where a share `e` of the training pairs is wrong, a picture and the caption beside it come from `(1 - e) p(x, y) + e p(x)
//! p(y)`: their cross-covariance is `1 - e` times that of right pairs, whatever either looks like. So that of training
//! is laid on that of unseen pairs, `<C_train, C_unseen> / |C_unseen|^2` in the Hilbert-Schmidt product, and comes to the share of
//! right pairs. `|C|^2` is HSIC (Gretton et al. 2005), here without the pairs of an image with itself, which would make it
//! too large (Song et al. 2012). Features are frozen, so nothing was learnt by heart.
//!
//! Pictures are mean patch features, whitened by their covariance with a ridge; captions are which words they have, each
//! word scaled by how often its own split has it, so that one that training has less often weighs no less.

use std::collections::{BTreeMap, BTreeSet};

use super::linear::{cholesky, solve};
use super::vectors::{Vectors, products};
use crate::data::Example;
use crate::record::diagnostics::VERSION;
use crate::record::pairing::Pairing;
use crate::score::alphanumeric_words;

/// Fewer images of either kind say nothing.
const FEWEST: usize = 20;
/// The ridge beside the mean variance of a feature: directions with less of it count less.
const RIDGE: f64 = 0.1;
/// A word counts that at least this share of captions has, and at least this share has not, of either kind.
const LEAST: f64 = 0.03;
/// Words of a caption that are looked at.
const MOST_WORDS: usize = 300;
/// Training images that are named.
const MOST_NAMED: usize = 10;
/// Standard errors by which unseen pairs must have something to do with each other for training to be measured by them.
const SURE: f64 = 2.0;

/// Images with the words of their captions.
pub struct Pairs {
    features: Vectors,
    images: Vec<String>,
    words: Vec<BTreeSet<String>>,
}

impl Pairs {
    /// A feature vector of each example, with the words of its first caption.
    pub fn new<'a>(features: Vectors, examples: impl Iterator<Item = &'a Example>) -> Self {
        let of_one = |example: &Example| {
            let words = example.captions.first().map(|text| alphanumeric_words(text)).unwrap_or_default();
            (example.image.clone(), words.into_iter().take(MOST_WORDS).collect())
        };
        let (images, words) = examples.map(of_one).unzip();
        Self { features, images, words }
    }

    /// These images and then the others.
    pub fn and(self, others: Self) -> Self {
        Self {
            features: self.features.and(&others.features),
            images: [self.images, others.images].concat(),
            words: [self.words, others.words].concat(),
        }
    }

    fn len(&self) -> usize {
        self.words.len()
    }

    /// How many captions have each word.
    fn frequencies(&self) -> BTreeMap<&str, usize> {
        let mut frequencies = BTreeMap::new();
        for word in self.words.iter().flatten() {
            *frequencies.entry(word.as_str()).or_default() += 1;
        }
        frequencies
    }

    /// Which of the words each caption has, with mean 0 and variance 1 over the captions.
    fn having(&self, words: &[&str]) -> Vectors {
        let has = |caption: &BTreeSet<String>, word: &str| f64::from(u8::from(caption.contains(word)));
        let values = self.words.iter().flat_map(|caption| words.iter().map(move |word| has(caption, word)));
        let vectors = Vectors::new(words.len(), values.collect());
        vectors.standardised(&vectors).0
    }
}

/// Training pairs beside unseen ones; `None` where there are too few, or pictures and words of the unseen ones have nothing
/// to do with each other.
pub fn compare(train: &Pairs, unseen: &Pairs) -> Option<Pairing> {
    if train.len() < FEWEST || unseen.len() < FEWEST {
        return None;
    }
    let words = common_words(train, unseen);
    let (train_words, unseen_words) = (train.having(&words), unseen.having(&words));
    let (train_features, unseen_features) = (train.features.centred(), unseen.features.centred());
    let whitened = whitened(&train_features, &unseen_features)?;
    let alike = |features: &Vectors, words: &Vectors| -> Vec<f64> {
        let of_words = products(words, &unseen_words);
        products(features, &whitened).iter().zip(of_words).map(|(feature, word)| feature * word).collect()
    };
    let n = unseen.len();
    let across = alike(&train_features, &train_words);
    let of_train: Vec<f64> = across.chunks(n).map(mean).collect();
    let of_unseen: Vec<f64> = Vectors::new(n, across).transposed().rows().map(mean).collect();
    let within = alike(&unseen_features, &unseen_words);
    let others = |(i, row): (usize, &[f64])| (row.iter().sum::<f64>() - row[i]) / (n - 1) as f64;
    let of_others: Vec<f64> = within.chunks(n).enumerate().map(others).collect();
    let mut found = share(&of_train, &of_unseen, &of_others)?;
    let mut order: Vec<usize> = (0..train.len()).collect();
    order.sort_by(|a, b| of_train[*a].total_cmp(&of_train[*b]));
    found.least_fitting = order.iter().take(MOST_NAMED).map(|index| train.images[*index].clone()).collect();
    Some(found)
}

/// The share of right pairs and its error by the delta method, from what each image adds: training images and unseen ones to
/// the product of both, and unseen ones to that with themselves, of which each is part twice.
fn share(of_train: &[f64], of_unseen: &[f64], of_others: &[f64]) -> Option<Pairing> {
    let (product, square) = (mean(of_train), mean(of_others));
    let share = product / square;
    let error_of = |share: f64| {
        let adds = |(unseen, other): (&f64, &f64)| unseen - 2.0 * share * other;
        let unseen: Vec<f64> = of_unseen.iter().zip(of_others).map(adds).collect();
        standard_error(of_train).hypot(standard_error(&unseen))
    };
    let found = Pairing {
        v: VERSION,
        train_images: of_train.len(),
        unseen_images: of_unseen.len(),
        share,
        error: error_of(share) / square,
        z: (square - product) / error_of(1.0),
        least_fitting: Vec::new(),
    };
    let is_measured = square > SURE * 2.0 * standard_error(of_others);
    (is_measured && [found.share, found.error, found.z].into_iter().all(f64::is_finite)).then_some(found)
}

/// Words that captions of both kinds have, and others have not.
fn common_words<'a>(train: &'a Pairs, unseen: &'a Pairs) -> Vec<&'a str> {
    let is_common = |count: usize, captions: usize| {
        let share = count as f64 / captions as f64;
        (LEAST..=1.0 - LEAST).contains(&share)
    };
    let elsewhere = unseen.frequencies();
    let common = train.frequencies().into_iter().filter(|(word, count)| {
        is_common(*count, train.len())
            && elsewhere.get(word).is_some_and(|count| is_common(*count, unseen.len()))
    });
    common.map(|(word, _)| word).collect()
}

/// The unseen features times the inverse of the covariance of all, a ridge added to it.
fn whitened(train: &Vectors, unseen: &Vectors) -> Option<Vectors> {
    let all = train.and(unseen);
    let width = all.width();
    let columns = all.transposed();
    let mut covariance = products(&columns, &columns);
    covariance.iter_mut().for_each(|value| *value /= all.len() as f64);
    let trace: f64 = covariance.iter().step_by(width + 1).sum();
    covariance.iter_mut().step_by(width + 1).for_each(|value| *value += RIDGE * trace / width as f64);
    let factor = cholesky(covariance, width)?;
    let rows = (0..unseen.len()).flat_map(|i| {
        let mut row = unseen.row(i).to_vec();
        solve(&factor, &mut row);
        row
    });
    Some(Vectors::new(width, rows.collect()))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of the mean of these values.
fn standard_error(values: &[f64]) -> f64 {
    let (n, mean) = (values.len() as f64, mean(values));
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::random::Random;

    const KINDS: [&str; 8] = ["red", "blue", "green", "grey", "shirt", "dress", "coat", "skirt"];

    /// Pictures of one colour and one garment, seen with noise; of the captions, which name both, a share is another's.
    fn pairs(seed: u64, images: usize, wrong: f64) -> Pairs {
        let mut random = Random::new(seed, "pairs", &[]);
        let kinds: Vec<[usize; 2]> = (0..images).map(|_| [random.below(4), 4 + random.below(4)]).collect();
        let mut values = Vec::new();
        for kinds in &kinds {
            for feature in 0..10 {
                let shown = f64::from(u8::from(kinds.contains(&feature)));
                values.push(shown + random.normal());
            }
        }
        let mut captions: Vec<String> = kinds
            .iter()
            .map(|[colour, garment]| format!("a {} {}.", KINDS[*colour], KINDS[*garment]))
            .collect();
        let moved = (wrong * images as f64) as usize;
        captions[..moved].rotate_left(usize::from(moved > 0));
        let examples: Vec<Example> = captions.into_iter().enumerate().map(example).collect();
        Pairs::new(Vectors::new(10, values), examples.iter())
    }

    fn example((index, caption): (usize, String)) -> Example {
        Example { image: index.to_string(), path: PathBuf::new(), captions: vec![caption], digest: None }
    }

    fn of(seed: u64, wrong: f64) -> Pairing {
        compare(&pairs(2 * seed, 400, wrong), &pairs(2 * seed + 1, 200, 0.0)).unwrap()
    }

    #[test]
    fn the_share_is_that_of_the_right_pairs_and_lies_within_its_errors() {
        for wrong in [0.0, 0.25, 0.5, 1.0] {
            let found: Vec<Pairing> = (0..100).map(|seed| of(seed, wrong)).collect();
            let mean = found.iter().map(|found| found.share).sum::<f64>() / 100.0;
            assert!((mean - (1.0 - wrong)).abs() < 0.06, "{mean} of {wrong}");
            let near = |found: &&Pairing| (found.share - (1.0 - wrong)).abs() < 1.96 * found.error;
            let within = found.iter().filter(near).count();
            assert!(within >= 88, "{within} of 100 at {wrong}");
        }
    }

    #[test]
    fn right_pairs_are_seldom_two_errors_short_and_half_wrong_ones_are_always() {
        let short = |wrong| (0..100).filter(|seed| of(*seed, wrong).z > 2.33).count();
        assert!(short(0.0) <= 3, "{} of 100", short(0.0));
        assert_eq!(short(0.5), 100);
    }

    #[test]
    fn of_the_captions_that_fit_least_most_are_another_images() {
        let named = (0..50).flat_map(|seed| of(seed, 0.25).least_fitting);
        let wrong: Vec<bool> = named.map(|image| image.parse::<usize>().unwrap() < 100).collect();
        assert_eq!(wrong.len(), 500);
        let right = wrong.iter().filter(|is_wrong| !**is_wrong).count();
        assert!(right <= 125, "{right} of 500 are right, where 375 would be by chance");
    }

    #[test]
    fn unseen_pairs_that_have_nothing_to_do_with_each_other_measure_nothing() {
        let found = (0..50)
            .filter(|seed| compare(&pairs(2 * seed, 400, 0.0), &pairs(2 * seed + 1, 200, 1.0)).is_some());
        assert!(found.count() <= 4);
    }

    #[test]
    fn too_few_images_captions_without_words_and_one_caption_for_all_measure_nothing() {
        assert_eq!(compare(&pairs(0, 19, 0.0), &pairs(1, 200, 0.0)), None);
        assert_eq!(compare(&pairs(0, 200, 0.0), &pairs(1, 19, 0.0)), None);
        for text in ["", "a red shirt"] {
            let same = |seed| Pairs {
                words: vec![alphanumeric_words(text).into_iter().collect(); 50],
                ..pairs(seed, 50, 0.0)
            };
            assert_eq!(compare(&same(0), &same(1)), None);
        }
        let flat = |seed| Pairs { features: Vectors::new(3, vec![1.0; 150]), ..pairs(seed, 50, 0.0) };
        assert_eq!(compare(&flat(0), &flat(1)), None);
        let broken = |seed| Pairs { features: Vectors::new(3, vec![f64::NAN; 150]), ..pairs(seed, 50, 0.0) };
        assert_eq!(compare(&broken(0), &broken(1)), None);
    }
}
