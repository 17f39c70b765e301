//! Epochs that see groups of images more evenly than the data has them.
//!
//! A group of n images is drawn in proportion to n^(1 - b), with b the recipe's `balance`: in proportion to its size for
//! 0, as often as any other for 1. An epoch has as many draws as there are images. They are a systematic sample (Madow
//! 1949) of an order that is new every epoch: an image that is due 1.3 times is drawn once or twice, never not at all, and
//! no group gets more or less than its share by more than luck of one draw. Draws depend on the run's seed and the epoch
//! alone, so that a resumed run draws the same.

use std::collections::HashMap;

use anyhow::{Result, anyhow};

use crate::random::Random;
use crate::record::grouping::Grouping;
use crate::record::recipe::Training;

/// How often an epoch draws each training example on average; the sum is their number.
#[derive(Debug, PartialEq)]
pub struct Balance(Vec<f64>);

impl Balance {
    /// `None` where nothing is evened out.
    pub fn of<'a>(training: &Training, images: impl Iterator<Item = &'a str>) -> Result<Option<Self>> {
        if training.balance == 0.0 {
            return Ok(None);
        }
        let grouping = Grouping::new(&training.balance_by)
            .map_err(|reason| anyhow!("training.balance_by is no regular expression: {reason}"))?;
        // Images of which the pattern finds no group are one together.
        let groups: Vec<Option<&str>> = images.map(|image| grouping.of(image)).collect();
        let mut sizes: HashMap<Option<&str>, usize> = HashMap::new();
        groups.iter().for_each(|group| *sizes.entry(*group).or_default() += 1);
        let weight =
            |group: &Option<&str>| (sizes.get(group).copied().unwrap_or(1) as f64).powf(-training.balance);
        let weights: Vec<f64> = groups.iter().map(weight).collect();
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        Ok(Some(Self(weights.into_iter().map(|weight| weight * scale).collect())))
    }

    /// The examples that an epoch sees, in their order; one may be among them several times or not at all.
    pub fn draw(&self, seed: u64, epoch: usize) -> Vec<usize> {
        let mut random = Random::new(seed, "balance", &[epoch as u64]);
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        random.shuffle(&mut order);
        let mut drawn = Vec::with_capacity(order.len());
        // The first mark lies in [0, 1), the others one apart; an example is drawn for every mark in its stretch.
        let (mut mark, mut end) = (random.uniform(), 0.0);
        for index in order {
            end += self.0[index];
            while mark < end && drawn.len() < self.0.len() {
                drawn.push(index);
                mark += 1.0;
            }
        }
        // Rounding may end the stretches a hair before the last mark.
        while let (true, Some(last)) = (drawn.len() < self.0.len(), drawn.last().copied()) {
            drawn.push(last);
        }
        drawn.sort_unstable();
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Preset;

    /// 90 dresses and 10 hats.
    fn balance(strength: f64, by: &str) -> Option<Balance> {
        let mut training = Preset::Corrected.recipe().training;
        (training.balance, training.balance_by) = (strength, by.to_owned());
        let names: Vec<String> =
            (0..100).map(|n| format!("{}_{n}.jpg", if n < 90 { "dress" } else { "hat" })).collect();
        Balance::of(&training, names.iter().map(String::as_str)).unwrap()
    }

    fn hats(drawn: &[usize]) -> usize {
        drawn.iter().filter(|index| **index >= 90).count()
    }

    #[test]
    fn groups_are_drawn_by_their_size_to_the_power_that_is_left() {
        assert_eq!(balance(0.0, ""), None);
        for (strength, expected) in [(1.0, 50.0), (0.5, 100.0 / (1.0 + 3.0)), (1e-9, 10.0)] {
            let balance = balance(strength, "").unwrap();
            let mut all = 0;
            for epoch in 1..=40 {
                let drawn = balance.draw(7, epoch);
                assert_eq!(drawn.len(), 100);
                all += hats(&drawn);
            }
            let mean = all as f64 / 40.0;
            assert!((mean - expected).abs() < 1.0, "{strength}: {mean} hats, not {expected}");
        }
    }

    #[test]
    fn an_image_that_is_due_more_than_once_is_never_left_out() {
        // Each hat is due five times, each dress every second epoch.
        let drawn = balance(1.0, "").unwrap().draw(7, 1);
        let times = |index: usize| drawn.iter().filter(|other| **other == index).count();
        assert!((90..100).all(|index| times(index) == 5) && (0..90).all(|index| times(index) <= 1));
    }

    #[test]
    fn draws_follow_from_seed_and_epoch() {
        let balance = balance(1.0, "").unwrap();
        assert_eq!(balance.draw(7, 3), balance.draw(7, 3));
        assert_ne!(balance.draw(7, 3), balance.draw(7, 4));
        assert_ne!(balance.draw(7, 3), balance.draw(8, 3));
    }

    #[test]
    fn a_pattern_makes_other_groups() {
        assert_eq!(balance(1.0, "dress|hat"), balance(1.0, ""));
        let by_first_digit = balance(1.0, r"_(\d)").unwrap();
        assert_ne!(by_first_digit, balance(1.0, "").unwrap());
        // Whatever has no group is one: nothing to even out.
        assert!(balance(1.0, "shoe").unwrap().0.iter().all(|due| (due - 1.0).abs() < 1e-12));
    }
}
