//! How much of what a model says it repeats from its training captions.
//!
//! A caption is a copy where its words are those of a training caption, and nearly one where the longest common
//! subsequence of words has at least 9/10 of the words of the longer of both: of fifty words five may be dropped,
//! replaced or added. What a caption does not copy may still be put together from pieces; so the share of 4-grams that
//! no training caption has is counted as well, and how varied the captions are among themselves: distinct-n is the
//! number of different n-grams over that of all (Li et al. 2016, "A Diversity-Promoting Objective Function").
//!
//! Near copies are sought by prefixes (Chaudhuri, Ganti and Kaushik 2006; Wang, Li and Feng 2012). Two captions with so
//! many words in common, put in one order of all words with the rarest first, must share some among their first: had
//! they fewer, too few would be left. Only captions that share these are compared.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::text_domain::words_of;
use crate::score::{Pattern, WordId};

/// The smallest part of the longer caption's words that a near copy has in common with it, in tenths.
const NEAR_TENTHS: usize = 9;
/// So many of their first words must two near copies share. More would leave fewer to compare, and lists that are longer.
const SHARED: usize = 3;
/// The n-grams that are new or not.
const NOVEL: usize = 4;
/// Stands for every word that no training caption has: it is found in none of them.
const UNKNOWN: Word = Word::MAX;

/// A word's number among the words of the training captions.
type Word = WordId;

/// What a set of captions has of the training captions. Shares are of all its captions or n-grams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memorisation {
    pub captions: usize,
    /// How many of them are different.
    pub different: usize,
    /// Equal to a training caption.
    pub copied: f64,
    /// Equal or nearly.
    pub nearly_copied: f64,
    /// Absent where the captions have no words, or none of them two.
    pub distinct_1: Option<f64>,
    pub distinct_2: Option<f64>,
    /// Share of 4-grams that no training caption has; absent where no caption has four words.
    pub novel_4_grams: Option<f64>,
}

/// How much of a caption is a training caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Other,
    Near,
    Copy,
}

/// The training captions, ready to be searched.
pub struct TrainingCaptions {
    numbers: HashMap<String, Word>,
    /// Each different caption once, as numbers of its words.
    captions: Vec<Vec<Word>>,
    exact: HashSet<Vec<Word>>,
    four_grams: HashSet<[Word; NOVEL]>,
    /// In how many captions the word occurs, by its number.
    frequency: Vec<usize>,
    /// The captions that have a word, told from earlier ones of the same caption, among the first of theirs.
    by_first: HashMap<(Word, u32), Vec<u32>>,
}

impl TrainingCaptions {
    pub fn new(captions: &[&str]) -> Self {
        let mut found = Self {
            numbers: HashMap::new(),
            captions: Vec::new(),
            exact: HashSet::new(),
            four_grams: HashSet::new(),
            frequency: Vec::new(),
            by_first: HashMap::new(),
        };
        for words in words_of(captions) {
            found.add(words);
        }
        for (index, caption) in found.captions.iter().enumerate() {
            let words: Vec<Option<Word>> = caption.iter().copied().map(Some).collect();
            for first in found.first_words(&words) {
                found.by_first.entry(first).or_default().push(index as u32);
            }
        }
        found
    }

    fn add(&mut self, words: Vec<String>) {
        let mut caption = Vec::with_capacity(words.len());
        for word in words {
            let next = self.numbers.len() as Word;
            caption.push(*self.numbers.entry(word).or_insert(next));
        }
        self.frequency.resize(self.numbers.len(), 0);
        if caption.is_empty() || !self.exact.insert(caption.clone()) {
            return;
        }
        self.four_grams.extend(n_grams::<_, NOVEL>(&caption));
        caption
            .iter()
            .collect::<HashSet<_>>()
            .into_iter()
            .for_each(|word| self.frequency[*word as usize] += 1);
        self.captions.push(caption);
    }

    /// What the captions have of these; nothing of no captions.
    pub fn measure(&self, captions: &[&str]) -> Option<Memorisation> {
        let words = words_of(captions);
        let all: Vec<Vec<Option<Word>>> = words
            .iter()
            .map(|words| words.iter().map(|word| self.numbers.get(word).copied()).collect())
            .collect();
        let different: HashSet<&Vec<String>> = words.iter().collect();
        let likeness: Vec<Likeness> = all.par_iter().map(|caption| self.likeness(caption)).collect();
        let share = |least: Likeness| {
            likeness.iter().filter(|found| **found >= least).count() as f64 / captions.len() as f64
        };
        (!captions.is_empty()).then(|| Memorisation {
            captions: captions.len(),
            different: different.len(),
            copied: share(Likeness::Copy),
            nearly_copied: share(Likeness::Near),
            distinct_1: distinct::<1>(&words),
            distinct_2: distinct::<2>(&words),
            novel_4_grams: self.novel(&all),
        })
    }

