//! Attributes that captions name and references do too, by kind: what n-gram metrics do not see.
//!
//! A caption full of stock phrases scores well although it names the wrong colour. Here each value of a lexicon counts
//! once a caption: precision is the share of named values that a reference names, recall the share of the references'
//! values that are named, F1 their harmonic mean, over all images together (micro-average).

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Sum;

use serde::Deserialize;
use thiserror::Error;

/// The words of each kind of attribute, as in `assets/lexicon.yaml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Lexicon(BTreeMap<String, Kind>);

/// A kind of attribute.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    /// A picture shows it.
    visible: bool,
    words: Vec<Words>,
}

/// What captions call a value of an attribute.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    /// Words for the same; the first is its name.
    Same(Vec<String>),
}

impl Words {
    fn all(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Same(words) => words,
        }
    }
}

/// A lexicon that cannot be used.
#[derive(Debug, Error)]
pub enum LexiconError {
    #[error("{0}\nhint: each kind needs `visible: true` or `false`, and `words: [...]`")]
    Form(#[from] serde_yaml::Error),
    #[error(
        "{kind}.words: {word:?} has neither letter nor digit\nhint: a word is what captions say, such as red"
    )]
    NoWord { kind: String, word: String },
}

/// How well values of a kind were named.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Named in a caption and in a reference of the same image.
    pub hits: usize,
    /// Named in the caption alone.
    pub wrong: usize,
    /// Named in a reference alone.
    pub missed: usize,
}

impl Tally {
    /// `None` where nothing was named.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.wrong)
    }

    /// `None` where no reference names anything.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.hits, self.hits + self.missed)
    }

    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.hits, 2 * self.hits + self.wrong + self.missed)
    }

    fn add(&mut self, said: &BTreeSet<&str>, meant: &BTreeSet<&str>) {
        self.hits += said.intersection(meant).count();
        self.wrong += said.difference(meant).count();
        self.missed += meant.difference(said).count();
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, one| Self {
            hits: sum.hits + one.hits,
            wrong: sum.wrong + one.wrong,
            missed: sum.missed + one.missed,
        })
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A kind with its tally.
#[derive(Debug, Clone, PartialEq)]
pub struct KindTally {
    pub kind: String,
    pub visible: bool,
    pub tally: Tally,
}

/// A value that a text names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    pub kind: String,
    pub value: String,
    /// A picture shows it.
    pub visible: bool,
}

/// The attributes of a caption and its references, each once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Named {
    pub hits: Vec<Attribute>,
    /// In the caption alone.
    pub wrong: Vec<Attribute>,
    /// In the references alone.
    pub missed: Vec<Attribute>,
}

impl Lexicon {
    /// Reads a lexicon from YAML.
    pub fn parse(text: &str) -> Result<Self, LexiconError> {
        let lexicon: Self = serde_yaml::from_str(text)?;
        for (kind, Kind { words, .. }) in &lexicon.0 {
            if let Some(word) =
                words.iter().flat_map(Words::all).find(|word| !word.chars().any(char::is_alphanumeric))
            {
                return Err(LexiconError::NoWord { kind: kind.clone(), word: word.clone() });
            }
        }
        Ok(lexicon)
    }

    /// The lexicon of clothing that comes with the program.
    pub fn clothing() -> Result<Self, LexiconError> {
        Self::parse(include_str!("../../assets/lexicon.yaml"))
    }

    /// What a caption names beside what its references name.
    pub fn compare(&self, caption: &str, references: &[String]) -> Named {
        let caption = plain(caption);
        let references: Vec<String> = references.iter().map(|reference| plain(reference)).collect();
        let mut named = Named::default();
        for (name, kind) in &self.0 {
            let said = kind.named(&caption);
            let meant: BTreeSet<&str> =
                references.iter().flat_map(|reference| kind.named(reference)).collect();
            let attribute = |value: &&str| Attribute {
                kind: name.clone(),
                value: (*value).to_owned(),
                visible: kind.visible,
            };
            named.hits.extend(said.intersection(&meant).map(attribute));
            named.wrong.extend(said.difference(&meant).map(attribute));
            named.missed.extend(meant.difference(&said).map(attribute));
        }
        named
    }

