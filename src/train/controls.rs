//! Runs that show what a gain over the zero-shot model is not: length alone, or words that fit any picture.

use anyhow::{Result, ensure};

use super::execute::Loaded;
use super::{Emit, Session, references};
use crate::data::{CaptionTokenizer, Example};
use crate::random::Random;
use crate::record::event::Ended;
use crate::record::recipe::{Kind, Recipe};

/// The shares of training captions that are shorter than the shortest and the longest caption that may be generated:
/// nine captions of ten have a length between, and a single odd one stretches nothing.
const SHORTEST: f64 = 0.05;
const LONGEST: f64 = 0.95;

/// Every image gets the captions of another one (Sattolo 1986: a cycle through all, so none keeps its own).
///
/// # Errors
/// There is only one image.
pub fn dealt_anew<T>(captions: Vec<T>, seed: u64) -> Result<Vec<T>> {
    ensure!(
        captions.len() > 1,
        "the captions of {} training image cannot be shuffled\nhint: leave the control out: `references: {{shuffled_captions: false}}`",
        captions.len()
    );
    let mut captions = captions;
    let mut random = Random::new(seed, "shuffled captions", &[]);
    for i in (1..captions.len()).rev() {
        captions.swap(i, random.below(i));
    }
    Ok(captions)
}

/// Evaluates the pretrained model with captions as long as the training captions.
pub fn matched_length(session: &Session, loaded: Loaded, emit: &mut Emit) -> Result<Ended> {
    let mut lengths = lengths(&loaded.material.dataset.train, &loaded.pretrained.tokenizer)?;
    lengths.iter_mut().for_each(|length| *length += loaded.pretrained.prompt.len());
    let limit = loaded.pretrained.config.text.max_position_embeddings;
    let (shortest, longest) = generated_lengths(lengths, limit);
    let mut spec = session.spec.clone();
    spec.recipe.generation.min_length = shortest;
    spec.recipe.generation.max_length = longest;
    let session = Session {
        spec: &spec,
        inputs: session.inputs,
        directory: session.directory,
        device: session.device.clone(),
        device_name: session.device_name.clone(),
        threads: session.threads,
        checkpoint_every: session.checkpoint_every,
        until_epoch: None,
        heir: None,
        cache: session.cache.clone(),
        stop: session.stop,
    };
    references::zero_shot(&session, loaded, emit)
}

/// Tokens of every training caption, start and end token included, none cut.
fn lengths(examples: &[Example], tokenizer: &CaptionTokenizer) -> Result<Vec<usize>> {
    let captions = examples.iter().flat_map(|example| &example.captions);
    captions.map(|caption| Ok(tokenizer.encode(caption, usize::MAX)?.len())).collect()
}

/// `min_length` and `max_length` for captions from the 5th to the 95th percentile of `lengths` (nearest rank), within
/// the model's limit. The end token is allowed from `min_length` tokens on and counts itself: a caption of n tokens needs
/// a `min_length` of n - 1.
fn generated_lengths(mut lengths: Vec<usize>, limit: usize) -> (usize, usize) {
    lengths.sort_unstable();
    let percentile = |share: f64| {
        let rank = (share * lengths.len() as f64).ceil() as usize;
        lengths.get(rank.max(1) - 1).copied().unwrap_or(2)
    };
    let longest = percentile(LONGEST).clamp(2, limit.max(2));
    (percentile(SHORTEST).min(longest).saturating_sub(1), longest)
}

/// What a control did that its settings do not say.
pub fn note(recipe: &Recipe) -> Option<String> {
    match recipe.kind {
        Kind::MatchedLength => Some(format!(
            "captions were generated with `min_length` {} and `max_length` {}: from the 5th to the 95th percentile of the training \
             captions' tokens",
            recipe.generation.min_length, recipe.generation.max_length
        )),
        Kind::ShuffledCaptions => Some(
            "every training image had the captions of another one; validation and test images have their own"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::material::Tokens;

    #[test]
    fn no_image_keeps_its_captions_and_every_caption_is_dealt_once() {
        let tokens = |n: u32| (0..n).map(|id| vec![vec![id]]).collect::<Vec<Tokens>>();
        for count in [2, 3, 50] {
            for seed in 0..20 {
                let dealt = dealt_anew(tokens(count), seed).unwrap();
                assert!(dealt.iter().zip(tokens(count)).all(|(new, old)| *new != old), "{dealt:?}");
                let mut sorted = dealt.clone();
                sorted.sort();
                assert_eq!(sorted, tokens(count));
                assert_eq!(dealt, dealt_anew(tokens(count), seed).unwrap());
            }
        }
        assert_ne!(dealt_anew(tokens(50), 0).unwrap(), dealt_anew(tokens(50), 1).unwrap());
        let error = dealt_anew(tokens(1), 0).unwrap_err().to_string();
        assert!(error.contains("shuffled_captions: false"), "{error}");
    }

    #[test]
    fn captions_may_be_as_short_and_as_long_as_nine_of_ten_training_captions() {
        // 5 and 95 of a hundred: the caption of 5 tokens ends with its fifth.
        assert_eq!(generated_lengths((1..=100).rev().collect(), 512), (4, 95));
        assert_eq!(generated_lengths((1..=100).collect(), 40), (4, 40), "the model's limit");
        assert_eq!(generated_lengths(vec![60; 10], 40), (39, 40));
        assert_eq!(generated_lengths(vec![], 40), (1, 2));
    }
}
