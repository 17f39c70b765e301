//! BLEU (Papineni et al., 2002) as pycocoevalcap computes it, with the reference of the closest length.

use super::corpus::Image;
use super::ngrams::{ImageCounts, LONGEST, Ngram};

/// The counts that BLEU is made of. Those of a set are the sums over its images.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct BleuCounts {
    caption_words: usize,
    reference_words: usize,
    /// Sequences of each length in the caption, and those of them that a reference has too.
    guessed: [usize; LONGEST],
    correct: [usize; LONGEST],
}

impl BleuCounts {
    /// Counts one image, of which `counts` are. Without references nothing is correct.
    pub(super) fn of(image: &Image, counts: &ImageCounts) -> Self {
        let length = image.caption.len();
        let correct = std::array::from_fn(|n| {
            let caption = counts.caption.get(n).map_or(&[][..], Vec::as_slice);
            let references = counts.references.iter().filter_map(|reference| reference.get(n));
            correct(caption, references.map(Vec::as_slice))
        });
        let lengths = image.references.iter().map(Vec::len);
        let closest = lengths.min_by_key(|&reference| (reference.abs_diff(length), reference));
        Self {
            caption_words: length,
            reference_words: closest.unwrap_or(0),
            guessed: std::array::from_fn(|n| length.saturating_sub(n)),
            correct,
        }
    }

    /// The sum of two counts.
    pub fn plus(self, other: Self) -> Self {
        Self {
            caption_words: self.caption_words + other.caption_words,
            reference_words: self.reference_words + other.reference_words,
            guessed: sum(self.guessed, other.guessed),
            correct: sum(self.correct, other.correct),
        }
    }

    /// BLEU-1 to BLEU-4, each in `[0, 1]`: the geometric mean of the precisions up to that length, times
    /// the penalty for brevity. The small constants are pycocoevalcap's and keep empty texts finite.
    pub fn scores(&self) -> [f64; LONGEST] {
        const TINY: f64 = 1e-15;
        const SMALL: f64 = 1e-9;
        let ratio = (self.caption_words as f64 + TINY) / (self.reference_words as f64 + SMALL);
        let penalty = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
        let mut product = 1.0;
        let mut scores = [0.0; LONGEST];
        for (n, ((score, correct), guessed)) in
            scores.iter_mut().zip(self.correct).zip(self.guessed).enumerate()
        {
            product *= (correct as f64 + TINY) / (guessed as f64 + SMALL);
            *score = f64::powf(product, 1.0 / (n + 1) as f64) * penalty;
        }
        scores
    }
}

/// How many of a caption's sequences are right: each as often as the reference has it that has it most often.
fn correct<'a>(caption: &[(Ngram, u32)], references: impl Iterator<Item = &'a [(Ngram, u32)]>) -> usize {
    let mut most = vec![0; caption.len()];
    // References are gone through, and the caption searched: so very many or very long ones take no longer.
    for &(ngram, count) in references.flatten() {
        if let Ok(place) = caption.binary_search_by_key(&ngram, |&(other, _)| other)
            && let Some(most) = most.get_mut(place)
        {
            *most = count.max(*most);
        }
    }
    caption.iter().zip(most).map(|(&(_, count), most)| count.min(most) as usize).sum()
}

fn sum(a: [usize; LONGEST], b: [usize; LONGEST]) -> [usize; LONGEST] {
    let mut sums = a;
    sums.iter_mut().zip(b).for_each(|(sum, more)| *sum += more);
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_word_is_correct_only_as_often_as_a_reference_has_it() {
        let image = Image { caption: vec![1; 7], references: vec![vec![1, 2, 3, 4, 1, 5, 6], vec![1]] };
        let [unigram, bigram, ..] = BleuCounts::of(&image, &ImageCounts::of(&image)).scores();
        assert!((unigram - 2.0 / 7.0).abs() < 1e-8);
        assert!(bigram < 1e-7);
    }

    #[test]
    fn a_short_caption_is_penalised_against_the_closest_reference() {
        let image = Image { caption: vec![1, 2, 3], references: vec![vec![1, 2, 3, 4, 5], vec![1; 9]] };
        let [unigram, ..] = BleuCounts::of(&image, &ImageCounts::of(&image)).scores();
        assert!((unigram - (1.0_f64 - 5.0 / 3.0).exp()).abs() < 1e-8);
    }
}
