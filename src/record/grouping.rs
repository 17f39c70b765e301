//! Which images belong together, by their names: pictures of one product, images of one kind.

use regex::{Regex, RegexBuilder};

/// Largest automaton that a pattern may become, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// A pattern that finds an image's group in its name: what its first parentheses hold, or all that it matches.
#[derive(Debug, Clone)]
pub struct Grouping(Option<Regex>);

impl Grouping {
    /// By a regular expression; an empty one groups by [`kind_of`]. The error is in one line.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Ok(Self(None));
        }
        let built = RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build();
        built.map(|regex| Self(Some(regex))).map_err(|error| {
            // The message points into the pattern over several lines; what is wrong stands in the last.
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").trim().to_owned()
        })
    }

    /// The group of an image; `None` where its name has none, and it is a group of its own.
    pub fn of<'a>(&self, image: &'a str) -> Option<&'a str> {
        let Some(pattern) = &self.0 else { return Some(kind_of(image)) };
        let found = pattern.captures(image)?;
        found.get(1).or_else(|| found.get(0)).map(|group| group.as_str())
    }
}

/// The letters and hyphens that a file's name begins with: `WOMEN-Dresses` of `women/WOMEN-Dresses-0001.jpg`.
pub fn kind_of(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or_default();
    let end = name.find(|letter: char| !letter.is_alphabetic() && letter != '-').unwrap_or(name.len());
    name[..end].trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_what_the_first_parentheses_hold_or_all_that_is_matched() {
        let of = |pattern, image| Grouping::new(pattern).unwrap().of(image);
        assert_eq!(of(r"id_(\d+)", "WOMEN-id_0012-01_front.jpg"), Some("0012"));
        assert_eq!(of(r"id_\d+", "WOMEN-id_0012-01_front.jpg"), Some("id_0012"));
        assert_eq!(of(r"id_(\d+)", "0012.jpg"), None);
        assert_eq!(of(r"(x)?a", "a.jpg"), Some("a"), "parentheses that match nothing");
        assert_eq!(of("", "women/WOMEN-Dresses-0001.jpg"), Some("WOMEN-Dresses"));
        assert_eq!(of("", "0001.jpg"), Some(""));
    }

    #[test]
    fn what_is_no_pattern_is_refused_in_one_line() {
        for (pattern, message) in
            [("id_(", "unclosed group"), ("[z-a]", "invalid character class range"), (r"\w{1000000}", "")]
        {
            let error = Grouping::new(pattern).unwrap_err();
            assert!(error.starts_with(message) && !error.contains('\n') && !error.is_empty(), "{error}");
        }
    }
}
