//! Multi-head scaled dot-product attention: `softmax(q k^T / sqrt(d) + mask) v` for each head.
//!
//! Heads lie side by side in the last dimension, so nothing is transposed or copied: products read them with
//! strides. Only scores of one head exist at a time for each batch element. The backward computes them again:
//! with `P` the probabilities and `g` the gradient, `dV = P^T g`, `dP = g V^T`, `dS = P * (dP - rowsum(P * dP))`,
//! `dQ = dS K / sqrt(d)`, `dK = dS^T Q / sqrt(d)` (Dao et al., 2022, appendix B). The sum is over `P * dP` rather
//! than the equal `g * out`: a query that sees a single key then has a gradient of exactly 0, as in PyTorch.
//!
//! Dropout with factors `M` (0 or `1 / (1 - rate)`) uses `P * M` in place of `P` for the result and `dV`, and
//! `dP = M * g V^T`; the factors are drawn again in the backward.

use std::sync::Arc;

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::buffer::zeros;
use super::dropout::Drops;
use super::head::{Head, Place, Rules, Scratch, Sizes, columns, put_columns};
use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};

/// Which keys a query may see.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    /// A query sees no key after its own position.
    pub causal: bool,
    /// How many keys of each batch element are real; the rest is padding on the right.
    pub key_lengths: Option<Arc<Vec<usize>>>,
}

impl Mask {
    /// How many keys a query of a batch element sees.
    pub fn visible(&self, element: usize, query: usize, keys: usize) -> usize {
        let real = self.key_lengths.as_ref().map_or(keys, |lengths| lengths[element].min(keys));
        if self.causal { real.min(query + 1) } else { real }
    }

    /// Whether there are keys that a query may not see. To write out for an accelerator that all are seen takes longer than to look.
    fn hides_some(&self) -> bool {
        self.causal || self.key_lengths.is_some()
    }

    /// The mask as a tensor of 0 and 1, of shape (batch, 1, queries, keys).
    fn tensor(&self, batch: usize, queries: usize, keys: usize, like: &Tensor) -> Result<Tensor> {
        let mut values = Vec::with_capacity(batch * queries * keys);
        for element in 0..batch {
            for query in 0..queries {
                let visible = self.visible(element, query, keys);
                values.extend((0..keys).map(|key| f32::from(key < visible)));
            }
        }
        Tensor::from_vec(values, (batch, 1, queries, keys), like.device())?.to_dtype(like.dtype())
    }
}

/// Attention of queries (batch, queries, width) over keys and values (batch, keys, width), in `heads` heads;
/// `drops` are the dropout of its probabilities.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: &Mask,
    drops: Option<Drops>,
    engine: &Engine,
) -> Result<Tensor> {
    check(q, k, heads, mask)?;
    if !is_fused(q) {
        return composed(q, k, v, heads, mask, drops);
    }
    let (_, queries, width) = q.dims3()?;
    let sizes = Sizes { queries, keys: k.dim(1)?, head_width: width / heads };
    let rules = Rules { heads, mask: mask.clone(), drops, precision: engine.precision };
    let op = Separate { rules, sizes };
    let [q, k, v] = [q.contiguous()?, k.contiguous()?, v.contiguous()?];
    let out = with_values([&q, &k, &v], |[q, k, v]| Ok(op.forward(q, k, v)))?;
    let out = Tensor::from_vec(out, q.shape(), q.device())?;
    let (inputs, kept) = ([&q, &k, &v].map(Input::from), [q.clone(), k.clone(), v.clone()]);
    engine.record(&[&q, &k, &v], &out, move |grads, to| {
        let gradients = with_values(kept.each_ref(), |[q, k, v]| Ok(op.backward(q, k, v, &grads)))?;
        inputs.iter().zip(gradients).for_each(|(input, values)| to.give(input, values));
        Ok(())
    });
    Ok(out)
}

