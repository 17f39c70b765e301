//! What the ratings say: means, preference, agreement between raters, and whether the metrics say the same.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ratings::Key;
use super::{Opinion, Ratings, System};
use crate::analysis::agreement::{Level, alpha};
use crate::analysis::correlation::spearman_interval;
use crate::analysis::{Interval, RESAMPLES, mean_intervals};
use crate::report::comparison::{PAIRED, SEED};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    pub raters: usize,
    pub images: usize,
    /// Those that were rated, the one that others are compared with first.
    pub systems: Vec<Rated>,
    pub agreement: Agreement,
    /// How accuracy relates to each metric, caption by caption.
    pub metrics: Vec<Relation>,
}

/// Means over images, an image's value being the mean over its raters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rated {
    pub system: String,
    pub label: String,
    pub images: usize,
    pub accuracy: Option<Interval>,
    pub fluency: Option<Interval>,
    /// How often it was preferred to the others, from 0 to 1.
    pub preferred: Option<Interval>,
    /// Accuracy and fluency minus those of the first system, on the images where both were rated.
    pub accuracy_gain: Option<Interval>,
    pub fluency_gain: Option<Interval>,
}

/// Krippendorff's alpha: ordinal, ordinal and nominal. Absent for fewer than two raters of anything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    pub accuracy: Option<f64>,
    pub fluency: Option<f64>,
    pub preference: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Relation {
    /// The metric, as in tables.
    pub metric: &'static str,
    pub captions: usize,
    /// Spearman's rank correlation; its interval is over images.
    pub correlation: Option<Interval>,
}

type Field = fn(&Opinion) -> Option<f64>;

const ACCURACY: Field = |opinion| opinion.accuracy.map(f64::from);
const FLUENCY: Field = |opinion| opinion.fluency.map(f64::from);
const PREFERRED: Field = |opinion| opinion.preferred.map(|is_preferred| f64::from(u8::from(is_preferred)));

/// Nothing where nothing was rated.
pub fn evaluate(ratings: &Ratings, systems: &[System]) -> Option<Evaluation> {
    let mut rated: Vec<usize> = ratings.opinions.keys().map(|key| key.system).collect();
    // The first system is what others are compared with; the rest stay in the order of the leaderboard.
    rated.sort_by_key(|&place| (systems.get(place).is_none_or(|system| !system.is_base), place));
    rated.dedup();
    let first = *rated.first()?;
    let results =
        rated.iter().filter_map(|&place| Some(rated_system(ratings, systems.get(place)?, place, first)));
    Some(Evaluation {
        raters: ratings.raters().len(),
        images: ratings.images().len(),
        systems: results.collect(),
        agreement: agreement(ratings),
        metrics: relations(ratings, systems),
    })
}

fn rated_system(ratings: &Ratings, system: &System, place: usize, first: usize) -> Rated {
    let mean_of = |field| interval(by_image(ratings, place, field).into_values());
    let gain = |field| {
        let other = by_image(ratings, first, field);
        let own = by_image(ratings, place, field);
        let differences = own.into_iter().filter_map(|(image, mean)| Some(mean - other.get(image)?));
        if place == first { None } else { interval(differences) }
    };
    let images = ratings.opinions.keys().filter(|key| key.system == place).map(|key| &key.image);
    Rated {
        system: system.name.clone(),
        label: system.label.clone(),
        images: images.collect::<std::collections::BTreeSet<_>>().len(),
        accuracy: mean_of(ACCURACY),
        fluency: mean_of(FLUENCY),
        preferred: mean_of(PREFERRED),
        accuracy_gain: gain(ACCURACY),
        fluency_gain: gain(FLUENCY),
    }
}

fn interval(values: impl Iterator<Item = f64>) -> Option<Interval> {
    let rows: Vec<[f64; 1]> = values.map(|value| [value]).collect();
    mean_intervals(&rows, RESAMPLES, SEED).map(|[interval]| interval)
}

/// A system's mean over raters, by image.
fn by_image(ratings: &Ratings, place: usize, field: Field) -> BTreeMap<&str, f64> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (key, opinion) in ratings.opinions.iter().filter(|(key, _)| key.system == place) {
        values.entry(&key.image).or_default().extend(field(opinion));
    }
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    values
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(image, values)| (image, mean(values)))
        .collect()
}

fn agreement(ratings: &Ratings) -> Agreement {
    let scale = |field: fn(&Opinion) -> Option<u8>| {
        let mut units: BTreeMap<(&str, usize), Vec<u32>> = BTreeMap::new();
        for (Key { image, system, .. }, opinion) in &ratings.opinions {
            units.entry((image, *system)).or_default().extend(field(opinion).map(u32::from));
        }
        alpha(&units.into_values().collect::<Vec<_>>(), Level::Ordinal)
    };
    Agreement {
        accuracy: scale(|opinion| opinion.accuracy),
        fluency: scale(|opinion| opinion.fluency),
        preference: alpha(&preferences(ratings), Level::Nominal),
    }
}

/// For each image what its raters prefer: 0 for none, else 1 and the place of the system.
fn preferences(ratings: &Ratings) -> Vec<Vec<u32>> {
    let mut chosen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for (key, opinion) in &ratings.opinions {
        if let Some(is_preferred) = opinion.preferred {
            let choice = chosen.entry((&key.image, &key.rater)).or_default();
            if is_preferred {
                *choice = u32::try_from(key.system + 1).unwrap_or(u32::MAX);
            }
        }
    }
    let mut units: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for ((image, _), choice) in chosen {
        units.entry(image).or_default().push(choice);
    }
    units.into_values().collect()
}

