//! Looks at the images of a data set for an audit: a hash of each picture, and the frozen vision model's features.

use std::path::Path;

use anyhow::Context;
use candle_core::Device;

use super::exit::BadInput;
use crate::analysis::audit::{Picture, Pictures};
use crate::data::{Dataset, DifferenceHash, Example, read_each, with_rgb};
use crate::run::progress::Counter;
use crate::train::diagnostics::pairing::{Pairs, compare};
use crate::train::diagnostics::vectors::Vectors;
use crate::train::material::Pretrained;
use crate::train::nearest::{Seen, see};

/// At most so many images of a split are compared with those of another, all with all.
const MOST_COMPARED: usize = 1024;

/// The splits that an audit is about, training first.
fn splits(dataset: &Dataset) -> [&[Example]; 3] {
    [&dataset.train, &dataset.validation, &dataset.test]
}

/// The hashes of all images, split by split. Every image is decoded, so that all broken ones are named in one error.
pub fn hashes(dataset: &Dataset) -> anyhow::Result<Vec<DifferenceHash>> {
    let hash = |example: &Example| {
        with_rgb(&example.path, None, |picture| DifferenceHash::of(&picture))
            .map_err(|error| error.to_string())
    };
    Ok(read_each(splits(dataset).into_iter().flatten(), hash)?)
}

/// All images as the model in `folder` sees them before any training. Of each, one vector is kept.
pub fn look(
    folder: &Path,
    dataset: &Dataset,
    hashes: &[DifferenceHash],
    device: &Device,
) -> anyhow::Result<Pictures> {
    let cannot = || BadInput(format!("cannot look at the images with the model in {}", folder.display()));
    let pretrained = Pretrained::load(folder, device).with_context(cannot)?;
    let splits = splits(dataset);
    let mut counter = Counter::new(&format!("looking at {} images", hashes.len()), hashes.len());
    let heed = &mut |count| {
        counter.add(count);
        Ok(())
    };
    let seen = see(&pretrained, splits, device, heed).with_context(cannot)?;
    let [train, validation, test] = [0, 1, 2].map(|split| pairs(splits[split], &seen[split]));
    let pairing = compare(&train, &validation.and(test));
    let mut hashes = hashes.iter().copied();
    let mut pictures = |seen: Seen| -> Vec<Picture> {
        let seen = seen.directions.into_iter().zip(seen.nearest);
        seen.zip(hashes.by_ref())
            .map(|((direction, nearest), hash)| Picture { hash, direction, nearest })
            .collect()
    };
    let [train, validation, test] = seen;
    Ok(Pictures { train: pictures(train), validation: pictures(validation), test: pictures(test), pairing })
}

/// The first pictures of a split beside the words of their captions.
fn pairs(examples: &[Example], seen: &Seen) -> Pairs {
    let directions = &seen.directions[..seen.directions.len().min(MOST_COMPARED)];
    let width = directions.first().map_or(1, Vec::len);
    let values = directions.iter().flatten().copied().map(f64::from).collect();
    Pairs::new(Vectors::new(width, values), examples.iter().take(directions.len()))
}
