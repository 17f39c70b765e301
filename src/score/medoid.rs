//! The constant caption that says most about a data set.

use rayon::prelude::*;

use super::corpus::{Vocabulary, WordId};
use super::lcs::Pattern;
use super::porter::rouge_stem;
use super::rouge::f1;
use super::tokenize::alphanumeric_words;

/// How many captions stand for all of them.
const SAMPLE: usize = 200;

/// The caption with the largest mean ROUGE-L (F1 of `rouge_score`, stemmed) to the others; the first such.
///
/// The others are represented by at most 200 captions, evenly spaced over the list, so the cost is linear
/// in its length. Said for every image, this caption is the floor that a model must beat. None for an
/// empty list.
pub fn medoid(captions: &[&str]) -> Option<usize> {
    let mut vocabulary = Vocabulary::default();
    let split: Vec<Vec<String>> = captions.par_iter().map(|caption| alphanumeric_words(caption)).collect();
    let mut add = |words: Vec<String>| words.iter().map(|word| vocabulary.add(rouge_stem(word))).collect();
    let sequences: Vec<Vec<WordId>> = split.into_iter().map(&mut add).collect();
    let count = sequences.len();
    let spaced = (0..count.min(SAMPLE)).map(|k| k * count / count.min(SAMPLE));
    let sample: Vec<(usize, Pattern)> =
        spaced.filter_map(|index| Some((index, Pattern::new(sequences.get(index)?)))).collect();
    let mean_agreement = |(index, sequence): (usize, &Vec<WordId>)| {
        let others = sample.iter().filter(|(other, _)| *other != index);
        let (total, number) = others
            .fold((0.0, 0), |(total, number), (_, pattern)| (total + f1(pattern, sequence), number + 1));
        total / f64::from(number.max(1))
    };
    let means: Vec<f64> = sequences.par_iter().enumerate().map(mean_agreement).collect();
    let best = means.iter().copied().fold(0.0, f64::max);
    means.iter().position(|&mean| mean == best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_medoid_is_the_caption_that_shares_most_with_the_others() {
        let captions = [
            "a red dress",
            "the lady wears a shirt",
            "The lady wears a red shirt!",
            "the lady wears a red hat",
        ];
        assert_eq!(medoid(&captions), Some(2));
    }

    #[test]
    fn lists_without_a_choice_have_their_first_caption_or_none() {
        assert_eq!(medoid(&[]), None);
        assert_eq!(medoid(&["one"]), Some(0));
        assert_eq!(medoid(&["", ""]), Some(0));
        assert_eq!(medoid(&["x", "y"]), Some(0));
    }

    #[test]
    fn a_caption_is_not_compared_with_itself() {
        // Of 400 captions those with even numbers are the sample, so only the second meets its equal there.
        let rest: Vec<String> = (2..400).map(|number| format!("red dress {number}")).collect();
        let captions: Vec<&str> =
            ["red dress"; 2].into_iter().chain(rest.iter().map(String::as_str)).collect();
        assert_eq!(medoid(&captions), Some(1));
    }

    #[test]
    fn a_long_list_is_represented_by_captions_from_all_of_it() {
        let mut captions = vec!["alpha beta"; 300];
        captions.extend(["gamma delta epsilon"; 700]);
        assert!(medoid(&captions).is_some_and(|index| index >= 300));
    }
}
