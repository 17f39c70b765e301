//! A seeded share of the examples for validation, by single images or by whole groups.

use std::collections::{HashMap, HashSet};

use super::dataset::Example;
use super::mt19937::PythonRandom;
use crate::record::grouping::Grouping;

/// What is split off.
pub struct Share {
    /// In (0, 1).
    pub fraction: f64,
    pub seed: u64,
    /// Images of one group stay together, such as all pictures of a product.
    pub group: Option<Grouping>,
}

impl Share {
    /// Shuffles the examples and takes the last of them; of examples in groups, from the last one on whole groups, until
    /// they are as many.
    pub fn split_off<T>(&self, examples: &mut Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
        PythonRandom::new(self.seed).shuffle(examples);
        let total = examples.len();
        // Truncation towards zero is Python's int().
        let wanted = (total as f64 * self.fraction) as usize;
        let Some(grouping) = &self.group else { return examples.split_off(total - wanted.min(total)) };
        // An image without a group is one by its whole name, which is no group's name.
        let group_of = |example: &T| {
            let image = name(example);
            grouping.of(image).map_or((true, image.to_owned()), |group| (false, group.to_owned()))
        };
        let groups: Vec<(bool, String)> = examples.iter().map(group_of).collect();
        let mut sizes: HashMap<&(bool, String), usize> = HashMap::new();
        groups.iter().for_each(|group| *sizes.entry(group).or_default() += 1);
        let (mut taken, mut count) = (HashSet::new(), 0);
        for group in groups.iter().rev() {
            if count < wanted && taken.insert(group) {
                count += sizes.get(group).copied().unwrap_or_default();
            }
        }
        let (mut kept, mut split_off) = (Vec::new(), Vec::new());
        for (example, group) in std::mem::take(examples).into_iter().zip(&groups) {
            if taken.contains(group) { split_off.push(example) } else { kept.push(example) }
        }
        *examples = kept;
        split_off
    }

    /// A sentence where the pattern finds no group in any name.
    pub fn warning(&self, examples: &[Example]) -> Option<String> {
        let grouping = self.group.as_ref()?;
        let is_alone = |example: &Example| grouping.of(&example.image).is_none();
        examples.iter().all(is_alone).then(|| {
            let count = examples.len();
            format!("data.validation.group finds no group in any of {count} names of images: each is a group of its own")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(count: usize, pattern: Option<&str>) -> (Vec<String>, Vec<String>) {
        let group = pattern.map(|pattern| Grouping::new(pattern).unwrap());
        let share = Share { fraction: 0.2, seed: 42, group };
        let mut names: Vec<String> = (0..count).map(|n| format!("id_{:02}-{}.jpg", n / 3, n % 3)).collect();
        let split_off = share.split_off(&mut names, |name| name);
        (names, split_off)
    }

    #[test]
    fn pictures_of_one_group_are_on_one_side() {
        let (kept, taken) = split(30, Some(r"id_\d+"));
        assert_eq!((kept.len(), taken.len()), (24, 6));
        let groups = |names: &[String]| names.iter().map(|name| name[..5].to_owned()).collect::<HashSet<_>>();
        assert!(groups(&kept).is_disjoint(&groups(&taken)) && groups(&taken).len() == 2);
        let (kept, taken) = split(30, None);
        assert!(!groups(&kept).is_disjoint(&groups(&taken)), "which is no matter of course");
    }

    #[test]
    fn images_without_groups_are_split_as_without_a_pattern() {
        assert_eq!(split(30, Some("no such name")), split(30, None));
        let (kept, taken) = split(30, Some("id"));
        assert_eq!((kept.len(), taken.len()), (0, 30), "one group is not taken apart");
    }

    #[test]
    fn a_pattern_that_fits_no_name_is_worth_a_warning() {
        let example = Example { image: "a.jpg".into(), path: "".into(), captions: vec![], digest: None };
        let warning = |pattern: &str| {
            let group = Some(Grouping::new(pattern).unwrap());
            Share { fraction: 0.2, seed: 42, group }.warning(std::slice::from_ref(&example))
        };
        assert!(warning("a").is_none() && warning("b").unwrap().contains("in any of 1 names"));
    }
}