/// Self-attention without a mask over `qkv` (batch, tokens, 3 x width): queries, keys and values side by side.
pub fn packed_attention(qkv: &Tensor, heads: usize, drops: Option<Drops>, engine: &Engine) -> Result<Tensor> {
    let width = qkv.dim(D::Minus1)? / 3;
    let mask = Mask::default();
    if !is_fused(qkv) {
        let part = |i| qkv.narrow(D::Minus1, i * width, width)?.contiguous();
        return composed(&part(0)?, &part(1)?, &part(2)?, heads, &mask, drops);
    }
    let (batch, tokens, _) = qkv.dims3()?;
    let sizes = Sizes { queries: tokens, keys: tokens, head_width: width / heads };
    let op = Packed { rules: Rules { heads, mask, drops, precision: engine.precision }, sizes };
    let qkv = qkv.contiguous()?;
    let out = with_values([&qkv], |[qkv]| Ok(op.forward(qkv)))?;
    let out = Tensor::from_vec(out, (batch, tokens, width), qkv.device())?;
    let (input, kept) = (Input::from(&qkv), qkv.clone());
    engine.record(&[&qkv], &out, move |grads, to| {
        let dqkv = with_values([&kept], |[qkv]| Ok(op.backward(qkv, &grads)))?;
        to.give(&input, dqkv);
        Ok(())
    });
    Ok(out)
}

/// The same as [`attention`] from candle's differentiable operations.
pub fn composed(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: &Mask,
    drops: Option<Drops>,
) -> Result<Tensor> {
    let (batch, queries, width) = q.dims3()?;
    let (keys, head_width) = (k.dim(1)?, width / heads);
    let split = |xs: &Tensor, n| xs.reshape((batch, n, heads, head_width))?.transpose(1, 2)?.contiguous();
    let (q, k, v) = (split(q, queries)?, split(k, keys)?, split(v, keys)?);
    let mut scores = (q.matmul(&k.t()?)? / (head_width as f64).sqrt())?;
    if mask.hides_some() {
        let seen = mask.tensor(batch, queries, keys, &scores)?;
        scores = scores.broadcast_add(&((seen - 1.0)? * 1e9)?)?;
    }
    let mut probabilities = candle_nn::ops::softmax(&scores, D::Minus1)?;
    if let Some(drops) = drops {
        let factors = drops.all_factors(batch * heads, queries * keys);
        let factors = Tensor::from_vec(factors, (batch, heads, queries, keys), scores.device())?;
        probabilities = (probabilities * factors.to_dtype(scores.dtype())?)?;
    }
    probabilities.matmul(&v)?.transpose(1, 2)?.reshape((batch, queries, width))
}

fn check(q: &Tensor, k: &Tensor, heads: usize, mask: &Mask) -> Result<()> {
    let (batch, _, width) = q.dims3()?;
    if width % heads != 0 || k.dim(2)? != width || k.dim(0)? != batch {
        candle_core::bail!("attention in {heads} heads of {:?} over {:?}", q.shape(), k.shape());
    }
    if let Some(lengths) = &mask.key_lengths
        && (lengths.len() != batch || lengths.contains(&0))
    {
        candle_core::bail!("attention over {batch} sequences with key lengths {lengths:?}");
    }
    Ok(())
}

/// Queries, keys and values in tensors of their own.
struct Separate {
    rules: Rules,
    sizes: Sizes,
}

impl Separate {
    fn forward(&self, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
        let Self { rules, sizes } = self;
        let width = rules.heads * sizes.head_width;
        let (per_query, per_key) = (sizes.queries * width, sizes.keys * width);
        let mut out = zeros(q.len());
        let elements = q.par_chunks(per_query).zip(k.par_chunks(per_key));
        let elements = elements.zip(v.par_chunks(per_key)).zip(out.par_chunks_mut(per_query));
        elements.enumerate().for_each(|(element, (((q, k), v), out))| {
            let mut scratch = Scratch::new(*sizes, rules);
            for (head, column) in (0..width).step_by(sizes.head_width).enumerate() {
                let place = Place { rules, element, head };
                let head = Head {
                    q: columns(q, column, width),
                    k: columns(k, column, width),
                    v: columns(v, column, width),
                };
                scratch.forward(head, place, &mut out[column..], width);
            }
        });
        out
    }