    fn likeness(&self, caption: &[Option<Word>]) -> Likeness {
        let known: Option<Vec<Word>> = caption.iter().copied().collect();
        if known.is_some_and(|known| self.exact.contains(&known)) {
            return Likeness::Copy;
        }
        let words: Vec<Word> = caption.iter().map(|word| word.unwrap_or(UNKNOWN)).collect();
        let pattern = Pattern::new(&words);
        let is_near = |candidate: &u32| {
            let candidate = &self.captions[*candidate as usize];
            let (shorter, longer) = (caption.len().min(candidate.len()), caption.len().max(candidate.len()));
            shorter >= needed(longer) && pattern.common(candidate) >= needed(longer)
        };
        if self.candidates(caption).iter().any(is_near) { Likeness::Near } else { Likeness::Other }
    }

    /// The captions that share enough of their first words with this one.
    fn candidates(&self, caption: &[Option<Word>]) -> Vec<u32> {
        let least = needed(caption.len()).min(SHARED);
        let mut shared = vec![0; self.captions.len()];
        let mut candidates = Vec::new();
        for other in self.first_words(caption).iter().filter_map(|first| self.by_first.get(first)).flatten() {
            let shared = &mut shared[*other as usize];
            *shared += 1;
            if *shared == least {
                candidates.push(*other);
            }
        }
        candidates
    }

    /// As many of the rarest words as [`SHARED`] must be shared of; words that no training caption has count, but find
    /// none.
    fn first_words(&self, caption: &[Option<Word>]) -> Vec<(Word, u32)> {
        let mut times: HashMap<Word, u32> = HashMap::new();
        let mut known: Vec<(Word, u32)> = Vec::with_capacity(caption.len());
        for word in caption.iter().flatten() {
            let time = times.entry(*word).or_default();
            known.push((*word, *time));
            *time += 1;
        }
        known.sort_unstable_by_key(|&(word, time)| (self.frequency[word as usize], word, time));
        let unknown = caption.len() - known.len();
        let first = caption.len() - needed(caption.len()) + SHARED;
        known.truncate(first.saturating_sub(unknown));
        known
    }

    fn novel(&self, captions: &[Vec<Option<Word>>]) -> Option<f64> {
        let is_novel = |gram: [Option<Word>; NOVEL]| match gram {
            [Some(a), Some(b), Some(c), Some(d)] => !self.four_grams.contains(&[a, b, c, d]),
            _ => true,
        };
        let grams = captions.iter().flat_map(|caption| n_grams::<_, NOVEL>(caption)).map(is_novel);
        let (novel, all) =
            grams.fold((0, 0), |(novel, all), is_novel| (novel + usize::from(is_novel), all + 1));
        (all > 0).then(|| novel as f64 / all as f64)
    }
}

/// Words in common that make a caption nearly one of this many words.
fn needed(longer: usize) -> usize {
    (longer * NEAR_TENTHS).div_ceil(10)
}

fn n_grams<T: Copy, const N: usize>(words: &[T]) -> impl Iterator<Item = [T; N]> {
    words.windows(N).filter_map(|gram| gram.try_into().ok())
}

