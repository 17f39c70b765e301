//! Additive attention of states to the patches of their images (Bahdanau et al., 2015, "Neural Machine Translation by Jointly
//! Learning to Align and Translate"; Xu et al., 2015, "Show, Attend and Tell").
//!
//! A patch with key `k` scores `v . tanh(k + q)` under the query `q`; what is found is the mean of the patches' values
//! under the softmax of their scores. The values are constants here: frozen features, which want no gradient. Nothing the size of
//! keys is kept for the way back: the hyperbolic tangents are computed again.

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};
use super::vector::{add_in_order, dot, softmax, tanh, vectorised};

/// What each query (rows, size) finds in its image (rows, width). `keys` are (images, patches, size), `values` (images, patches,
/// width) and `scale` is `v`. Rows are grouped by image, the same number for each.
pub fn additive_attention(
    query: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    scale: &Tensor,
    engine: &Engine,
) -> Result<Tensor> {
    let sizes = Sizes::of(query, keys, values)?;
    if !is_fused(query) {
        return composed(query, keys, values, scale);
    }
    let (found, weights) = with_values([query, keys, values, scale], |[query, keys, values, scale]| {
        Ok(sizes.forward(query, keys, values, scale))
    })?;
    let found = Tensor::from_vec(found, (sizes.rows, sizes.width), query.device())?;
    let inputs = [query, keys, scale].map(Input::from);
    let kept = [query.clone(), keys.clone(), values.clone(), scale.clone()];
    engine.record(&[query, keys, scale], &found, move |grads, to| {
        let (dquery, dkeys, dscale) = with_values(kept.each_ref(), |[query, keys, values, scale]| {
            Ok(sizes.backward(query, keys, values, scale, &weights, &grads))
        })?;
        let [of_query, of_keys, of_scale] = &inputs;
        to.give(of_query, dquery);
        to.give(of_keys, dkeys);
        to.give(of_scale, dscale);
        Ok(())
    });
    Ok(found)
}

/// The same from candle's differentiable operations.
pub fn composed(query: &Tensor, keys: &Tensor, values: &Tensor, scale: &Tensor) -> Result<Tensor> {
    let Sizes { rows, images, patches, size, width } = Sizes::of(query, keys, values)?;
    let each = rows / images;
    let query = query.reshape((images, each, 1, size))?;
    let hidden = keys.unsqueeze(1)?.broadcast_add(&query)?.tanh()?;
    let scores = hidden.broadcast_mul(scale)?.sum(D::Minus1)?;
    let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let weights = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
    weights.reshape((images, each, patches))?.matmul(&values.detach().contiguous()?)?.reshape((rows, width))
}

#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    images: usize,
    patches: usize,
    /// Of queries and keys.
    size: usize,
    /// Of values.
    width: usize,
}

impl Sizes {
    fn of(query: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Self> {
        let ((rows, size), (images, patches, key)) = (query.dims2()?, keys.dims3()?);
        let (of_images, of_patches, width) = values.dims3()?;
        if images == 0
            || !rows.is_multiple_of(images)
            || key != size
            || (of_images, of_patches) != (images, patches)
        {
            candle_core::bail!(
                "attention of {:?} to keys {:?} and values {:?}",
                query.shape(),
                keys.shape(),
                values.shape()
            );
        }
        Ok(Self { rows, images, patches, size, width })
    }

    /// What is found, and the weights of the patches (rows, patches).
    fn forward(self, query: &[f32], keys: &[f32], values: &[f32], scale: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let Self { rows, images, patches, size, width } = self;
        let (mut found, mut weights) = (vec![0f32; rows * width], vec![0f32; rows * patches]);
        let each = rows / images;
        let of_rows = found.par_chunks_mut(width).zip(weights.par_chunks_mut(patches)).enumerate();
        of_rows.for_each(|(row, (found, weights))| {
            let image = row / each;
            let keys = &keys[image * patches * size..][..patches * size];
            let values = &values[image * patches * width..][..patches * width];
            let query = &query[row * size..][..size];
            let mut hidden = vec![0f32; size];
            vectorised!({
                for (weight, key) in weights.iter_mut().zip(keys.chunks_exact(size)) {
                    look(key, query, &mut hidden);
                    *weight = dot(scale, &hidden);
                }
                softmax(weights);
                for (weight, value) in weights.iter().zip(values.chunks_exact(width)) {
                    for (found, value) in found.iter_mut().zip(value) {
                        *found += weight * value;
                    }
                }
            });
        });
        (found, weights)
    }

    /// The gradients of queries, keys and scale.
    fn backward(
        self,
        query: &[f32],
        keys: &[f32],
        values: &[f32],
        scale: &[f32],
        weights: &[f32],
        grads: &[f32],
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let Self { rows, images, patches, size, width } = self;
        let each = rows / images;
        let (mut dquery, mut dkeys) = (vec![0f32; rows * size], vec![0f32; images * patches * size]);
        let of_images =
            dquery.par_chunks_mut(each * size).zip(dkeys.par_chunks_mut(patches * size)).enumerate();
        let partials = of_images.map(|(image, (dquery, dkeys))| {
            let keys = &keys[image * patches * size..][..patches * size];
            let values = &values[image * patches * width..][..patches * width];
            let (mut dscale, mut by_weight) = (vec![0f32; size], vec![0f32; patches]);
            let mut hidden = vec![0f32; size];
            for (of_image, dquery) in dquery.chunks_exact_mut(size).enumerate() {
                let row = image * each + of_image;
                let (query, grad) = (&query[row * size..][..size], &grads[row * width..][..width]);
                let weights = &weights[row * patches..][..patches];
                vectorised!({
                    for (by_weight, value) in by_weight.iter_mut().zip(values.chunks_exact(width)) {
                        *by_weight = dot(grad, value);
                    }
                    let mean = dot(weights, &by_weight);
                    for (patch, (weight, by_weight)) in weights.iter().zip(&by_weight).enumerate() {
                        let by_score = weight * (by_weight - mean);
                        let key = &keys[patch * size..][..size];
                        let dkey = &mut dkeys[patch * size..][..size];
                        look(key, query, &mut hidden);
                        learn(by_score, scale, &hidden, &mut dscale, dkey, dquery);
                    }
                });
            }
            dscale
        });
        let partials: Vec<Vec<f32>> = partials.collect();
        let dscale = add_in_order(partials, size);
        (dquery, dkeys, dscale)
    }
}

/// What a query and a key make of each other.
#[inline(always)]
fn look(key: &[f32], query: &[f32], hidden: &mut [f32]) {
    for ((hidden, key), query) in hidden.iter_mut().zip(key).zip(query) {
        *hidden = tanh(key + query);
    }
}

/// Adds to the gradients of scale, key and query. Slices that are known to be apart, of one length, make a loop that the
/// compiler vectorises.
#[inline(always)]
fn learn(
    by_score: f32,
    scale: &[f32],
    hidden: &[f32],
    dscale: &mut [f32],
    dkey: &mut [f32],
    dquery: &mut [f32],
) {
    let found = dscale.iter_mut().zip(dkey).zip(dquery);
    for (((dscale, dkey), dquery), (scale, hidden)) in found.zip(scale.iter().zip(hidden)) {
        let by_sum = by_score * scale * (1.0 - hidden * hidden);
        *dscale += by_score * hidden;
        *dkey += by_sum;
        *dquery += by_sum;
    }
}