    /// The gradients of queries, keys and values from that of the result.
    fn backward(&self, q: &[f32], k: &[f32], v: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
        let Self { rules, sizes } = self;
        let width = rules.heads * sizes.head_width;
        let (per_query, per_key) = (sizes.queries * width, sizes.keys * width);
        let [mut dq, mut dk, mut dv] = [q, k, v].map(|values| zeros(values.len()));
        let gradients = dq.par_chunks_mut(per_query).zip(dk.par_chunks_mut(per_key));
        let gradients = gradients.zip(dv.par_chunks_mut(per_key)).enumerate();
        gradients.for_each(|(element, ((dq, dk), dv))| {
            let mut scratch = Scratch::new(*sizes, rules);
            let of_queries = |xs, column| columns(element_of(xs, element, per_query), column, width);
            let of_keys = |xs, column| columns(element_of(xs, element, per_key), column, width);
            for (head, column) in (0..width).step_by(sizes.head_width).enumerate() {
                let place = Place { rules, element, head };
                let head = Head { q: of_queries(q, column), k: of_keys(k, column), v: of_keys(v, column) };
                let of_head = scratch.backward(head, place, of_queries(grad, column));
                put_columns(&of_head.dq, sizes.head_width, dq, column, width);
                put_columns(&of_head.dk, sizes.head_width, dk, column, width);
                put_columns(&of_head.dv, sizes.head_width, dv, column, width);
            }
        });
        [dq, dk, dv]
    }
}

/// Queries, keys and values of a token side by side.
struct Packed {
    rules: Rules,
    sizes: Sizes,
}

impl Packed {
    /// The head that begins at `column` of the queries, in one batch element's rows of `3 * width`.
    fn head(qkv: &[f32], column: usize, width: usize) -> Head<'_> {
        let part = |i: usize| columns(qkv, i * width + column, 3 * width);
        Head { q: part(0), k: part(1), v: part(2) }
    }

    fn forward(&self, qkv: &[f32]) -> Vec<f32> {
        let Self { rules, sizes } = self;
        let width = rules.heads * sizes.head_width;
        let per_element = sizes.queries * width;
        let mut out = zeros(qkv.len() / 3);
        let elements = qkv.par_chunks(3 * per_element).zip(out.par_chunks_mut(per_element));
        elements.enumerate().for_each(|(element, (qkv, out))| {
            let mut scratch = Scratch::new(*sizes, rules);
            for (head, column) in (0..width).step_by(sizes.head_width).enumerate() {
                let place = Place { rules, element, head };
                scratch.forward(Self::head(qkv, column, width), place, &mut out[column..], width);
            }
        });
        out
    }

    fn backward(&self, qkv: &[f32], grad: &[f32]) -> Vec<f32> {
        let Self { rules, sizes } = self;
        let width = rules.heads * sizes.head_width;
        let per_element = sizes.queries * width;
        let mut dqkv = zeros(qkv.len());
        dqkv.par_chunks_mut(3 * per_element).enumerate().for_each(|(element, dqkv)| {
            let mut scratch = Scratch::new(*sizes, rules);
            let qkv = element_of(qkv, element, 3 * per_element);
            let grad = element_of(grad, element, per_element);
            for (head, column) in (0..width).step_by(sizes.head_width).enumerate() {
                let place = Place { rules, element, head };
                let of_head =
                    scratch.backward(Self::head(qkv, column, width), place, columns(grad, column, width));
                let parts = [&of_head.dq, &of_head.dk, &of_head.dv];
                for (i, part) in parts.into_iter().enumerate() {
                    put_columns(part, sizes.head_width, dqkv, i * width + column, 3 * width);
                }
            }
        });
        dqkv
    }
}

fn element_of(values: &[f32], element: usize, size: usize) -> &[f32] {
    &values[element * size..][..size]
}
