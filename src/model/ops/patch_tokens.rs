//! The tokens of an image: the class token before its patches, and to each the embedding of its position.

use candle_core::{Result, Tensor};

use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};

/// Tokens (images, 1 + patches, width) from `patches` (images, patches, width), a `class` token (1, 1, width) and the
/// embeddings of all `positions` (1, 1 + patches, width).
pub fn patch_tokens(patches: &Tensor, class: &Tensor, positions: &Tensor, engine: &Engine) -> Result<Tensor> {
    if !is_fused(patches) {
        return composed(patches, class, positions);
    }
    let (images, count, width) = patches.dims3()?;
    let shape = (images, 1 + count, width);
    if positions.dims() != [1, 1 + count, width] {
        candle_core::bail!(
            "{count} patches of width {width} have positions of shape {:?}",
            positions.shape()
        );
    }
    let patches = patches.contiguous()?;
    let tokens = with_values([&patches, class, positions], |[patches, class, positions]| {
        let mut tokens = Vec::with_capacity(images * positions.len());
        for patches in patches.chunks_exact(count * width) {
            let values = class.iter().chain(patches).zip(positions);
            tokens.extend(values.map(|(value, position)| value + position));
        }
        Ok(tokens)
    })?;
    let tokens = Tensor::from_vec(tokens, shape, patches.device())?;
    let inputs = [&patches, class, positions].map(Input::from);
    engine.record(&[&patches, class, positions], &tokens, move |grads, to| {
        let [patches, class, positions] = &inputs;
        let of_images = || grads.chunks_exact((1 + count) * width);
        to.put(class, |sums, _| of_images().for_each(|grads| add(sums, &grads[..width])));
        to.put(positions, |sums, _| of_images().for_each(|grads| add(sums, grads)));
        to.put(patches, |sums, _| {
            let sums = sums.chunks_exact_mut(count * width).zip(of_images());
            sums.for_each(|(sums, grads)| add(sums, &grads[width..]));
        });
        Ok(())
    });
    Ok(tokens)
}

/// The same from candle's differentiable operations.
pub fn composed(patches: &Tensor, class: &Tensor, positions: &Tensor) -> Result<Tensor> {
    let class = class.broadcast_as((patches.dim(0)?, 1, class.dim(2)?))?;
    Tensor::cat(&[&class, patches], 1)?.broadcast_add(positions)
}

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}
