//! Whether the model looks at the pictures: losses of references beside their own picture and beside another.

use anyhow::Result;

use super::Session;
use super::evaluate::{Split, of_images};
use super::material::Material;
use crate::model::Blip;
use crate::model::blip::targets;
use crate::model::ops::cross_entropy;
use crate::record::image_use::OwnAndOther;

/// Both losses of every example of the split that is evaluated; the other picture is that of the next example, and the
/// first's for the last. Nothing for a split of fewer than two.
pub fn measure(
    session: &Session,
    model: &Blip,
    split: &mut Split,
    material: &Material,
) -> Result<Vec<OwnAndOther>> {
    let observed = split.observed.clone();
    if observed.len() < 2 {
        return Ok(Vec::new());
    }
    let others: Vec<usize> = observed.iter().cycle().skip(1).take(observed.len()).copied().collect();
    let own = losses(session, model, split, material, &observed)?;
    let other = losses(session, model, split, material, &others)?;
    let name =
        |index: &usize| split.examples.get(*index).map_or_else(String::new, |example| example.image.clone());
    let rows = observed.iter().zip(own).zip(other);
    Ok(rows.map(|((index, own), other)| OwnAndOther { image: name(index), own, other }).collect())
}

/// Mean loss of each example's first caption, pads aside and without smoothing, beside the picture of the example in the
/// same place of `pictures`.
fn losses(
    session: &Session,
    model: &Blip,
    split: &mut Split,
    material: &Material,
    pictures: &[usize],
) -> Result<Vec<f64>> {
    let batch_size = session.spec.recipe.training.batch_size.max(1);
    let mut losses = Vec::with_capacity(pictures.len());
    let observed = split.observed.clone();
    for (indices, pictures) in observed.chunks(batch_size).zip(pictures.chunks(batch_size)) {
        session.go_on()?;
        let captions = material.batch(split.tokens, indices);
        let logits = model.logits(&split.features.embeddings(model, pictures)?, &captions)?;
        let targets = targets(&captions, false);
        let rows = cross_entropy(&logits, &targets, 0.0)?.to_vec1::<f32>()?;
        let images = of_images(&rows, &targets, &captions);
        losses.extend(images.into_iter().map(|(sum, n)| sum / n.max(1) as f64));
    }
    Ok(losses)
}