fn relations(ratings: &Ratings, systems: &[System]) -> Vec<Relation> {
    let accuracy: Vec<BTreeMap<&str, f64>> =
        (0..systems.len()).map(|place| by_image(ratings, place, ACCURACY)).collect();
    let relation = |(column, metric): (usize, &crate::report::metrics::Metric)| {
        let pair = |(system, accuracy): (&System, &BTreeMap<&str, f64>), image: &str| {
            let score = system.scores.get(image)?.get(column)?;
            Some((*accuracy.get(image)?, *score))
        };
        let of_image = |image: &str| -> Vec<(f64, f64)> {
            systems.iter().zip(&accuracy).filter_map(|system| pair(system, image)).collect()
        };
        let groups: Vec<_> =
            ratings.images().into_iter().map(of_image).filter(|pairs| !pairs.is_empty()).collect();
        let captions = groups.iter().map(Vec::len).sum();
        Relation { metric: metric.key(), captions, correlation: spearman_interval(&groups, RESAMPLES, SEED) }
    };
    PAIRED.iter().enumerate().map(relation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::rating::ratings::tests::file;
    use crate::report::rating::sheet::tests::system;

    const IMAGES: [(&str, &str); 4] = [("1", "x"), ("2", "x"), ("3", "x"), ("4", "x")];

    /// Two systems, of which `b` is the better by all metrics and `a` the base.
    fn systems() -> Vec<System<'static>> {
        let mut systems = vec![system("b", &IMAGES), system("a", &IMAGES)];
        for (system, start) in systems.iter_mut().zip([0.5, 0.1]) {
            let scores = |(place, (image, _)): (usize, &(&'static str, &str))| {
                (*image, [start + 0.01 * place as f64; 4])
            };
            system.scores = IMAGES.iter().enumerate().map(scores).collect();
        }
        systems[1].is_base = true;
        systems
    }

    fn evaluated(files: &[crate::report::rating::RatingFile]) -> Option<Evaluation> {
        let systems = systems();
        evaluate(&Ratings::join(&files.iter().collect::<Vec<_>>(), &systems), &systems)
    }

    #[test]
    fn means_are_over_images_of_means_over_raters() {
        let ann = file(
            "Ann",
            &[("1", "a", 1, 5), ("2", "a", 3, 5), ("1", "b", 4, 5), ("2", "b", 4, 5)],
            &[("1", "b"), ("2", "")],
        );
        let bob = file("Bob", &[("1", "a", 2, 5)], &[("1", "a")]);
        let found = evaluated(&[ann, bob]).unwrap();
        assert_eq!((found.raters, found.images), (2, 2));
        let [base, other] = found.systems.as_slice() else { panic!("{found:?}") };
        let estimate = |interval: Option<Interval>| interval.unwrap().estimate;
        assert_eq!((base.system.as_str(), other.system.as_str()), ("a", "b"));
        assert_eq!([estimate(base.accuracy), estimate(other.accuracy)], [(1.5 + 3.0) / 2.0, 4.0]);
        assert_eq!([estimate(base.preferred), estimate(other.preferred)], [0.25, 0.25]);
        assert_eq!((base.accuracy_gain, estimate(other.accuracy_gain)), (None, (2.5 + 1.0) / 2.0));
    }

    #[test]
    fn raters_who_agree_agree_and_one_alone_does_not() {
        let ratings = [("1", "a", 1, 3), ("2", "a", 3, 3), ("1", "b", 4, 3), ("2", "b", 5, 3)];
        let preferences = [("1", "b"), ("2", ""), ("3", "a")];
        let one = evaluated(&[file("Ann", &ratings, &preferences)]).unwrap();
        assert_eq!(one.agreement, Agreement { accuracy: None, fluency: None, preference: None });
        let two = evaluated(&["Ann", "Bob"].map(|rater| file(rater, &ratings, &preferences))).unwrap();
        // All said the same of fluency, as chance would have it too.
        assert_eq!(two.agreement, Agreement { accuracy: Some(1.0), fluency: None, preference: Some(1.0) });
        let opposed = evaluated(&[
            file("Ann", &[], &[("1", "a"), ("2", "b")]),
            file("Bob", &[], &[("1", "b"), ("2", "a")]),
        ]);
        assert!(opposed.unwrap().agreement.preference.unwrap() < -0.4);
    }

    #[test]
    fn metrics_that_order_captions_as_people_do_correlate() {
        let ratings =
            [("1", "a", 1, 3), ("2", "a", 2, 3), ("3", "a", 3, 3), ("1", "b", 4, 3), ("2", "b", 5, 3)];
        let found = evaluated(&[file("Ann", &ratings, &[])]).unwrap();
        assert_eq!(
            found.metrics.iter().map(|relation| relation.metric).collect::<Vec<_>>(),
            ["meteor", "rouge_l", "cider_d", "score"]
        );
        for relation in found.metrics {
            assert_eq!((relation.captions, relation.correlation.unwrap().estimate), (5, 1.0));
        }
        assert_eq!(evaluated(&[]), None);
    }
}
