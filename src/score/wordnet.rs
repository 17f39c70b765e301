//! Synonyms of a word as NLTK finds them in WordNet 3.0.
//!
//! The embedded index (`assets/wordnet/synonyms.gz`, made by `tests/reference/wordnet.py`, which describes its
//! format) holds the words of every synset that METEOR can use. A word is found under its base forms too;
//! these are made by irregular forms and by endings that are taken off, as NLTK's `_morphy` does it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

static INDEX: LazyLock<Index> = LazyLock::new(|| Index::new(&TEXT));

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    GzDecoder::new(COMPRESSED)
        .read_to_string(&mut text)
        .expect("the embedded index of WordNet is valid gzip");
    text
});

const COMPRESSED: &[u8] = include_bytes!("../../assets/wordnet/synonyms.gz");

/// The endings that are taken off a word of a part of speech, and what is put in their place.
type Endings = &'static [(&'static str, &'static str)];

const NOUN: Endings = &[
    ("s", ""),
    ("ses", "s"),
    ("ves", "f"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
];
const VERB: Endings =
    &[("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")];
const ADJECTIVE: Endings = &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")];
const ADVERB: Endings = &[];

/// The letters that lines begin with: that of synsets and that of irregular forms.
const PARTS: [(&str, &str, Endings); 4] =
    [("n", "N", NOUN), ("v", "V", VERB), ("a", "A", ADJECTIVE), ("r", "R", ADVERB)];

/// The one-word, lower-case names of all synsets of a lower-case word, ascending; the word itself is among
/// them if WordNet has it.
pub fn synonyms(word: &str) -> BTreeSet<&'static str> {
    INDEX.0.iter().flat_map(|part| part.synonyms(word)).collect()
}

/// Unpacks the index where that has not been done: some milliseconds in which others can work.
pub fn unpack() {
    LazyLock::force(&INDEX);
}

/// Nouns, verbs, adjectives and adverbs.
struct Index([PartOfSpeech; 4]);

struct PartOfSpeech {
    /// Every word that leads to a synset, ascending, with the synset's words.
    synsets: Vec<(&'static str, &'static str)>,
    /// Irregular forms and their base forms.
    irregular: BTreeMap<&'static str, &'static str>,
    endings: Endings,
}

impl Index {
    fn new(text: &'static str) -> Self {
        Self(PARTS.map(|(synset, irregular, endings)| PartOfSpeech::new(text, synset, irregular, endings)))
    }
}

impl PartOfSpeech {
    fn new(text: &'static str, synset: &str, irregular: &str, endings: Endings) -> Self {
        let lines = |letter| {
            let records = text.lines().filter_map(|line| line.split_once(' '));
            records.filter_map(move |(first, rest)| (first == letter).then_some(rest))
        };
        let members =
            |line: &'static str| line.split(' ').map(move |word| (word.trim_start_matches('^'), line));
        let mut synsets: Vec<_> = lines(synset).flat_map(members).collect();
        synsets.sort_unstable();
        let irregular = lines(irregular).filter_map(|line| line.split_once(' ')).collect();
        Self { synsets, irregular, endings }
    }

    fn synonyms(&self, word: &str) -> Vec<&'static str> {
        let mut forms = vec![word.to_owned()];
        match self.irregular.get(word) {
            Some(bases) => forms.extend(bases.split(' ').map(str::to_owned)),
            None => forms.extend(self.endings.iter().filter_map(|(ending, replacement)| {
                word.strip_suffix(ending).map(|stem| format!("{stem}{replacement}"))
            })),
        }
        forms.iter().flat_map(|form| self.names(form)).collect()
    }

    /// The names of the synsets that a base form leads to.
    fn names(&self, form: &str) -> impl Iterator<Item = &'static str> {
        let start = self.synsets.partition_point(|(word, _)| *word < form);
        let found = self.synsets.iter().skip(start).take_while(move |(word, _)| *word == form);
        let names = found.flat_map(|(_, line)| line.split(' ').filter(|name| !name.starts_with('^')));
        names.collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(word: &str, synonym: &str) -> bool {
        synonyms(word).contains(synonym)
    }

    #[test]
    fn a_word_is_found_under_itself_its_endings_and_its_irregular_forms() {
        assert!(contains("shirt", "shirt"));
        assert!(contains("trousers", "trouser"));
        assert!(contains("geese", "goose"));
        assert!(contains("worn", "wear"));
        assert!(!contains("shirt", "trouser"));
    }

    #[test]
    fn names_with_capitals_lead_to_a_synset_without_being_synonyms() {
        assert!(contains("einstein", "genius"));
        assert!(!contains("genius", "einstein"));
    }

    #[test]
    fn words_that_wordnet_lacks_have_no_synonyms() {
        assert!(synonyms("xyzzy").is_empty());
        assert!(synonyms("").is_empty());
        assert!(synonyms("na\u{ef}s").is_empty());
    }
}
