//! Whether the best run is really the best: every ranked run on the same images.

use std::collections::{BTreeMap, BTreeSet};

use super::comparison::{ImageScores, Images, SCORE, SEED, image_scores};
use super::findings::Study;
use crate::analysis::detectable::smallest_detectable;
use crate::analysis::selection::corrected_best;
use crate::analysis::winner::winner;
use crate::analysis::{Interval, RESAMPLES};

/// What comparing all ranked runs at once comes to.
pub struct Contest {
    pub runs: usize,
    /// Images that all of them captioned.
    pub images: usize,
    /// The first of the ranking leads all others, corrected over all pairs.
    pub is_real: bool,
    /// Other runs that the images do not tell from the one that is best on them.
    pub tied: usize,
    /// Ids of the runs that these images do not tell from the first of the ranking; none where another is best on them.
    pub tied_with_first: Vec<String>,
    /// The score of whoever is best, corrected for having been chosen.
    pub corrected_score: Option<Interval>,
    /// The smallest difference to the second of the ranking that these images show with a power of 80 %.
    pub detectable: Option<f64>,
}

/// Nothing where fewer than two runs have scores on the same images.
pub fn contest(study: &Study, images: Images) -> Option<Contest> {
    let contestants: Vec<_> = study.ranked().filter_map(|row| study.data_of(row)).collect();
    let scores: Vec<_> = contestants.iter().map(|run| image_scores(run, images)).collect();
    let common = scores.iter().map(|of_run| of_run.keys().copied().collect::<BTreeSet<&str>>());
    let common = common.reduce(|a, b| a.intersection(&b).copied().collect())?;
    let of_image = |of_run: &BTreeMap<&str, ImageScores>| -> Vec<f64> {
        common.iter().filter_map(|image| Some(of_run.get(image)?[SCORE])).collect()
    };
    let runs: Vec<Vec<f64>> = scores.iter().map(of_image).collect();
    let found = winner(&runs, RESAMPLES, SEED)?;
    let differences: Vec<f64> =
        runs.first()?.iter().zip(runs.get(1)?).map(|(first, second)| first - second).collect();
    Some(Contest {
        runs: runs.len(),
        images: common.len(),
        is_real: found.is_real && found.best == 0,
        tied: found.tied.len(),
        tied_with_first: if found.best == 0 {
            found.tied.iter().map(|run| contestants[*run].id().to_owned()).collect()
        } else {
            Vec::new()
        },
        corrected_score: corrected_best(&runs, RESAMPLES, SEED),
        detectable: smallest_detectable(&differences),
    })
}
