//! Pictures that belong together, as file names show: of one product, of one person, of one folder.
//!
//! A model that has trained on a product's front knows its back. So whoever validates on the back measures memory.

use std::collections::HashMap;

use crate::record::grouping::Grouping;

/// Patterns that are tried, the surest first, each with what it stands for.
const PATTERNS: [(&str, &str); 5] = [
    (r"id_\d+", "an id in the name"),
    (
        r"^(.*?)[-_ ](?:front|back|side|left|right|full|flat|detail|additional)\b",
        "a view at the end of the name",
    ),
    (r"^(.*)[-_ ]\(?\d{1,2}\)?\.[^./]+$", "a number of one or two digits at the end of the name"),
    (r"^(.*)[-_ ]?[a-h]\.[^./]+$", "a letter at the end of the name"),
    (r"^(.+)/[^/]+$", "the folder"),
];
/// Fewer groups cannot be split.
const FEWEST_GROUPS: usize = 10;
/// Groups have more images than this on average, or they are single images.
const LEAST_MEAN: f64 = 1.2;
/// No group has a larger share, or it would take a side of its own.
const LARGEST_SHARE: f64 = 0.1;
/// Nearly all names follow the pattern.
const LEAST_NAMED: f64 = 0.9;

/// A pattern that puts images into groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouped {
    pub pattern: &'static str,
    /// What the pattern goes by, in words.
    pub by: &'static str,
    pub groups: usize,
    /// One of the groups.
    pub example: String,
}

/// The groups that the names of images show, if they show any.
pub fn of_names(images: &[&str]) -> Option<Grouped> {
    PATTERNS.into_iter().find_map(|(pattern, by)| try_pattern(images, pattern, by))
}

fn try_pattern(images: &[&str], pattern: &'static str, by: &'static str) -> Option<Grouped> {
    let grouping = Grouping::new(pattern).ok()?;
    let mut sizes: HashMap<&str, usize> = HashMap::new();
    let mut named = 0;
    for group in images.iter().filter_map(|image| grouping.of(image)) {
        named += 1;
        *sizes.entry(group).or_default() += 1;
    }
    let (example, largest) = sizes.iter().max_by_key(|(name, count)| (**count, std::cmp::Reverse(**name)))?;
    let is_sound = named as f64 >= LEAST_NAMED * images.len() as f64
        && sizes.len() >= FEWEST_GROUPS
        && named as f64 >= LEAST_MEAN * sizes.len() as f64
        && *largest as f64 <= LARGEST_SHARE * images.len() as f64;
    is_sound.then(|| Grouped { pattern, by, groups: sizes.len(), example: (*example).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: impl Fn(usize) -> String) -> Option<(&'static str, usize)> {
        let names: Vec<String> = (0..120).map(name).collect();
        let grouped = of_names(&names.iter().map(String::as_str).collect::<Vec<_>>());
        grouped.map(|grouped| (grouped.by, grouped.groups))
    }

    #[test]
    fn names_of_products_show_their_groups() {
        let views = ["front", "back", "side", "full"];
        let fashion = |n: usize| format!("WOMEN-Dresses-id_{:08}-01_{}_{}.jpg", n / 4, n % 4, views[n % 4]);
        assert_eq!(found(fashion), Some(("an id in the name", 30)));
        assert_eq!(
            found(|n| format!("shirt{}_{}.jpg", n / 4, views[n % 4])),
            Some(("a view at the end of the name", 30))
        );
        let number = "a number of one or two digits at the end of the name";
        assert_eq!(found(|n| format!("sku{:05}-{}.jpg", n / 3, n % 3)), Some((number, 40)));
        assert_eq!(found(|n| format!("chair {} ({}).png", n / 2, n % 2)), Some((number, 60)));
        assert_eq!(
            found(|n| format!("{:04}{}.png", n / 2, ["a", "b"][n % 2])),
            Some(("a letter at the end of the name", 60))
        );
        assert_eq!(found(|n| format!("{:03}/{}.png", n / 5, n % 5)), Some(("the folder", 24)));
    }

    #[test]
    fn names_that_show_none_are_left_alone() {
        assert_eq!(found(|n| format!("{n:04}.jpg")), None);
        assert_eq!(found(|n| format!("figure-{n:04}.png")), None);
        assert_eq!(found(|n| format!("images/{n}.png")), None, "one folder for all");
        assert_eq!(found(|n| format!("{}/{n}.png", n % 4)), None, "four folders are kinds and no products");
        assert_eq!(found(|n| format!("id_{n}.jpg")), None, "every image is its own product");
        assert_eq!(of_names(&[]), None);
    }
}
