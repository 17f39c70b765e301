//! Whether the model looks at the pictures: losses of references beside their own picture and beside another.

use anyhow::Result;
use candle_core::Tensor;

use super::Session;
use super::evaluate::{Split, of_images};
use super::material::Material;
use crate::data::TokenBatch;
use crate::model::Blip;
use crate::model::blip::targets;
use crate::model::ops::Targets;
use crate::model::ops::next_token::divergence;
use crate::record::image_use::OwnAndOther;

/// At most this many images of a split are put beside another picture.
pub const MOST: usize = 512;

/// Of these examples of the split, the mean losses of the first caption, pads aside and without
/// smoothing; the other picture is that of the next example, and the first's for the last. Nothing for a split of fewer
/// than two.
pub fn measure(
    session: &Session,
    model: &Blip,
    split: &mut Split,
    examples: &[usize],
    material: &Material,
) -> Result<Vec<OwnAndOther>> {
    let examples = &examples[..examples.len().min(MOST)];
    if examples.len() < 2 {
        return Ok(Vec::new());
    }
    let _still = model.hold_still();
    split.features.prepare(session, model, examples)?;
    let batch_size = session.spec.recipe.training.batch_size.max(1);
    let mut found = Vec::with_capacity(examples.len());
    // Each batch is embedded once: its pictures stand beside their own captions, and one place on beside others.
    let mut batches = examples.chunks(batch_size).chain([&examples[..1]]).peekable();
    let mut coming = split.features.embeddings(model, &examples[..batch_size.min(examples.len())])?;
    while let (Some(indices), Some(next)) = (batches.next(), batches.peek()) {
        session.go_on()?;
        let pictures = coming;
        coming = split.features.embeddings(model, next)?;
        let pictures = Tensor::cat(&[&pictures, &coming.narrow(0, 0, 1)?], 0)?;
        let captions = material.batch(split.tokens, indices);
        let targets = targets(&captions, false);
        let [own, other] = model.logits_beside_next(&pictures, &captions)?;
        let losses = |logits: &Tensor| -> Result<Vec<f64>> {
            Ok(means(model.losses(logits, &targets, 0.0)?.to_vec1()?, &targets, &captions))
        };
        let expected = means(divergence(&own, &other)?, &targets, &captions);
        let rows = indices.iter().zip(losses(&own)?).zip(losses(&other)?).zip(expected);
        found.extend(rows.map(|(((index, own), other), expected)| OwnAndOther {
            image: split.examples[*index].image.clone(),
            own,
            other,
            expected_gain: Some(expected),
        }));
    }
    Ok(found)
}

/// The mean of each image's rows that have a target.
fn means(mut rows: Vec<f32>, targets: &Targets, captions: &TokenBatch) -> Vec<f64> {
    let pads = rows.iter_mut().zip(targets.iter()).filter(|(_, target)| target.is_none());
    pads.for_each(|(row, _)| *row = 0.0);
    of_images(&rows, targets, captions).into_iter().map(|(sum, n)| sum / n.max(1) as f64).collect()
}
