//! The words that name attributes, as in `assets/lexicon.yaml`, and which of them a text says.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use serde::Deserialize;
use thiserror::Error;

/// Kinds of attributes in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Lexicon(Vec<Kind>);

/// A kind of attribute, ready to be looked for.
#[derive(Debug, Clone)]
pub struct Kind {
    pub name: String,
    /// A picture shows it.
    pub visible: bool,
    /// What its values are called.
    values: Vec<String>,
    /// The value that each pattern of `search` means.
    meant: Vec<usize>,
    search: AhoCorasick,
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
    #[error("{kind}.words: {source}")]
    TooLarge { kind: String, source: BuildError },
}

/// A kind as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `visible` and `words`")]
struct Written {
    visible: bool,
    words: Vec<Words>,
}

#[derive(Deserialize)]
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

impl Lexicon {
    /// Reads a lexicon from YAML.
    pub fn parse(text: &str) -> Result<Self, LexiconError> {
        let written: BTreeMap<String, Written> = serde_yaml::from_str(text)?;
        written
            .into_iter()
            .map(|(name, written)| Kind::new(name, &written))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The lexicon of clothing that comes with the program.
    pub fn clothing() -> Result<Self, LexiconError> {
        Self::parse(include_str!("../../assets/lexicon.yaml"))
    }

    pub fn kinds(&self) -> &[Kind] {
        &self.0
    }
}

impl Kind {
    fn new(name: String, written: &Written) -> Result<Self, LexiconError> {
        let (mut values, mut meant, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
        for words in written.words.iter().map(Words::all) {
            let Some(value) = words.first() else { continue };
            for word in words {
                let pattern = plain(word);
                if pattern.is_empty() {
                    return Err(LexiconError::NoWord { kind: name, word: word.clone() });
                }
                patterns.push(pattern);
                meant.push(values.len());
            }
            values.push(value.clone());
        }
        // Of words that begin in one place the longest counts, and is used up: a t-shirt is no shirt.
        match AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns) {
            Ok(search) => Ok(Self { name, visible: written.visible, values, meant, search }),
            Err(source) => Err(LexiconError::TooLarge { kind: name, source }),
        }
    }

    /// The values that a [`plain`] text names.
    pub fn named(&self, text: &str) -> BTreeSet<&str> {
        let value = |pattern: usize| Some(self.values.get(*self.meant.get(pattern)?)?.as_str());
        self.search.find_iter(text).filter_map(|found| value(found.pattern().as_usize())).collect()
    }
}

/// Lower-case words, each with a space on either side, signs left out: `three - point` and `three-point` are the same.
pub fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty());
    words.flat_map(|word| [" ", word, " "]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lexicon_that_lacks_something_says_what() {
        let error = Lexicon::parse("color: {words: [red]}").unwrap_err().to_string();
        assert!(error.contains("visible") && error.contains("hint: "), "{error}");
        assert!(Lexicon::parse("- red").is_err());
        let error = Lexicon::parse("color: {visible: true, words: [red, '-']}").unwrap_err().to_string();
        assert!(error.starts_with("color.words: \"-\" has neither"), "{error}");
    }

    #[test]
    fn whole_words_count_and_the_longest_of_them() {
        let lexicon = Lexicon::parse("x: {visible: true, words: [shirt, t-shirt, red, red hot]}").unwrap();
        let named =
            |text: &str| lexicon.kinds()[0].named(&plain(text)).into_iter().collect::<Vec<_>>().join(",");
        assert_eq!(named("a t - shirt"), "t-shirt");
        assert_eq!(named("Shirt. Shirts, reddish, red hot"), "red hot,shirt");
        assert_eq!(named("red red, RED shirt"), "red,shirt");
        assert_eq!(named(""), "");
    }
}
