//! Captions for several images at once: beam search over the decoder with cached keys and values.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::beam::{BeamSearch, BeamSettings, Continuation, Hypothesis};
use super::decode::Decoding;
use super::decoder::Decoder;

/// What the model says of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedCaption {
    /// Tokens with the start token, a prompt and, unless the length limit cut it off, the end token.
    pub ids: Vec<u32>,
    /// Sum of log-probabilities divided by the length, without what was given, to the power of the length penalty.
    pub score: f32,
}

impl GeneratedCaption {
    /// The tokens behind the `given` ones that all captions begin with.
    pub fn said(&self, given: usize) -> &[u32] {
        self.ids.get(given..).unwrap_or_default()
    }
}

/// One caption for each image of `image_embeds` (images, image tokens, width), in order.
pub fn generate(
    decoder: &Decoder,
    image_embeds: &Tensor,
    settings: &BeamSettings,
) -> Result<Vec<GeneratedCaption>> {
    Ok(generate_while(decoder, image_embeds, settings, || true)?.unwrap_or_default())
}

/// As [`generate`], asking before every token whether to go on: a batch of long captions takes a large model minutes on a
/// CPU. `None` where the answer was no.
pub fn generate_while(
    decoder: &Decoder,
    image_embeds: &Tensor,
    settings: &BeamSettings,
    go_on: impl Fn() -> bool,
) -> Result<Option<Vec<GeneratedCaption>>> {
    let (images, _still) = (image_embeds.dim(0)?, decoder.hold_still());
    let mut searches: Vec<BeamSearch> = (0..images).map(|_| BeamSearch::new(settings)).collect();
    let places = images * settings.num_beams.max(1) * settings.max_length;
    let mut decoding = Decoding::begin(decoder, image_embeds, places)?;
    let Some((last, given)) = settings.start.split_last() else {
        candle_core::bail!("a caption has to begin with a token")
    };
    let (mut tokens, mut logits) = (vec![*last; images], Vec::new());
    // What would follow the other tokens that are given is nobody's question.
    let can_speak = images > 0 && settings.max_length > settings.start.len();
    for token in given.iter().filter(|_| can_speak) {
        decoding.step(&vec![*token; images], &mut logits)?;
    }
    loop {
        // Searches that go on, in the order of their rows.
        let mut open: Vec<&mut BeamSearch> = searches.iter_mut().filter(|search| !search.is_over()).collect();
        if open.is_empty() {
            return Ok(Some(searches.iter().map(|search| caption(search.best(), settings)).collect()));
        }
        if !go_on() {
            return Ok(None);
        }
        decoding.step(&tokens, &mut logits)?;
        let (rows, vocabulary) = (tokens.len() / open.len(), logits.len() / tokens.len());
        let of_images = open.par_iter_mut().zip(logits.par_chunks_exact_mut(rows * vocabulary));
        let chosen: Vec<Vec<Continuation>> =
            of_images.map(|(search, logits)| search.advance(logits, vocabulary)).collect();

        tokens.clear();
        let (mut parents, mut kept, before) = (Vec::new(), Vec::new(), chosen.len());
        for (place, continuations) in chosen.into_iter().enumerate() {
            if !continuations.is_empty() {
                kept.push(place as u32);
            }
            for continuation in pad(continuations, settings.num_beams) {
                parents.push((place * rows + continuation.parent) as u32);
                tokens.push(continuation.token);
            }
        }
        if !kept.is_empty() {
            decoding.select(&parents, (kept.len() < before).then_some(&kept))?;
        }
    }
}

/// Repeats the last beam where fewer than `beams` go on (a vocabulary smaller than the beams), so that every
/// image has the same number of rows; the search ignores the surplus.
fn pad<T: Copy>(mut continuations: Vec<T>, beams: usize) -> Vec<T> {
    if let Some(last) = continuations.last().copied() {
        continuations.resize(beams.max(1), last);
    }
    continuations
}

fn caption(best: Option<&Hypothesis>, settings: &BeamSettings) -> GeneratedCaption {
    match best {
        Some(best) => GeneratedCaption { ids: best.tokens.clone(), score: best.score },
        None => GeneratedCaption { ids: settings.start.clone(), score: f32::NEG_INFINITY },
    }
}
