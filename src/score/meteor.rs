//! METEOR as NLTK computes it (`nltk.translate.meteor_score`, after Lavie and Agarwal, 2007).
//!
//! Words are aligned in stages, each on what the earlier ones left over. In every stage the caption's words
//! choose from the last to the first, and each takes the last free word of the reference that it matches.
//! This is not METEOR 1.5 of the COCO evaluation, whose numbers are much lower.

use rayon::prelude::*;

use super::corpus::{Image, Vocabulary, WordId};
use super::porter::stem;
use super::wordnet::synonyms;

const ALPHA: f64 = 0.9;
const BETA: i32 = 3;
const GAMMA: f64 = 0.5;

/// Names this METEOR, its stages included; a score without it cannot be compared.
pub fn meteor_variant() -> &'static str {
    "nltk (exact, stem, wordnet 3.0)"
}

/// What METEOR has to know of each word.
pub struct Meteor {
    /// The id of each word's stem among the stems; the index is the word.
    stems: Vec<WordId>,
    /// The stems that are WordNet's names for each stem, ascending; the index is the stem. A stem is looked
    /// up as if it were a word, as in NLTK, so that `trouser` has synonyms and `dress` lost some.
    synonyms: Vec<Vec<WordId>>,
}

/// A word that is not yet aligned, and its position.
type Free = (usize, WordId);

impl Meteor {
    /// Prepares the words of a set; they must be in lower case.
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let mut stems = Vocabulary::default();
        let ids = vocabulary.words().iter().map(|word| stems.add(stem(word))).collect();
        let known_synonyms = |stem: &String| {
            let mut ids: Vec<WordId> = synonyms(stem).iter().filter_map(|name| stems.find(name)).collect();
            ids.sort_unstable();
            ids
        };
        let synonyms = stems.words().par_iter().map(known_synonyms).collect();
        Self { stems: ids, synonyms }
    }

    /// The best score over an image's references, in `[0, 1]`; 0 without references.
    pub fn best(&self, image: &Image) -> f64 {
        let scores = image.references.iter().map(|reference| self.score(&image.caption, reference));
        scores.fold(0.0, f64::max)
    }

    /// The harmonic mean of precision and recall, less a penalty for words out of order.
    fn score(&self, caption: &[WordId], reference: &[WordId]) -> f64 {
        let matches = self.align(caption, reference);
        if matches.is_empty() {
            return 0.0;
        }
        let matched = matches.len() as f64;
        let precision = matched / caption.len() as f64;
        let recall = matched / reference.len() as f64;
        let mean = precision * recall / (ALPHA * precision + (1.0 - ALPHA) * recall);
        let fragmentation = chunks(&matches) as f64 / matched;
        (1.0 - GAMMA * fragmentation.powi(BETA)) * mean
    }

    /// Pairs of positions in the caption and the reference, ascending in the caption. Takes time in proportion to the
    /// lengths of the two, so that a book as a caption is no way to stop the program.
    fn align(&self, caption: &[WordId], reference: &[WordId]) -> Vec<(usize, usize)> {
        let mut caption: Vec<Free> = caption.iter().copied().enumerate().collect();
        let mut reference: Vec<Free> = reference.iter().copied().enumerate().collect();
        let mut matches = Vec::new();
        match_stage(&mut caption, &mut reference, &mut matches, |word, places| places.last(word));
        // From here on words are known by their stems, as in NLTK, whose synonyms are those of the stem.
        self.replace_by_stems(&mut caption);
        self.replace_by_stems(&mut reference);
        match_stage(&mut caption, &mut reference, &mut matches, |word, places| places.last(word));
        match_stage(&mut caption, &mut reference, &mut matches, |word, places| self.synonym(word, places));
        matches.sort_unstable();
        matches
    }

    fn replace_by_stems(&self, words: &mut [Free]) {
        for (_, word) in words {
            *word = self.stems.get(*word as usize).copied().unwrap_or(*word);
        }
    }

    /// The last free place of a synonym.
    fn synonym(&self, word: WordId, places: &Places) -> Option<Place> {
        let synonyms = self.synonyms.get(word as usize)?;
        synonyms.iter().filter_map(|&synonym| places.last(synonym)).max()
    }
}

/// Where a free word stands in the reference, and in [`Places`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    position: usize,
    run: usize,
}

/// The free words of a reference by word, each word's positions ascending: a run.
struct Places {
    sorted: Vec<(WordId, usize)>,
    /// How many of a run are still free, where the run begins; they are its first.
    free: Vec<usize>,
    /// How many are still free of all.
    left: usize,
}

impl Places {
    fn new(words: &[Free]) -> Self {
        let mut sorted: Vec<(WordId, usize)> =
            words.iter().map(|&(position, word)| (word, position)).collect();
        sorted.sort_unstable();
        let runs = sorted.chunk_by(|(a, _), (b, _)| a == b);
        let free =
            runs.flat_map(|run| std::iter::once(run.len()).chain(std::iter::repeat_n(0, run.len() - 1)));
        Self { free: free.collect(), left: sorted.len(), sorted }
    }

    fn last(&self, word: WordId) -> Option<Place> {
        let run = self.sorted.partition_point(|&(other, _)| other < word);
        let last = self.free.get(run)?.checked_sub(1)?;
        let &(found, position) = self.sorted.get(run + last)?;
        (found == word).then_some(Place { position, run })
    }

    fn take(&mut self, place: Place) {
        if let Some(free) = self.free.get_mut(place.run) {
            *free -= 1;
            self.left -= 1;
        }
    }

