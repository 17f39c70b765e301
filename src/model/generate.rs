//! Captions for several images at once: beam search over the decoder with cached keys and values.

use candle_core::{Result, Tensor};

use super::beam::{BeamSearch, BeamSettings, Hypothesis};
use super::text::TextDecoder;

/// What the model says of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedCaption {
    /// Tokens with the start token and, unless the length limit cut it off, the end token.
    pub ids: Vec<u32>,
    /// Sum of log-probabilities divided by the length to the power of the length penalty.
    pub score: f32,
}

/// One caption for each image of `image_embeds` (images, image tokens, width), in order.
pub fn generate(
    decoder: &TextDecoder,
    image_embeds: &Tensor,
    settings: &BeamSettings,
) -> Result<Vec<GeneratedCaption>> {
    Ok(generate_while(decoder, image_embeds, settings, || true)?.unwrap_or_default())
}

/// As [`generate`], asking before every token whether to go on: a batch of long captions takes a large model minutes on a
/// CPU. `None` where the answer was no.
pub fn generate_while(
    decoder: &TextDecoder,
    image_embeds: &Tensor,
    settings: &BeamSettings,
    go_on: impl Fn() -> bool,
) -> Result<Option<Vec<GeneratedCaption>>> {
    let mut searches: Vec<BeamSearch> =
        (0..image_embeds.dim(0)?).map(|_| BeamSearch::new(settings)).collect();
    let mut cache = decoder.begin(image_embeds)?;
    // Images whose search goes on, in the order of their rows.
    let mut active: Vec<usize> = (0..searches.len()).filter(|image| !searches[*image].is_over()).collect();
    let mut tokens = vec![settings.start; searches.len()];
    while !active.is_empty() {
        if !go_on() {
            return Ok(None);
        }
        let logits = decoder.step(&tokens, &mut cache)?;
        let (rows, vocabulary) = logits.dims2()?;
        let rows_per_image = rows / active.len();
        let mut logits = logits.flatten_all()?.to_vec1::<f32>()?;

        let (mut parents, mut kept) = (Vec::new(), Vec::new());
        tokens.clear();
        for (place, logits) in logits.chunks_exact_mut(rows_per_image * vocabulary).enumerate() {
            let continuations = searches[active[place]].advance(logits, vocabulary);
            if !continuations.is_empty() {
                kept.push(place as u32);
            }
            for continuation in pad(continuations, settings.num_beams) {
                parents.push((place * rows_per_image + continuation.parent) as u32);
                tokens.push(continuation.token);
            }
        }
        let changed = kept.len() < active.len();
        active = kept.iter().map(|place| active[*place as usize]).collect();
        if !active.is_empty() {
            cache.select(&parents, changed.then_some(&kept))?;
        }
    }
    Ok(Some(searches.iter().map(|search| caption(search.best(), settings)).collect()))
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
        None => GeneratedCaption { ids: vec![settings.start], score: f32::NEG_INFINITY },
    }
}
