//! The two conventions, and the scores of a set of captions under each.

use rayon::prelude::*;

use super::bleu::BleuCounts;
use super::cider::cider_d;
use super::corpus::{Corpus, Image};
use super::meteor::Meteor;
use super::ngrams::ImageCounts;
use super::porter::rouge_stem;
use super::rouge::{rouge_l_coco, rouge_l_f1};
use super::tokenize::{alphanumeric_words, penn_tokens, whitespace_words};
use crate::record::recipe::Convention;

/// Version of both conventions; it changes whenever some score does.
pub const VERSION: u32 = 1;

/// One image: its generated caption and its references.
pub struct Item<'a> {
    pub caption: &'a str,
    pub references: &'a [String],
}

/// The scores of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// How many images there are.
    pub n: usize,
    /// Mean over images, in `[0, 1]`.
    pub meteor: f64,
    /// Mean over images, in `[0, 1]`.
    pub rouge_l: f64,
    /// Mean over images, in `[0, 10]`.
    pub cider_d: f64,
    /// BLEU-1 to BLEU-4 of the whole set, each in `[0, 1]`; not the means over images.
    pub bleu: [f64; 4],
    /// In the order of the items.
    pub per_image: Vec<ImageScores>,
}

/// The scores of one image's caption. Its CIDEr-D depends on the other images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageScores {
    pub meteor: f64,
    pub rouge_l: f64,
    pub cider_d: f64,
    pub bleu: [f64; 4],
}

/// Scores a set of captions. Every score is finite; all are 0 for an empty set and for an image that has no
/// references.
///
/// `original` is what the original recipe computed: METEOR of NLTK and CIDEr-D and BLEU of pycocoevalcap on
/// raw words between spaces (METEOR lower-cases them, the others do not), ROUGE-L of `rouge_score` with
/// stems. `coco` gives lower-cased Penn Treebank words without punctuation to pycocoevalcap's CIDEr-D, BLEU
/// and ROUGE-L, as the COCO evaluation does, and to NLTK's METEOR, which is not the COCO evaluation's.
pub fn score(convention: Convention, items: &[Item]) -> Scores {
    let (words, rouge_l) = match convention {
        Convention::Original => {
            let corpus = Corpus::new(items, alphanumeric_words).map(|word| vec![rouge_stem(word)]);
            (Corpus::new(items, whitespace_words), each(&corpus, rouge_l_f1))
        }
        Convention::Coco => {
            let tokens = Corpus::new(items, penn_tokens);
            // ROUGE-L takes tokens as they are, the others split them where they hold white space.
            (tokens.map(whitespace_words), each(&tokens, rouge_l_coco))
        }
    };
    let lower = words.map(|word| vec![word.to_lowercase()]);
    let meteor = Meteor::new(&lower.vocabulary);
    let meteor = each(&lower, |image| meteor.best(image));
    let counts: Vec<ImageCounts> = words.images.par_iter().map(ImageCounts::of).collect();
    let cider_d = cider_d(&counts);
    let images = words.images.par_iter().zip(counts);
    let bleu: Vec<BleuCounts> = images.map(|(image, counts)| BleuCounts::of(image, &counts)).collect();
    let whole = bleu.iter().copied().fold(BleuCounts::default(), BleuCounts::plus);
    Scores {
        n: items.len(),
        meteor: mean(&meteor),
        rouge_l: mean(&rouge_l),
        cider_d: mean(&cider_d),
        bleu: whole.scores(),
        per_image: combine(&meteor, &rouge_l, &cider_d, &bleu),
    }
}

/// What BLEU is made of, image by image in the order of the items: what has to be summed over the images of a sample,
/// for BLEU is not a mean over images.
pub fn bleu_counts(convention: Convention, items: &[Item]) -> Vec<BleuCounts> {
    let words = match convention {
        Convention::Original => Corpus::new(items, whitespace_words),
        Convention::Coco => Corpus::new(items, penn_tokens).map(whitespace_words),
    };
    words.images.par_iter().map(|image| BleuCounts::of(image, &ImageCounts::of(image))).collect()
}

/// The score of a run: the mean of the three metrics, CIDEr-D times `cider_weight`. With a weight of 1 it is as it
/// is, from 0 to 10, and counts for most of the mean; with 0.1 all three lie in `[0, 1]`.
pub fn mean_score(cider_weight: f64, meteor: f64, rouge_l: f64, cider_d: f64) -> f64 {
    (meteor + rouge_l + cider_d * cider_weight) / 3.0
}

fn each(corpus: &Corpus, score: impl Fn(&Image) -> f64 + Sync + Send) -> Vec<f64> {
    corpus.images.par_iter().map(score).collect()
}

fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len().max(1) as f64
}

fn combine(meteor: &[f64], rouge_l: &[f64], cider_d: &[f64], bleu: &[BleuCounts]) -> Vec<ImageScores> {
    let columns = meteor.iter().zip(rouge_l).zip(cider_d).zip(bleu);
    let row = |(((&meteor, &rouge_l), &cider_d), bleu): (((&f64, &f64), &f64), &BleuCounts)| ImageScores {
        meteor,
        rouge_l,
        cider_d,
        bleu: bleu.scores(),
    };
    columns.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Convention; 2] = [Convention::Original, Convention::Coco];

    #[test]
    fn an_empty_set_and_an_image_without_references_score_zero() {
        for convention in BOTH {
            let scores = score(convention, &[]);
            assert_eq!((scores.n, scores.meteor, scores.rouge_l, scores.cider_d), (0, 0.0, 0.0, 0.0));
            assert!(scores.bleu.iter().all(|bleu| (0.0..1e-6).contains(bleu)), "{scores:?}");
            let references = vec!["a red dress".to_owned()];
            let items = [
                Item { caption: "a red dress", references: &[] },
                Item { caption: "a red dress", references: &references },
            ];
            let [without, with] = score(convention, &items).per_image.try_into().unwrap();
            assert_eq!((without.meteor, without.rouge_l, without.cider_d), (0.0, 0.0, 0.0));
            assert!(without.bleu.iter().all(|bleu| (0.0..1e-3).contains(bleu)), "{without:?}");
            assert!((with.rouge_l, with.cider_d > 0.0) == (1.0, true), "{with:?}");
        }
    }

    #[test]
    fn only_the_original_convention_minds_case_and_punctuation() {
        let references = ["A red Dress, long.".to_owned()];
        let other = ["two dogs".to_owned()];
        let items = [
            Item { caption: "a red dress long", references: &references },
            Item { caption: "two dogs", references: &other },
        ];
        let first = BOTH.map(|convention| score(convention, &items).per_image[0]);
        assert!(first[0].cider_d < 2.0 && first[1].cider_d > 9.9, "{first:?}");
        assert!(first[0].bleu[0] < 0.5 && first[1].bleu[0] > 0.99, "{first:?}");
    }

    #[test]
    fn the_mean_score_counts_cider_in_full_or_a_tenth() {
        let score = |convention: Convention| mean_score(convention.cider_weight(), 0.3, 0.6, 3.0);
        assert!((score(Convention::Original) - 1.3).abs() < 1e-12);
        assert!((score(Convention::Coco) - 0.4).abs() < 1e-12);
    }
}
