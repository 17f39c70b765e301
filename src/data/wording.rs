//! Captions in other words, so that a model which sees an image again and again does not learn its caption by heart.
//!
//! Words give way to synonyms of WordNet, the ones that METEOR knows. A synonym is one of some sense of the word, which need not be
//! the one that the caption means, so words that carry what a caption is about are protected: those of the lexicon of attributes,
//! small words, and what the user names. What is drawn comes from a stream that the caller keys by image and epoch.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use crate::random::Random;
use crate::score::wordnet::synonyms;

/// Small words of four letters and more; shorter words are never replaced.
const SMALL_WORDS: &str = "\
    about above after again against along also among another around away back been before behind being below beneath beside \
    between beyond both cannot does doing down during each either else even ever every from further have having here hers \
    herself himself into itself just less like many more most much must neither next none once only onto other ours over \
    same shall should since some such than that their theirs them then there these they this those though through together \
    toward under unless until upon very were what when where which while whom whose will with within without would your \
    left right front upper lower person woman female lady girl wearing wears worn";
/// The fewest letters of a word that may be replaced.
const SHORTEST: usize = 4;

/// A kind of the lexicon, of which only the words count here.
#[derive(Deserialize)]
struct Words {
    words: Vec<OneOrSome>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSome {
    One(String),
    Some(Vec<String>),
}

/// Which words give way.
#[derive(Debug, Clone)]
pub struct Rewording {
    /// The probability that a word which has synonyms gives way to one.
    rate: f64,
    protected: HashSet<String>,
}

impl Rewording {
    /// Beside what is always protected, the words of `protected` are, whatever stands between them.
    ///
    /// # Errors
    /// The lexicon that comes with the program cannot be read, which a test rules out.
    pub fn new(rate: f64, protected: &str) -> Result<Self, serde_yaml::Error> {
        let lexicon: BTreeMap<String, Words> =
            serde_yaml::from_str(include_str!("../../assets/lexicon.yaml"))?;
        let of_lexicon = lexicon.into_values().flat_map(|kind| kind.words).flat_map(|words| match words {
            OneOrSome::One(word) => vec![word],
            OneOrSome::Some(words) => words,
        });
        let texts = of_lexicon.chain([SMALL_WORDS.to_owned(), protected.to_owned()]);
        let mut words = HashSet::new();
        for text in texts {
            let lower = text.to_lowercase();
            words.extend(lower.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
        }
        Ok(Self { rate, protected: words })
    }

    /// The caption with some of its words replaced; all else of it stays as it is.
    pub fn apply(&self, caption: &str, mut random: Random) -> String {
        let mut reworded = String::with_capacity(caption.len());
        let mut rest = caption;
        while let Some(first) = rest.chars().next() {
            let is_of_word = |c: char| c.is_alphanumeric() || c == '-' || c == '\'';
            let starts_word = is_of_word(first);
            let end = rest.find(|c: char| is_of_word(c) != starts_word).unwrap_or(rest.len());
            let (piece, behind) = rest.split_at(end);
            rest = behind;
            // As many numbers whatever the words: a protected word changes no other's fate.
            let (chance, choice) = (random.uniform(), random.uniform());
            match self.instead_of(piece, choice).filter(|_| starts_word && chance < self.rate) {
                Some(synonym) => reworded += &synonym,
                None => reworded += piece,
            }
        }
        reworded
    }

    /// A synonym in the word's number and case, where it may be replaced and has one.
    fn instead_of(&self, word: &str, choice: f64) -> Option<String> {
        let lower = word.to_ascii_lowercase();
        let is_plain = word.len() >= SHORTEST && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !is_plain || self.is_protected(&lower) {
            return None;
        }
        let all = synonyms(&lower);
        let fits =
            |synonym: &&&str| synonym.bytes().all(|byte| byte.is_ascii_lowercase()) && synonym.len() > 2;
        let base = lower.strip_suffix('s').filter(|base| all.contains(*base));
        let found: Vec<String> = if all.contains(lower.as_str()) {
            all.iter()
                .filter(fits)
                .filter(|synonym| **synonym != lower)
                .map(|synonym| (*synonym).to_owned())
                .collect()
        } else if let Some(base) = base {
            let takes_s =
                |synonym: &&&str| !synonym.ends_with(['s', 'x', 'z', 'h', 'y']) && **synonym != base;
            all.iter().filter(fits).filter(takes_s).map(|synonym| format!("{synonym}s")).collect()
        } else {
            // Other forms are made in too many ways to make them of a synonym.
            Vec::new()
        };
        let synonym = found.get((choice * found.len() as f64) as usize)?;
        let is_capital = word.starts_with(|first: char| first.is_ascii_uppercase());
        let mut letters = synonym.chars();
        let first = letters.next()?;
        let first = if is_capital { first.to_ascii_uppercase() } else { first };
        Some(std::iter::once(first).chain(letters).collect())
    }

    /// A protected word's plural is, too.
    fn is_protected(&self, word: &str) -> bool {
        self.protected.contains(word)
            || word.strip_suffix('s').is_some_and(|base| self.protected.contains(base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: &str = "The upper clothing has long sleeves, cotton fabric and solid color patterns. It's a t-shirt with \
                           buildings; the pictures show 3/4 sleeves.";

    fn reworded(rate: f64, protected: &str, seed: u64) -> String {
        Rewording::new(rate, protected).unwrap().apply(CAPTION, Random::new(seed, "test", &[]))
    }

    #[test]
    fn words_give_way_to_synonyms_in_their_number_and_case_and_protected_ones_stay() {
        insta::assert_snapshot!(reworded(1.0, "", 0), @"The upper invest has long sleeves, cotton cloth and solid color models. It's a t-shirt with edifices; the photos read 3/4 sleeves.");
        assert_eq!(reworded(0.0, "", 0), CAPTION);
        for seed in 0..20 {
            let text = reworded(1.0, "", seed);
            assert!(text.starts_with("The upper ") && text.contains(" long sleeves, cotton "), "{text}");
            assert!(text.contains("It's a t-shirt with ") && text.ends_with(" 3/4 sleeves."), "{text}");
        }
    }

    #[test]
    fn a_synonym_of_a_word_with_a_capital_has_one_too() {
        let rewording = Rewording::new(1.0, "").unwrap();
        for seed in 0..20 {
            let text = rewording.apply("Buildings, pictures", Random::new(seed, "test", &[]));
            let (first, second) = text.split_once(", ").unwrap();
            assert!(first != "Buildings" && first.starts_with(|c: char| c.is_ascii_uppercase()), "{text}");
            assert!(second.starts_with(|c: char| c.is_ascii_lowercase()), "{text}");
        }
    }

    #[test]
    fn what_the_user_names_is_protected_and_changes_nothing_else() {
        let word = |text: &str, place: usize| text.split(' ').nth(place).unwrap().to_owned();
        for seed in 0..20 {
            let (free, kept) = (reworded(1.0, "", seed), reworded(1.0, "fabric, building", seed));
            assert!(kept.contains(" fabric ") && kept.contains(" buildings;"), "{kept}");
            assert_ne!(word(&free, 7), "fabric", "{free}");
            let same = (0..20).filter(|place| word(&free, *place) == word(&kept, *place)).count();
            assert!(same >= 18, "{free}\n{kept}");
        }
    }

    #[test]
    fn a_rate_is_the_share_of_words_that_are_replaced_and_a_stream_says_the_same_again() {
        let changed = |rate: f64| -> usize {
            let of = |seed| {
                let text = reworded(rate, "", seed);
                text.split(' ').zip(CAPTION.split(' ')).filter(|(new, old)| new != old).count()
            };
            (0..200).map(of).sum()
        };
        let (all, third) = (changed(1.0) as f64, changed(0.3) as f64);
        assert!((third / all - 0.3).abs() < 0.05, "{third} of {all}");
        assert_eq!(reworded(0.5, "", 3), reworded(0.5, "", 3));
        assert_ne!(reworded(0.5, "", 3), reworded(0.5, "", 4));
    }

    #[test]
    fn texts_that_are_no_words_stay_as_they_are() {
        let rewording = Rewording::new(1.0, "").unwrap();
        for text in ["", "   ", "12 34", "日本語 テキスト", "ünïcode wörds", "…—", "a\u{0}b"] {
            assert_eq!(rewording.apply(text, Random::new(0, "test", &[])), text);
        }
    }
}
