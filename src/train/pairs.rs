//! Looks at what a run's pictures have to do with their captions: see [`super::diagnostics::pairing`].

use anyhow::Result;

use super::diagnostics::pairing::{Pairs, compare};
use super::diagnostics::patch_means;
use super::diagnostics::vectors::Vectors;
use super::evaluate::Split;
use super::features::ENCODE_BATCH;
use super::fine_tune::Bench;
use super::image_use::MOST;
use super::observed::training_images;
use crate::record::recipe::Kind;

/// Writes down whether the training captions belong to their pictures as the others do, by the states at the frozen
/// boundary. Not of a control whose captions are shuffled: that they do not is the point of it.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let session = bench.session;
    if session.spec.recipe.kind == Kind::ShuffledCaptions {
        return Ok(());
    }
    let trained = training_images(session, bench.train.examples.len(), MOST);
    let [validated, tested] =
        [&bench.validation, &bench.test].map(|split| (0..split.examples.len()).collect::<Vec<usize>>());
    let validated = &validated[..validated.len().min(MOST)];
    let tested = &tested[..tested.len().min(MOST - validated.len())];
    let Bench { observer, pretrained, train, validation, test, .. } = bench;
    let width = pretrained.config.vision.hidden_size;
    let look = |split: &mut Split, images: &[usize]| -> Result<Pairs> {
        let mut values = Vec::new();
        for images in images.chunks(ENCODE_BATCH) {
            session.go_on()?;
            let means = patch_means(&split.features.states(observer, images)?)?;
            values.extend(means.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from));
        }
        let examples = images.iter().map(|index| &split.examples[*index]);
        Ok(Pairs::new(Vectors::new(width, values), examples))
    };
    let unseen = look(validation, validated)?.and(look(test, tested)?);
    let train = look(train, &trained)?;
    if let Some(found) = compare(&train, &unseen) {
        session.directory.write_diagnostic(&found)?;
    }
    Ok(())
}
