//! Limits of training and generation that fit captions: none is cut, and nothing that they say is forbidden.

use std::collections::HashSet;

use crate::analysis::text_domain::words_of;

/// Limits are whole multiples of this.
const STEP: usize = 8;
/// Sequences of this many tokens up to that many are looked for twice in a caption. Shorter ones are in any long one.
const REPEATS: std::ops::RangeInclusive<usize> = 3..=6;
/// Tokens of a caption for each of its words and signs, where there is no tokenizer: BERT's word pieces of English prose
/// come to 1.1 to 1.3, and a limit that is too high costs nothing.
const PIECES: f64 = 1.4;

/// How long captions are, and what they repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Lengths {
    pub count: usize,
    /// Of an image, at most.
    pub of_an_image: usize,
    /// Words, on average.
    pub words: f64,
    /// Tokens, start and end among them, on average and at most.
    pub mean_tokens: f64,
    pub most_tokens: usize,
    /// Tokens are known and not guessed by words.
    pub is_exact: bool,
    /// The length of the shortest sequence of tokens that no caption has twice, where tokens are known.
    pub never_twice: Option<usize>,
}

impl Lengths {
    /// Of captions with the tokens that a tokenizer makes of them, or without them.
    pub fn of(captions: &[&str], tokens: Option<&[Vec<u32>]>, of_an_image: usize) -> Self {
        let words = words_of(captions);
        let all: usize = words.iter().map(Vec::len).sum();
        let never_twice = |tokens: &[Vec<u32>]| {
            REPEATS.into_iter().find(|size| !tokens.iter().any(|tokens| repeats(tokens, *size)))
        };
        let lengths: Vec<usize> = match tokens {
            Some(tokens) => tokens.iter().map(Vec::len).collect(),
            None => captions.iter().map(|caption| guessed_tokens(caption)).collect(),
        };
        let count = captions.len().max(1) as f64;
        Self {
            count: captions.len(),
            of_an_image,
            words: all as f64 / count,
            mean_tokens: lengths.iter().sum::<usize>() as f64 / count,
            most_tokens: lengths.into_iter().max().unwrap_or(0),
            is_exact: tokens.is_some(),
            never_twice: tokens.and_then(never_twice),
        }
    }

    /// The most tokens that training and generation need, within what a model takes.
    pub fn limit(&self, positions: usize) -> usize {
        self.most_tokens.max(STEP).div_ceil(STEP).saturating_mul(STEP).min(positions)
    }
}

fn guessed_tokens(caption: &str) -> usize {
    let signs = caption.chars().filter(|letter| !letter.is_alphanumeric() && !letter.is_whitespace()).count();
    let words =
        caption.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).count();
    ((words + signs) as f64 * PIECES).ceil() as usize + 2
}

/// Whether a caption has a sequence of so many tokens twice.
fn repeats(tokens: &[u32], size: usize) -> bool {
    let mut seen = HashSet::new();
    tokens.windows(size).any(|window| !seen.insert(window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_the_longest_caption_and_no_more_than_a_model_takes() {
        let tokens =
            |lengths: Vec<usize>| lengths.into_iter().map(|length| vec![1; length]).collect::<Vec<_>>();
        let limit = |lengths| Lengths::of(&["a"], Some(&tokens(lengths)), 1).limit(512);
        assert_eq!([vec![60, 71], vec![72], vec![73], vec![3], vec![900]].map(limit), [72, 72, 80, 8, 512]);
    }

    #[test]
    fn what_captions_repeat_is_not_forbidden() {
        let never = |tokens: &[Vec<u32>]| Lengths::of(&["a"], Some(tokens), 1).never_twice;
        assert_eq!(never(&[vec![1, 2, 3, 4, 5], vec![1, 2, 3, 9, 1, 2, 3]]), Some(4));
        assert_eq!(never(&[vec![1, 2, 3, 1, 2]]), Some(3));
        assert_eq!(never(&[vec![1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]]), None);
        assert_eq!(Lengths::of(&["a b c"], None, 1).never_twice, None, "words are no tokens");
    }

    #[test]
    fn without_a_tokenizer_tokens_are_guessed_on_the_safe_side() {
        let lengths = Lengths::of(&["A red T-shirt, with short sleeves."], None, 1);
        assert!(!lengths.is_exact);
        // Seven words and three signs, which BERT's tokenizer makes ten tokens of.
        assert_eq!((lengths.words, lengths.most_tokens), (7.0, 16));
    }
}
