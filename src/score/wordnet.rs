//! Synonyms of a word as NLTK finds them in WordNet 3.0.
//!
//! The embedded index (`assets/wordnet/synonyms.txt`, made by `tests/reference/wordnet.py`, which describes its
//! format) holds the names of all synsets of every word that METEOR can use. Its lines are sorted, so that a word is
//! found by bisection, without anything made ready at the start of a process. A word is found under its base forms
//! too; these are made by irregular forms and by endings that are taken off, as NLTK's `_morphy` does it.

use std::collections::BTreeSet;

const INDEX: &str = include_str!("../../assets/wordnet/synonyms.txt");

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

struct PartOfSpeech {
    /// What lines of words and their names begin with.
    words: char,
    /// What lines of irregular forms and their base forms begin with.
    irregular: char,
    endings: Endings,
}

const PARTS: [PartOfSpeech; 4] = [
    PartOfSpeech { words: 'n', irregular: 'N', endings: NOUN },
    PartOfSpeech { words: 'v', irregular: 'V', endings: VERB },
    PartOfSpeech { words: 'a', irregular: 'A', endings: ADJECTIVE },
    PartOfSpeech { words: 'r', irregular: 'R', endings: ADVERB },
];

/// The one-word, lower-case names of all synsets of a lower-case word without spaces, ascending; the word itself is among
/// them if WordNet has it.
pub fn synonyms(word: &str) -> BTreeSet<&'static str> {
    PARTS.iter().flat_map(|part| part.synonyms(word)).collect()
}

impl PartOfSpeech {
    fn synonyms(&self, word: &str) -> Vec<&'static str> {
        let mut forms = vec![word.to_owned()];
        match entry(self.irregular, word) {
            Some(bases) => forms.extend(bases.split(' ').map(str::to_owned)),
            None => forms.extend(self.endings.iter().filter_map(|(ending, replacement)| {
                word.strip_suffix(ending).map(|stem| format!("{stem}{replacement}"))
            })),
        }
        forms.iter().filter_map(|form| entry(self.words, form)).flat_map(|names| names.split(' ')).collect()
    }
}

/// What stands in the line of a word, behind it.
fn entry(kind: char, word: &str) -> Option<&'static str> {
    let wanted = format!("{kind} {word} ");
    // The line is at or after `low` and, if there is one, before `high`; both are where lines begin.
    let (mut low, mut high) = (0, INDEX.len());
    while low < high {
        let middle = low.midpoint(high);
        let before = &INDEX.as_bytes()[..middle];
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line = INDEX[start..].lines().next().unwrap_or_default();
        if let Some(rest) = line.strip_prefix(&wanted) {
            return Some(rest);
        }
        if line < wanted.as_str() {
            low = start + line.len() + 1;
        } else {
            high = start;
        }
    }
    None
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
