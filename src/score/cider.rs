//! CIDEr-D (Vedantam et al., 2015) as pycocoevalcap computes it.

use std::collections::HashMap;

use rayon::prelude::*;

use super::corpus::{Corpus, Image};
use super::ngrams::{LONGEST, Ngram, NgramCounts, count_ngrams};

/// Width of the penalty for captions of another length than the reference.
const SIGMA: f64 = 6.0;

/// Word sequences of one length with their weights, ascending by sequence.
type Weights = Vec<(Ngram, f64)>;

/// A text as pycocoevalcap weighs it.
struct WeighedText {
    weights: [Weights; LONGEST],
    norms: [f64; LONGEST],
    /// pycocoevalcap takes the number of two-word sequences for the length.
    length: f64,
}

/// The CIDEr-D of every image, each in `[0, 10]`; 0 for an image without references.
///
/// Sequences that many images' references share weigh little, so a score depends on the whole set. In a
/// set of one image every sequence is in all references and the score is 0.
pub fn cider_d(corpus: &Corpus) -> Vec<f64> {
    let counts: Vec<(NgramCounts, Vec<NgramCounts>)> = corpus.images.par_iter().map(count_image).collect();
    let frequency = document_frequency(&counts);
    let images = (counts.len() as f64).ln();
    let weigh = |counts: &NgramCounts| weigh(counts, images, &frequency);
    let score = |(caption, references): &(NgramCounts, Vec<NgramCounts>)| {
        let caption = weigh(caption);
        let similarities = references.iter().map(|reference| similarity(&caption, &weigh(reference)));
        10.0 * similarities.sum::<f64>() / references.len().max(1) as f64
    };
    counts.par_iter().map(score).collect()
}

fn count_image(image: &Image) -> (NgramCounts, Vec<NgramCounts>) {
    let references = image.references.iter().map(|words| count_ngrams(words)).collect();
    (count_ngrams(&image.caption), references)
}

/// In how many images' references each sequence occurs. It is only looked up in, never iterated over.
fn document_frequency(counts: &[(NgramCounts, Vec<NgramCounts>)]) -> HashMap<Ngram, u32> {
    let mut frequency = HashMap::new();
    for (_, references) in counts {
        let mut ngrams: Vec<Ngram> = references.iter().flatten().flatten().map(|&(ngram, _)| ngram).collect();
        ngrams.sort_unstable();
        ngrams.dedup();
        for ngram in ngrams {
            *frequency.entry(ngram).or_insert(0) += 1;
        }
    }
    frequency
}

/// Term frequency times inverse document frequency.
fn weigh(counts: &NgramCounts, log_images: f64, frequency: &HashMap<Ngram, u32>) -> WeighedText {
    let weights = counts.each_ref().map(|counts| {
        let weighed = counts.iter().map(|&(ngram, count)| {
            let images = frequency.get(&ngram).copied().unwrap_or(0).max(1);
            (ngram, f64::from(count) * (log_images - f64::from(images).ln()))
        });
        weighed.collect::<Weights>()
    });
    let norm = |weights: &Weights| weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
    let [_, pairs, ..] = counts;
    let length = pairs.iter().map(|&(_, count)| f64::from(count)).sum();
    WeighedText { norms: weights.each_ref().map(norm), weights, length }
}

/// The mean over sequence lengths of the clipped cosine similarity, times the penalty for length.
fn similarity(caption: &WeighedText, reference: &WeighedText) -> f64 {
    let both = caption.weights.iter().zip(&reference.weights);
    let norms = caption.norms.iter().zip(&reference.norms);
    let cosines = both.zip(norms).map(|((caption, reference), (caption_norm, reference_norm))| {
        let product = clipped_product(caption, reference);
        let norms = caption_norm * reference_norm;
        if norms == 0.0 { product } else { product / norms }
    });
    let difference = caption.length - reference.length;
    let penalty = (-difference * difference / (2.0 * SIGMA * SIGMA)).exp();
    cosines.sum::<f64>() / LONGEST as f64 * penalty
}

/// The scalar product, with the caption's weights no larger than the reference's.
fn clipped_product(caption: &Weights, reference: &Weights) -> f64 {
    if caption.len() / 16 > reference.len() {
        return clipped_product_of_long(caption, reference);
    }
    let mut rest = reference.as_slice();
    let mut product = 0.0;
    for &(ngram, weight) in caption {
        let skip = rest.iter().take_while(|(other, _)| *other < ngram).count();
        rest = rest.get(skip..).unwrap_or_default();
        if let Some(&(other, limit)) = rest.first()
            && other == ngram
        {
            product += weight.min(limit) * limit;
        }
    }
    product
}

/// The same sum in the same order where the caption is much longer than the reference, so that a very long caption is
/// not gone through for each of many references.
fn clipped_product_of_long(caption: &Weights, reference: &Weights) -> f64 {
    let in_caption = |ngram: Ngram| caption.binary_search_by_key(&ngram, |&(other, _)| other).ok();
    let shared = reference.iter().filter_map(|&(ngram, limit)| {
        let &(_, weight) = caption.get(in_caption(ngram)?)?;
        Some(weight.min(limit) * limit)
    });
    shared.fold(0.0, |sum, product| sum + product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::corpus::Vocabulary;

    fn corpus(images: &[(&[u32], &[u32])]) -> Corpus {
        let image = |&(caption, reference): &(&[u32], &[u32])| Image {
            caption: caption.to_vec(),
            references: vec![reference.to_vec()],
        };
        Corpus { images: images.iter().map(image).collect(), vocabulary: Vocabulary::default() }
    }

    #[test]
    fn a_repeated_reference_scores_ten_and_a_single_image_zero() {
        let (a, b): (&[u32], &[u32]) = (&[1, 2, 3, 4], &[5, 6, 7, 8]);
        let scores = cider_d(&corpus(&[(a, a), (a, b)]));
        assert!((scores[0] - 10.0).abs() < 1e-12 && scores[1] == 0.0, "{scores:?}");
        assert_eq!(cider_d(&corpus(&[(a, a)])), [0.0]);
    }

    #[test]
    fn the_difference_in_length_is_penalised() {
        let scores =
            cider_d(&corpus(&[(&[1, 2, 3, 4], &[1, 2, 3, 4]), (&[5, 6, 7, 8, 9, 9], &[5, 6, 7, 8])]));
        assert!(scores[1] < 10.0 * (-4.0_f64 / 72.0).exp(), "{scores:?}");
    }

    #[test]
    fn the_product_with_a_long_caption_is_the_same() {
        let caption: Weights = (0..1000).map(|i| (i, 1.0 + (i % 7) as f64)).collect();
        for length in [1, 5, 40] {
            let reference: Weights = (0..length).map(|i| (i * 31, 0.1 + i as f64)).collect();
            let expected = clipped_product(&caption[..16 * length as usize].to_vec(), &reference);
            let cut: Weights = caption.iter().copied().take(16 * length as usize).collect();
            assert_eq!(clipped_product_of_long(&cut, &reference), expected);
            assert!(expected > 0.0);
        }
    }
}