    /// Tallies of captions against the references of their images, by kind; kinds that neither names are left out.
    pub fn tally<'a>(&self, captions: impl Iterator<Item = (&'a str, &'a [String])>) -> Vec<KindTally> {
        let mut tallies = vec![Tally::default(); self.0.len()];
        for (caption, references) in captions {
            let caption = plain(caption);
            let references: Vec<String> = references.iter().map(|reference| plain(reference)).collect();
            for (kind, tally) in self.0.values().zip(&mut tallies) {
                let said = kind.named(&caption);
                let meant = references.iter().flat_map(|reference| kind.named(reference)).collect();
                tally.add(&said, &meant);
            }
        }
        let kinds = self.0.iter().zip(tallies).filter(|(_, tally)| *tally != Tally::default());
        kinds
            .map(|((name, kind), tally)| KindTally { kind: name.clone(), visible: kind.visible, tally })
            .collect()
    }
}

impl Kind {
    /// The values that a plain text names. Longer words go first and are used up: a t-shirt is no shirt.
    fn named(&self, text: &str) -> BTreeSet<&str> {
        let mut words: Vec<(String, &str)> = Vec::new();
        for all in self.words.iter().map(Words::all) {
            let Some(name) = all.first() else { continue };
            words.extend(all.iter().map(|word| (plain(word), name.as_str())));
        }
        words.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        let (mut text, mut named) = (text.to_owned(), BTreeSet::new());
        for (word, name) in &words {
            if text.contains(word.as_str()) {
                named.insert(*name);
                text = text.replace(word.as_str(), " | ");
            }
        }
        named
    }
}

/// Lower-case words with a space on either side, signs left out: `three - point` and `three-point` are the same.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_once_a_caption_and_whole_words_alone() {
        let lexicon = Lexicon::clothing().unwrap();
        let references = ["A red T-shirt, red pants. Three-point length.".to_owned()];
        let said = "the reddish t - shirt is red and blue, of three - point length";
        let tallies = lexicon.tally([(said, references.as_slice())].into_iter());
        let of = |kind: &str| tallies.iter().find(|tally| tally.kind == kind).unwrap().tally;
        assert_eq!(of("color"), Tally { hits: 1, wrong: 1, missed: 0 });
        assert_eq!(of("length"), Tally { hits: 1, wrong: 0, missed: 0 });
        assert_eq!(of("garment"), Tally { hits: 1, wrong: 0, missed: 1 }, "a T-shirt is no shirt; pants");
        assert_eq!((of("color").precision(), of("color").recall()), (Some(0.5), Some(1.0)));
        assert!((of("color").f1().unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert!(!tallies.iter().any(|tally| tally.kind == "material"), "nothing names any");
    }

    #[test]
    fn words_for_the_same_are_one_value_by_its_first_name() {
        let lexicon = Lexicon::clothing().unwrap();
        let named = lexicon.compare("gray trousers, pure color", &["grey pants of a solid color".to_owned()]);
        let values: Vec<&str> = named.hits.iter().map(|attribute| attribute.value.as_str()).collect();
        assert_eq!(values, ["grey", "pants", "solid"]);
        assert_eq!((named.wrong, named.missed), (vec![], vec![]));
    }

    #[test]
    fn a_lexicon_that_lacks_something_says_what() {
        let error = Lexicon::parse("color: {words: [red]}").unwrap_err().to_string();
        assert!(error.contains("visible") && error.contains("hint: "), "{error}");
        assert!(Lexicon::parse("- red").is_err());
        let error = Lexicon::parse("color: {visible: true, words: [red, '-']}").unwrap_err().to_string();
        assert!(error.starts_with("color.words: \"-\" has neither"), "{error}");
    }

    #[test]
    fn what_is_right_wrong_and_left_out_is_told_by_name() {
        let references = ["a red cotton shirt".to_owned()];
        let named = Lexicon::clothing().unwrap().compare("a blue shirt", &references);
        let values = |attributes: &[Attribute]| -> Vec<String> {
            attributes.iter().map(|attribute| format!("{} {}", attribute.value, attribute.visible)).collect()
        };
        assert_eq!(values(&named.hits), ["shirt true"]);
        assert_eq!(values(&named.wrong), ["blue true"]);
        assert_eq!(values(&named.missed), ["red true", "cotton false"]);
    }
}
