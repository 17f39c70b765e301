//! Which images a gallery shows: chosen by rule from their scores, never by hand.

use crate::random::Random;

/// Why an image is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseRule {
    /// The highest score of the fine-tuned model.
    Best,
    /// The score in the middle.
    Median,
    /// The lowest score.
    Worst,
    /// The largest gain over the model before training.
    MostImproved,
    /// The largest loss.
    MostHarmed,
    /// Drawn from those that no other rule chose.
    Random,
}

/// A chosen image, as an index into the scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub index: usize,
    pub rule: CaseRule,
}

/// Chooses images by each rule, then `random` more, each image once.
///
/// `scores` holds `(before, after)` an image. Ties go to the image that comes first. An image that two rules
/// choose is shown for the first of them, and the other rule takes its next one; most harmed is left out
/// where no image lost anything, most improved where none gained.
pub fn choose_cases(scores: &[(f64, f64)], random: usize, seed: u64) -> Vec<Case> {
    let after = |index: &usize| scores[*index].1;
    let gain = |index: &usize| scores[*index].1 - scores[*index].0;
    let mut by_score: Vec<usize> = (0..scores.len()).collect();
    by_score.sort_by(|a, b| after(b).total_cmp(&after(a)));
    let mut by_gain: Vec<usize> = (0..scores.len()).collect();
    by_gain.sort_by(|a, b| gain(b).total_cmp(&gain(a)));

    let mut chosen = Chosen::default();
    let middle = by_score.len() / 2;
    chosen.first(CaseRule::Best, by_score.iter());
    chosen.first(CaseRule::Worst, by_score.iter().rev());
    chosen.first(CaseRule::MostImproved, by_gain.iter().filter(|index| gain(index) > 0.0));
    chosen.first(CaseRule::MostHarmed, by_gain.iter().rev().filter(|index| gain(index) < 0.0));
    chosen.first(CaseRule::Median, by_score.iter().skip(middle));
    let mut rest: Vec<usize> = (0..scores.len()).collect();
    Random::new(seed, "gallery", &[]).shuffle(&mut rest);
    for _ in 0..random {
        chosen.first(CaseRule::Random, rest.iter());
    }
    chosen.0
}

#[derive(Default)]
struct Chosen(Vec<Case>);

impl Chosen {
    /// Takes the first of these that is not chosen yet, if there is one.
    fn first<'a>(&mut self, rule: CaseRule, mut indices: impl Iterator<Item = &'a usize>) {
        let free = |index: &&usize| self.0.iter().all(|case| case.index != **index);
        if let Some(&index) = indices.find(free) {
            self.0.push(Case { index, rule });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_of(cases: &[Case], rule: CaseRule) -> Option<usize> {
        cases.iter().find(|case| case.rule == rule).map(|case| case.index)
    }

    #[test]
    fn every_rule_finds_its_image() {
        let scores = [(0.1, 0.9), (0.1, 0.2), (0.0, 0.85), (0.8, 0.4), (0.3, 0.5), (0.4, 0.6), (0.5, 0.7)];
        let cases = choose_cases(&scores, 0, 0);
        assert_eq!(index_of(&cases, CaseRule::Best), Some(0));
        assert_eq!(index_of(&cases, CaseRule::Worst), Some(1));
        assert_eq!(index_of(&cases, CaseRule::MostImproved), Some(2));
        assert_eq!(index_of(&cases, CaseRule::MostHarmed), Some(3));
        assert_eq!(index_of(&cases, CaseRule::Median), Some(5));
    }

    #[test]
    fn no_image_is_shown_twice_and_random_ones_repeat_with_the_seed() {
        let scores: Vec<(f64, f64)> = (0..50).map(|i| (0.0, f64::from(i) / 50.0)).collect();
        let cases = choose_cases(&scores, 4, 1);
        assert_eq!(cases.len(), 8, "no image lost anything: four rules and four drawn");
        let mut indices: Vec<usize> = cases.iter().map(|case| case.index).collect();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), cases.len());
        assert_eq!(choose_cases(&scores, 4, 1), cases);
        assert_ne!(choose_cases(&scores, 4, 2), cases);
    }

    #[test]
    fn few_images_give_few_cases() {
        assert!(choose_cases(&[], 3, 0).is_empty());
        assert_eq!(choose_cases(&[(0.0, 0.0)], 3, 0).len(), 1);
    }
}