fn distinct<const N: usize>(captions: &[Vec<String>]) -> Option<f64> {
    let grams = || captions.iter().flat_map(|words| words.windows(N));
    let all = grams().count();
    (all > 0).then(|| grams().collect::<HashSet<_>>().len() as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const TRAINING: [&str; 3] = [
        "The upper clothing has long sleeves, cotton fabric and solid red color patterns.",
        "A woman wears a blue denim skirt with a floral belt.",
        "a dog",
    ];

    fn measure(captions: &[&str]) -> Memorisation {
        TrainingCaptions::new(&TRAINING).measure(captions).unwrap()
    }

    #[test]
    fn copies_near_copies_and_captions_of_its_own_are_told_apart() {
        let captions = [
            // A copy but for case and signs.
            "the upper clothing has LONG sleeves cotton fabric and solid red color patterns",
            // One of twelve words is another, then one of eleven and one more: 11/12 and 10/11, near.
            "the upper clothing has long sleeves cotton fabric and solid green color patterns",
            "a woman wears a blue denim skirt with floral belt",
            // Two of eleven words: 9/11.
            "a man wears a red denim skirt with a floral belt",
            // All words of a training caption in another order.
            "belt floral a with skirt denim blue a wears woman a",
            // A short one has no near copies.
            "a cat",
        ];
        let found = measure(&captions);
        assert_eq!((found.captions, found.different), (6, 6));
        assert_eq!((found.copied, found.nearly_copied), (1.0 / 6.0, 0.5));
        let none = measure(&captions[3..]);
        assert_eq!((none.copied, none.nearly_copied), (0.0, 0.0));
    }

    #[test]
    fn an_unknown_word_costs_as_much_as_a_wrong_one_and_a_caption_without_words_copies_nothing() {
        let one = "the upper clothing has long sleeves cotton fabric and solid quux color patterns";
        assert_eq!(measure(&[one]).nearly_copied, 1.0);
        let two = "the upper clothing has long sleeves xyzzy fabric and solid quux color patterns";
        assert_eq!(measure(&[two]).nearly_copied, 0.0);
        let empty = measure(&["", " . "]);
        assert_eq!((empty.copied, empty.nearly_copied, empty.different), (0.0, 0.0, 1));
        assert_eq!((empty.distinct_1, empty.novel_4_grams), (None, None));
        assert!(TrainingCaptions::new(&TRAINING).measure(&[]).is_none());
        assert_eq!(TrainingCaptions::new(&[]).measure(&[one]).unwrap().nearly_copied, 0.0);
    }

    #[test]
    fn novelty_counts_four_grams_and_distinct_n_counts_n_grams() {
        // "wears a blue denim" and "a blue denim skirt" are known, "blue denim skirt today" is not.
        let found = measure(&["wears a blue denim skirt today"]);
        assert_eq!(found.novel_4_grams, Some(1.0 / 3.0));
        let found = measure(&["a red cap", "a red hat"]);
        assert_eq!((found.distinct_1, found.distinct_2), (Some(4.0 / 6.0), Some(3.0 / 4.0)));
        let found = measure(&["a dog", "A dog.", "a cat"]);
        assert_eq!((found.different, found.copied), (2, 2.0 / 3.0));
    }

    /// The longest common subsequence by the table of every textbook.
    fn by_table(a: &[Word], b: &[Word]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (j, y) in b.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    fn random_words(random: &mut Random, most: usize, vocabulary: usize) -> Vec<Word> {
        (0..1 + random.below(most)).map(|_| random.below(vocabulary) as Word).collect()
    }

    #[test]
    fn the_index_misses_no_near_copy() {
        let mut random = Random::new(2, "captions", &[]);
        let text = |words: &[Word]| words.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
        let training: Vec<Vec<Word>> = (0..200).map(|_| random_words(&mut random, 70, 9)).collect();
        let texts: Vec<String> = training.iter().map(|words| text(words)).collect();
        let index = TrainingCaptions::new(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let mut near = 0;
        for round in 0..400 {
            let mut said = training[round % training.len()].clone();
            for _ in 0..1 + random.below(said.len() / 6 + 1) {
                let place = random.below(said.len());
                match random.below(3) {
                    0 if said.len() > 1 => drop(said.remove(place)),
                    1 => said.insert(place, random.below(11) as Word),
                    _ => said[place] = random.below(11) as Word,
                }
            }
            let is_near = |other: &Vec<Word>| by_table(&said, other) * 10 >= 9 * said.len().max(other.len());
            let expected = training.iter().any(is_near);
            near += usize::from(expected);
            assert_eq!(index.measure(&[&text(&said)]).unwrap().nearly_copied, f64::from(u8::from(expected)));
        }
        assert!((50..350).contains(&near), "{near}");
    }

    /// Captions made of a template with some slots, as those of many fashion data sets.
    fn templated(random: &mut Random, count: usize) -> Vec<String> {
        let slot = |random: &mut Random, kind: &str| format!("{kind}{}", random.below(12));
        let caption = |_| {
            let mut words = Vec::new();
            for (part, kind) in ["upper", "lower", "outer", "neck", "shoes"].iter().enumerate() {
                let [a, b, c] =
                    ["shape", "fabric", "color"].map(|what| slot(random, &format!("{what}{part}")));
                words.push(format!("the {kind} clothing is {a} with {b} fabric and {c} patterns"));
            }
            words.join(" ")
        };
        (0..count).map(caption).collect()
    }

    #[test]
    #[ignore = "prints a time: cargo test --release --lib thousands_of_templated -- --ignored --nocapture"]
    fn thousands_of_templated_captions_take_about_a_second() {
        let mut random = Random::new(3, "captions", &[]);
        let (training, said) = (templated(&mut random, 10_000), templated(&mut random, 5_000));
        let start = std::time::Instant::now();
        let index = TrainingCaptions::new(&training.iter().map(String::as_str).collect::<Vec<_>>());
        let found = index.measure(&said.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        println!("{:?} {found:?}", start.elapsed());
    }
}
