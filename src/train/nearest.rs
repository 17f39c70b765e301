//! Which training image looks most like another one to the frozen vision model: by the cosine of mean patch features.
//!
//! A run of the nearest image and an audit of images both ask here, and get the same answer.

use anyhow::{Result, ensure};
use candle_core::{D, Device, Tensor};

use super::diagnostics::patch_means;
use super::features::Features;
use super::material::Pretrained;
use crate::data::Example;
use crate::model::Blip;

/// Images encoded between two calls of `heed`.
const BATCH: usize = 16;
/// Images compared with all training images at once: the products of ten thousand images are not held together.
const ROWS: usize = 256;

/// Hears how many images were encoded just now; an error from it ends the work.
pub type Heed<'a> = dyn FnMut(usize) -> Result<()> + 'a;

/// Unit vectors (images, width): where the features of the first `count` images point. Features are the means of the
/// final image embeddings over the patches.
pub fn directions(model: &Blip, features: &mut Features, count: usize, heed: &mut Heed) -> Result<Tensor> {
    let indices: Vec<usize> = (0..count).collect();
    let mut rows = Vec::new();
    for indices in indices.chunks(BATCH) {
        rows.push(patch_means(&features.embeddings(model, indices)?)?);
        heed(indices.len())?;
    }
    ensure!(!rows.is_empty(), "there is no image to compare with");
    let rows = Tensor::cat(&rows, 0)?;
    Ok(rows.broadcast_div(&(rows.sqr()?.sum_keepdim(1)?.sqrt()? + 1e-12)?)?)
}

/// For each of the `wanted` directions the index of the nearest one that is known.
pub fn nearest(wanted: &Tensor, known: &Tensor) -> Result<Vec<usize>> {
    let known = known.t()?;
    let count = wanted.dim(0)?;
    let mut nearest = Vec::with_capacity(count);
    for start in (0..count).step_by(ROWS) {
        let rows = wanted.narrow(0, start, ROWS.min(count - start))?;
        let indices = rows.matmul(&known)?.argmax(D::Minus1)?.to_vec1::<u32>()?;
        nearest.extend(indices.into_iter().map(|index| index as usize));
    }
    Ok(nearest)
}

/// A split's images as the frozen vision model sees them: one entry an image.
#[derive(Debug, Default)]
pub struct Seen {
    pub directions: Vec<Vec<f32>>,
    /// Training images, by index.
    pub nearest: Vec<usize>,
}

/// Encodes every image of the splits, of which the first is the training split, and keeps no more than a direction of it.
pub fn see(
    pretrained: &Pretrained,
    splits: [&[Example]; 3],
    device: &Device,
    heed: &mut Heed,
) -> Result<[Seen; 3]> {
    let model = Blip::new(&pretrained.config, &pretrained.weights)?;
    let depth = pretrained.config.vision.num_hidden_layers;
    let mut look = |examples: &[Example]| {
        let mut features = Features::new(examples, pretrained, device, depth, 0);
        directions(&model, &mut features, examples.len(), heed)
    };
    let known = look(splits[0])?;
    let mut seen = <[Seen; 3]>::default();
    for (index, (seen, examples)) in seen.iter_mut().zip(splits).enumerate() {
        *seen = match index {
            // A training image is nearest to itself.
            0 => Seen { directions: known.to_vec2()?, nearest: (0..examples.len()).collect() },
            _ if examples.is_empty() => continue,
            _ => {
                let wanted = look(examples)?;
                Seen { directions: wanted.to_vec2()?, nearest: nearest(&wanted, &known)? }
            }
        };
    }
    Ok(seen)
}
