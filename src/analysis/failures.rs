//! What is wrong with a caption, as the first of a list of kinds that fits.

use std::collections::HashMap;

use super::attributes::Named;
use super::lexicon::Lexicon;

/// A caption that at least this share of the images got is a stock phrase, from [`MIN_STOCK`] images on.
const STOCK_SHARE: f64 = 0.05;
const MIN_STOCK: usize = 3;
/// A pair of words that occurs so often, and in no reference, is a repetition.
const REPETITIONS: usize = 3;

/// What is wrong, the plainest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// It has no words.
    Empty,
    /// It ends where the length limit cut it off.
    CutOff,
    /// It says a pair of words three times, and no reference does.
    Repeats,
    /// Many other images got the very same caption.
    Stock,
    /// It names a visible attribute that no reference does.
    WrongAttribute,
    /// It leaves out a visible attribute that a reference names.
    MissingAttribute,
    /// Its attributes are right, its score is in the lower half all the same.
    OtherWords,
    /// None of these.
    Close,
}

impl Failure {
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::CutOff,
        Self::Repeats,
        Self::Stock,
        Self::WrongAttribute,
        Self::MissingAttribute,
        Self::OtherWords,
        Self::Close,
    ];
}

/// A caption of an image, with what is true of it.
#[derive(Debug, Clone, Copy)]
pub struct Captioned<'a> {
    pub caption: &'a str,
    pub references: &'a [String],
    /// It is as long as the limit allows.
    pub is_cut: bool,
    pub score: f64,
}

/// What is wrong with each caption, and which attributes it names.
pub fn failures(captions: &[Captioned], lexicon: &Lexicon) -> Vec<(Failure, Named)> {
    let mut said: HashMap<&str, usize> = HashMap::new();
    captions.iter().for_each(|captioned| *said.entry(captioned.caption).or_default() += 1);
    let mut scores: Vec<f64> = captions.iter().map(|captioned| captioned.score).collect();
    scores.sort_by(f64::total_cmp);
    let middle = scores.get(scores.len() / 2).copied().unwrap_or_default();
    let is_stock = |caption: &str| {
        let times = said.get(caption).copied().unwrap_or_default();
        times >= MIN_STOCK && times as f64 >= STOCK_SHARE * captions.len() as f64
    };
    let judge = |captioned: &Captioned| {
        let named = lexicon.compare(captioned.caption, captioned.references);
        let failure = if captioned.caption.trim().is_empty() {
            Failure::Empty
        } else if captioned.is_cut {
            Failure::CutOff
        } else if repeats(captioned) {
            Failure::Repeats
        } else if is_stock(captioned.caption) {
            Failure::Stock
        } else if named.wrong.iter().any(|attribute| attribute.visible) {
            Failure::WrongAttribute
        } else if named.missed.iter().any(|attribute| attribute.visible) {
            Failure::MissingAttribute
        } else if captioned.score < middle {
            Failure::OtherWords
        } else {
            Failure::Close
        };
        (failure, named)
    };
    captions.iter().map(judge).collect()
}

fn repeats(captioned: &Captioned) -> bool {
    let most = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut pairs: HashMap<&[&str], usize> = HashMap::new();
        words.windows(2).for_each(|pair| *pairs.entry(pair).or_default() += 1);
        pairs.into_values().max().unwrap_or_default()
    };
    let times = most(captioned.caption);
    times >= REPETITIONS && captioned.references.iter().all(|reference| most(reference) < times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(captions: &[(&str, f64)]) -> Vec<Failure> {
        let references = ["a red shirt and blue jeans".to_owned()];
        let captioned: Vec<Captioned> = captions
            .iter()
            .map(|&(caption, score)| Captioned { caption, references: &references, is_cut: false, score })
            .collect();
        let lexicon = Lexicon::clothing().unwrap();
        failures(&captioned, &lexicon).into_iter().map(|(failure, _)| failure).collect()
    }

    #[test]
    fn every_kind_is_told_and_the_plainest_first() {
        let captions = [
            (" ", 0.0),
            ("a red a red a red shirt", 0.1),
            ("a green shirt and blue jeans", 0.3),
            ("a shirt and blue jeans", 0.4),
            ("the jeans are blue, red is the shirt", 0.2),
            ("a red shirt and blue jeans", 0.9),
        ];
        use Failure::{Close, Empty, MissingAttribute, OtherWords, Repeats, WrongAttribute};
        let expected = [Empty, Repeats, WrongAttribute, MissingAttribute, OtherWords, Close];
        assert_eq!(kinds(&captions), expected);
    }

    #[test]
    fn what_is_said_of_many_images_is_a_stock_phrase_even_where_it_is_right() {
        let mut captions = vec![("a red shirt and blue jeans", 0.9); 3];
        captions.push(("blue jeans, a red shirt", 0.95));
        assert_eq!(kinds(&captions), [Failure::Stock, Failure::Stock, Failure::Stock, Failure::Close]);
        assert_eq!(kinds(&captions[1..])[0], Failure::Close, "two are no crowd");
    }

    #[test]
    fn a_caption_at_the_limit_is_cut_off() {
        let captioned = Captioned { caption: "a red", references: &[], is_cut: true, score: 0.5 };
        assert_eq!(failures(&[captioned], &Lexicon::clothing().unwrap())[0].0, Failure::CutOff);
        assert!(failures(&[], &Lexicon::clothing().unwrap()).is_empty());
    }
}
