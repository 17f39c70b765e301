//! Captions and references as numbers: the words of a whole set, each with an id.
//!
//! Metrics compare words only for equality, so they work on ids. What depends on the word itself (its
//! stem, its synonyms) is found once per distinct word.

use ahash::AHashMap;
use rayon::prelude::*;

use super::scores::Item;

/// A distinct word's place in its [`Vocabulary`].
pub type WordId = u32;

/// Distinct words in order of first appearance.
#[derive(Default)]
pub struct Vocabulary {
    words: Vec<String>,
    ids: AHashMap<String, WordId>,
}

impl Vocabulary {
    /// The id of a word, a new one if the word is new.
    pub fn add(&mut self, word: String) -> WordId {
        if let Some(&id) = self.ids.get(&word) {
            return id;
        }
        let id = self.words.len() as WordId;
        self.ids.insert(word.clone(), id);
        self.words.push(word);
        id
    }

    /// The id of a word that occurs.
    pub fn find(&self, word: &str) -> Option<WordId> {
        self.ids.get(word).copied()
    }

    /// All words; a word's index is its id.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// The words of one image's caption and of each of its references.
pub struct Image {
    pub caption: Vec<WordId>,
    pub references: Vec<Vec<WordId>>,
}

/// All images of a set under one way of finding words.
pub struct Corpus {
    pub images: Vec<Image>,
    pub vocabulary: Vocabulary,
}

impl Corpus {
    /// Splits every caption and reference into words.
    pub fn new(items: &[Item], words: impl Fn(&str) -> Vec<String> + Sync) -> Self {
        let split = |item: &Item| {
            let references = item.references.iter().map(|reference| words(reference));
            (words(item.caption), references.collect::<Vec<_>>())
        };
        let split: Vec<_> = items.par_iter().map(split).collect();
        let mut vocabulary = Vocabulary::default();
        let mut add = |words: Vec<String>| words.into_iter().map(|word| vocabulary.add(word)).collect();
        let images = split.into_iter().map(|(caption, references)| Image {
            caption: add(caption),
            references: references.into_iter().map(&mut add).collect(),
        });
        let images = images.collect();
        Self { images, vocabulary }
    }

    /// The same set with every word replaced by one or, where the replacement holds several, by none or
    /// more words. The function is called once per distinct word.
    pub fn map(&self, replace: impl Fn(&str) -> Vec<String> + Sync) -> Self {
        let replaced: Vec<_> = self.vocabulary.words.par_iter().map(|word| replace(word)).collect();
        let mut vocabulary = Vocabulary::default();
        let add = |words: Vec<String>| words.into_iter().map(|word| vocabulary.add(word)).collect();
        let ids: Vec<Vec<WordId>> = replaced.into_iter().map(add).collect();
        let renumber = |words: &Vec<WordId>| -> Vec<WordId> {
            let ids = words.iter().filter_map(|&word| ids.get(word as usize));
            ids.flatten().copied().collect()
        };
        let images = self.images.par_iter().map(|image| Image {
            caption: renumber(&image.caption),
            references: image.references.iter().map(renumber).collect(),
        });
        let images = images.collect();
        Self { images, vocabulary }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::tokenize::whitespace_words;

    #[test]
    fn equal_words_have_equal_ids_before_and_after_a_replacement() {
        let references = vec!["b A".to_owned()];
        let items = [Item { caption: "a b", references: &references }];
        let corpus = Corpus::new(&items, whitespace_words);
        let image = &corpus.images[0];
        assert_eq!(image.caption[1], image.references[0][0]);
        assert_ne!(image.caption[0], image.references[0][1]);
        let lower = corpus.map(|word| vec![word.to_lowercase()]);
        assert_eq!(lower.images[0].caption[0], lower.images[0].references[0][1]);
        assert_eq!(lower.vocabulary.find("A"), None);
        assert_eq!(lower.vocabulary.find("b"), Some(lower.images[0].caption[1]));
    }
}
