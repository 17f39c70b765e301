//! What scores were made by, for below a table of scores: a score without it cannot be compared.

use std::collections::BTreeSet;

use crate::record::recipe::Convention;
use crate::score::meteor_variant;

/// `scores: convention coco; METEOR: ...`, of all the conventions that occur.
pub fn in_words(conventions: impl IntoIterator<Item = Convention>) -> String {
    let names: BTreeSet<&str> = conventions.into_iter().map(Convention::name).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let warning = if names.len() > 1 { ", which do not compare" } else { "" };
    format!("scores: convention {}{warning}; METEOR: {}", names.join(" and "), meteor_variant())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_convention_is_named_once() {
        let one = in_words([Convention::Coco, Convention::Coco]);
        assert_eq!(one, "scores: convention coco; METEOR: nltk (exact, stem, wordnet 3.0)");
        let both = in_words([Convention::Original, Convention::Coco]);
        assert!(both.starts_with("scores: convention coco and original, which do not compare; "), "{both}");
    }
}