    /// What is still free, in the order of the reference.
    fn rest(&self) -> Vec<Free> {
        let runs = self.sorted.chunk_by(|(a, _), (b, _)| a == b);
        let mut start = 0;
        let mut rest = Vec::new();
        for run in runs {
            let free = self.free.get(start).copied().unwrap_or(0);
            rest.extend(run.iter().take(free).map(|&(word, position)| (position, word)));
            start += run.len();
        }
        rest.sort_unstable();
        rest
    }
}

/// Moves matching words from the free ones to the matches.
fn match_stage(
    caption: &mut Vec<Free>,
    reference: &mut Vec<Free>,
    matches: &mut Vec<(usize, usize)>,
    find: impl Fn(WordId, &Places) -> Option<Place>,
) {
    if caption.is_empty() || reference.is_empty() {
        return;
    }
    let mut places = Places::new(reference);
    let before = matches.len();
    let mut left: Vec<Free> = Vec::new();
    for &(position, word) in caption.iter().rev() {
        if places.left == 0 {
            break;
        }
        match find(word, &places) {
            Some(place) => {
                matches.push((position, place.position));
                places.take(place);
            }
            None => left.push((position, word)),
        }
    }
    if matches.len() > before {
        left.reverse();
        *caption = left;
        *reference = places.rest();
    }
}

/// How many runs of words the matches form that are adjacent and in the same order in both texts.
fn chunks(matches: &[(usize, usize)]) -> usize {
    let breaks = matches.windows(2).filter(|pair| match pair {
        [(a, b), (c, d)] => *c != a + 1 || *d != b + 1,
        _ => false,
    });
    1 + breaks.count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Random;

    /// The alignment of two texts, and their score.
    fn compare(caption: &str, reference: &str) -> (Vec<(usize, usize)>, f64) {
        let mut vocabulary = Vocabulary::default();
        let mut ids = |text: &str| -> Vec<WordId> {
            text.split(' ').map(|word| vocabulary.add(word.to_owned())).collect()
        };
        let (caption, reference) = (ids(caption), ids(reference));
        let meteor = Meteor::new(&vocabulary);
        (meteor.align(&caption, &reference), meteor.score(&caption, &reference))
    }

    #[test]
    fn a_repeated_word_takes_the_last_free_place() {
        assert_eq!(compare("red the", "the red the red").0, [(0, 3), (1, 2)]);
    }

    #[test]
    fn equal_words_come_before_equal_stems_and_those_before_synonyms() {
        assert_eq!(compare("sleeve", "sleeve sleeves").0, [(0, 0)]);
        assert_eq!(compare("sleeve", "arm sleeves").0, [(0, 1)]);
        assert_eq!(compare("jumper", "a sweater").0, [(0, 1)]);
        assert_eq!(compare("jumper", "a skirt").0, []);
    }

    /// The definition word by word, as NLTK has it.
    fn align_slowly(meteor: &Meteor, caption: &[WordId], reference: &[WordId]) -> Vec<(usize, usize)> {
        let stem = |word: WordId| meteor.stems[word as usize];
        let synonyms = |a: WordId, b: WordId| meteor.synonyms[stem(a) as usize].contains(&stem(b));
        let stages: [&dyn Fn(WordId, WordId) -> bool; 3] =
            [&|a, b| a == b, &|a, b| stem(a) == stem(b), &|a, b| synonyms(a, b)];
        let (mut used, mut matches) = (vec![false; reference.len()], BTreeMap::new());
        for is_match in stages {
            for i in (0..caption.len()).rev().filter(|i| !matches.contains_key(i)).collect::<Vec<_>>() {
                let found =
                    (0..reference.len()).rev().find(|&j| !used[j] && is_match(caption[i], reference[j]));
                if let Some(j) = found {
                    used[j] = true;
                    matches.insert(i, j);
                }
            }
        }
        matches.into_iter().collect()
    }

    #[test]
    fn the_alignment_is_that_of_the_definition() {
        let words = "shirt shirts dress dresses dressed jumper sweater pullover trouser trousers pants pant the a lady \
                     woman women ladies hat hats lid picture photo photos image images big large bigger car auto motorcar \
                     photograph pic";
        let mut vocabulary = Vocabulary::default();
        let ids: Vec<WordId> = words.split_whitespace().map(|word| vocabulary.add(word.to_owned())).collect();
        let meteor = Meteor::new(&vocabulary);
        let mut random = Random::new(1, "meteor", &[]);
        for _ in 0..2000 {
            let mut draw = || (0..random.below(25)).map(|_| *random.pick(&ids)).collect::<Vec<_>>();
            let (caption, reference) = (draw(), draw());
            assert_eq!(meteor.align(&caption, &reference), align_slowly(&meteor, &caption, &reference));
        }
    }

    #[test]
    fn words_in_order_are_one_chunk_and_words_out_of_order_cost() {
        let (_, in_order) = compare("a b c d", "a b c d");
        let (_, swapped) = compare("c d a b", "a b c d");
        assert_eq!(in_order, 1.0 - 0.5 / 64.0);
        assert_eq!(swapped, 1.0 - 0.5 / 8.0);
    }

    #[test]
    fn recall_counts_nine_times_as_much_as_precision() {
        let (_, score) = compare("a b", "a b c d");
        let mean = 0.5 / (0.9 + 0.1 * 0.5);
        assert!((score - mean * (1.0 - 0.5 / 8.0)).abs() < 1e-12);
    }
}
