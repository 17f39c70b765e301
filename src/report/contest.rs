//! Whether the best run is really the best: the first of the ranking on the same images.

use std::collections::{BTreeMap, BTreeSet};

use super::comparison::{ImageScores, Images, SCORE, SEED, image_scores};
use super::findings::Study;
use crate::analysis::detectable::smallest_detectable;
use crate::analysis::selection::corrected_best;
use crate::analysis::winner::winner;
use crate::analysis::{Interval, RESAMPLES};

/// The first so many of the ranking are compared. Who is far behind them cannot be the best, and every two runs are a
/// comparison more. Among runs that are alike the first of many are nearer to each other than as many drawn from them, so that
/// no lead is found too often.
const MOST: usize = 200;

/// What comparing the ranked runs at once comes to.
pub struct Contest {
    /// How many are compared.
    pub runs: usize,
    /// Ranked runs behind them.
    pub behind: usize,
    /// Images that all of them captioned.
    pub images: usize,
    /// The first of the ranking leads all others that are compared, corrected over all pairs.
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
    let contestants: Vec<_> = study.ranked().take(MOST).filter_map(|row| study.data_of(row)).collect();
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
        behind: study.ranked().count().saturating_sub(MOST),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_runs::{forget_a_test_image_each, gather_example, write_runs_with_seeds};
    use crate::report::tables::build;

    #[test]
    fn runs_are_compared_on_the_images_that_all_of_them_captioned() {
        let folder = tempfile::tempdir().unwrap();
        write_runs_with_seeds(folder.path()).unwrap();
        let mut data = gather_example(folder.path());
        let tables = build(&data).unwrap();
        let images = |data: &crate::report::gather::SweepData| {
            let study = Study::new(data, tables.run_rows().unwrap(), tables.ranked_by);
            contest(&study, Images::Test).unwrap().images
        };
        let all = images(&data);
        forget_a_test_image_each(&mut data);
        assert_eq!((all, images(&data)), (128, 126));
    }
}
