//! CIDEr-D (Vedantam et al., 2015) as pycocoevalcap computes it.

use ahash::AHashMap;
use rayon::prelude::*;

use super::ngrams::{ImageCounts, LONGEST, Ngram, NgramCounts};

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
pub fn cider_d(images: &[ImageCounts]) -> Vec<f64> {
    let rarity = Rarity::of(images);
    let weigh = |counts: &NgramCounts| weigh(counts, &rarity);
    let score = |ImageCounts { caption, references }: &ImageCounts| {
        let caption = weigh(caption);
        let similarities = references.iter().map(|reference| similarity(&caption, &weigh(reference)));
        10.0 * similarities.sum::<f64>() / references.len().max(1) as f64
    };
    images.par_iter().map(score).collect()
}

/// What a sequence weighs: the inverse document frequency, the logarithm of the number of images over that of
/// images whose references have the sequence.
struct Rarity {
    /// Of the sequences of each length. They are only looked up in, never iterated over.
    weights: [AHashMap<Ngram, f64>; LONGEST],
    /// Of sequences in no reference, which count as if they were in one.
    of_unknown: f64,
}

impl Rarity {
    fn of(all: &[ImageCounts]) -> Self {
        let of_unknown = (all.len() as f64).ln();
        let weights_of_length = |n: usize| {
            let mut images: AHashMap<Ngram, u32> = AHashMap::new();
            for ImageCounts { references, .. } in all {
                let references = || references.iter().filter_map(|reference| reference.get(n));
                let mut sequences = Vec::with_capacity(references().map(Vec::len).sum());
                sequences.extend(references().flatten().map(|&(ngram, _)| ngram));
                sequences.sort_unstable();
                sequences.dedup();
                for sequence in sequences {
                    *images.entry(sequence).or_insert(0) += 1;
                }
            }
            images.into_iter().map(|(ngram, images)| (ngram, of_unknown - f64::from(images).ln())).collect()
        };
        let mut weights: [AHashMap<Ngram, f64>; LONGEST] = Default::default();
        weights.par_iter_mut().enumerate().for_each(|(n, weights)| *weights = weights_of_length(n));
        Self { weights, of_unknown }
    }

    fn weight(&self, n: usize, ngram: Ngram) -> f64 {
        self.weights.get(n).and_then(|weights| weights.get(&ngram)).copied().unwrap_or(self.of_unknown)
    }
}

/// Term frequency times inverse document frequency.
fn weigh(counts: &NgramCounts, rarity: &Rarity) -> WeighedText {
    let weights: [Weights; LONGEST] = std::array::from_fn(|n| {
        let counts = counts.get(n).map_or(&[][..], Vec::as_slice).iter();
        counts.map(|&(ngram, count)| (ngram, f64::from(count) * rarity.weight(n, ngram))).collect()
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
    use crate::score::corpus::Image;

    fn counts(images: &[(&[u32], &[u32])]) -> Vec<ImageCounts> {
        let image = |&(caption, reference): &(&[u32], &[u32])| {
            ImageCounts::of(&Image { caption: caption.to_vec(), references: vec![reference.to_vec()] })
        };
        images.iter().map(image).collect()
    }

    #[test]
    fn a_repeated_reference_scores_ten_and_a_single_image_zero() {
        let (a, b): (&[u32], &[u32]) = (&[1, 2, 3, 4], &[5, 6, 7, 8]);
        let scores = cider_d(&counts(&[(a, a), (a, b)]));
        assert!((scores[0] - 10.0).abs() < 1e-12 && scores[1] == 0.0, "{scores:?}");
        assert_eq!(cider_d(&counts(&[(a, a)])), [0.0]);
    }

    #[test]
    fn the_difference_in_length_is_penalised() {
        let scores =
            cider_d(&counts(&[(&[1, 2, 3, 4], &[1, 2, 3, 4]), (&[5, 6, 7, 8, 9, 9], &[5, 6, 7, 8])]));
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
