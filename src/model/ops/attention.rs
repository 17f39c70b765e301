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

use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::dropout::Drops;
use super::head::{Head, Place, Rules, Scratch, Sizes, columns, put_columns};
use super::product::Precision;
use super::slices::{contiguous, gradient, is_fused, output, with_values};

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
    precision: Precision,
) -> Result<Tensor> {
    check(q, k, heads, mask)?;
    if is_fused(q) {
        let op = Separate { rules: Rules { heads, mask: mask.clone(), drops, precision } };
        q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
    } else {
        composed(q, k, v, heads, mask, drops)
    }
}

/// Self-attention without a mask over `qkv` (batch, tokens, 3 x width): queries, keys and values side by side.
pub fn packed_attention(
    qkv: &Tensor,
    heads: usize,
    drops: Option<Drops>,
    precision: Precision,
) -> Result<Tensor> {
    let width = qkv.dim(D::Minus1)? / 3;
    if is_fused(qkv) {
        let mask = Mask::default();
        qkv.contiguous()?.apply_op1(Packed { rules: Rules { heads, mask, drops, precision } })
    } else {
        let part = |i| qkv.narrow(D::Minus1, i * width, width)?.contiguous();
        composed(&part(0)?, &part(1)?, &part(2)?, heads, &Mask::default(), drops)
    }
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
    let scores = (q.matmul(&k.t()?)? / (head_width as f64).sqrt())?;
    let seen = mask.tensor(batch, queries, keys, &scores)?;
    let scores = scores.broadcast_add(&((seen - 1.0)? * 1e9)?)?;
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

struct Separate {
    rules: Rules,
}

impl CustomOp3 for Separate {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, queries, width) = q_layout.shape().dims3()?;
        let keys = k_layout.shape().dims3()?.1;
        let sizes = Sizes { queries, keys, head_width: width / self.rules.heads };
        let q = contiguous(q, q_layout, self.name())?;
        let k = contiguous(k, k_layout, self.name())?;
        let v = contiguous(v, v_layout, self.name())?;
        let mut out = vec![0f32; q.len()];
        let elements = q.par_chunks(queries * width).zip(k.par_chunks(keys * width));
        let elements = elements.zip(v.par_chunks(keys * width)).zip(out.par_chunks_mut(queries * width));
        elements.enumerate().for_each(|(element, (((q, k), v), out))| {
            let mut scratch = Scratch::new(sizes, &self.rules);
            for (head, column) in (0..width).step_by(sizes.head_width).enumerate() {
                let place = Place { rules: &self.rules, element, head };
                let head = Head {
                    q: columns(q, column, width),
                    k: columns(k, column, width),
                    v: columns(v, column, width),
                };
                scratch.forward(head, place, &mut out[column..], width);
            }
        });
        output(out, q_layout.shape().clone())
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, queries, width) = q.dims3()?;
        let keys = k.dim(1)?;
        let sizes = Sizes { queries, keys, head_width: width / self.rules.heads };
        let mut dq = vec![0f32; batch * queries * width];
        let mut dk = vec![0f32; batch * keys * width];
        let mut dv = vec![0f32; batch * keys * width];
        with_values([q, k, v, grad], |[q, k, v, grad]| {
            let (per_query, per_key) = (queries * width, keys * width);
            let gradients = dq.par_chunks_mut(per_query).zip(dk.par_chunks_mut(per_key));
            let gradients = gradients.zip(dv.par_chunks_mut(per_key)).enumerate();
            gradients.for_each(|(element, ((dq, dk), dv))| {
                let mut scratch = Scratch::new(sizes, &self.rules);
                let of_queries = |xs, column| columns(element_of(xs, element, per_query), column, width);
                let of_keys = |xs, column| columns(element_of(xs, element, per_key), column, width);
                for (head, column) in (0..width).step_by(sizes.head_width).enumerate() {
                    let place = Place { rules: &self.rules, element, head };
                    let head =
                        Head { q: of_queries(q, column), k: of_keys(k, column), v: of_keys(v, column) };
                    let of_head = scratch.backward(head, place, of_queries(grad, column));
                    put_columns(&of_head.dq, sizes.head_width, dq, column, width);
                    put_columns(&of_head.dk, sizes.head_width, dk, column, width);
                    put_columns(&of_head.dv, sizes.head_width, dv, column, width);
                }
            });
            Ok(())
        })?;
        Ok((
            q.track_op().then(|| gradient(dq, q)).transpose()?,
            k.track_op().then(|| gradient(dk, k)).transpose()?,
            v.track_op().then(|| gradient(dv, v)).transpose()?,
        ))
    }
}

struct Packed {
    rules: Rules,
}

impl Packed {
    /// The head that begins at `column` of the queries, in one batch element's rows of `3 * width`.
    fn head(qkv: &[f32], column: usize, width: usize) -> Head<'_> {
        let part = |i: usize| columns(qkv, i * width + column, 3 * width);
        Head { q: part(0), k: part(1), v: part(2) }
    }
}

impl CustomOp1 for Packed {
    fn name(&self) -> &'static str {
        "packed-attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, tokens, packed) = layout.shape().dims3()?;
        let width = packed / 3;
        let sizes = Sizes { queries: tokens, keys: tokens, head_width: width / self.rules.heads };
        let qkv = contiguous(qkv, layout, self.name())?;
        let mut out = vec![0f32; batch * tokens * width];
        let elements = qkv.par_chunks(tokens * packed).zip(out.par_chunks_mut(tokens * width));
        elements.enumerate().for_each(|(element, (qkv, out))| {
            let mut scratch = Scratch::new(sizes, &self.rules);
            for (head, column) in (0..width).step_by(sizes.head_width).enumerate() {
                let place = Place { rules: &self.rules, element, head };
                scratch.forward(Self::head(qkv, column, width), place, &mut out[column..], width);
            }
        });
        output(out, (batch, tokens, width))
    }

    fn bwd(&self, qkv: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (batch, tokens, packed) = qkv.dims3()?;
        let width = packed / 3;
        let sizes = Sizes { queries: tokens, keys: tokens, head_width: width / self.rules.heads };
        let mut dqkv = vec![0f32; batch * tokens * packed];
        with_values([qkv, grad], |[qkv, grad]| {
            dqkv.par_chunks_mut(tokens * packed).enumerate().for_each(|(element, dqkv)| {
                let mut scratch = Scratch::new(sizes, &self.rules);
                let qkv = element_of(qkv, element, tokens * packed);
                let grad = element_of(grad, element, tokens * width);
                for (head, column) in (0..width).step_by(sizes.head_width).enumerate() {
                    let place = Place { rules: &self.rules, element, head };
                    let head = Self::head(qkv, column, width);
                    let of_head = scratch.backward(head, place, columns(grad, column, width));
                    let parts = [&of_head.dq, &of_head.dk, &of_head.dv];
                    for (i, part) in parts.into_iter().enumerate() {
                        put_columns(part, sizes.head_width, dqkv, i * width + column, packed);
                    }
                }
            });
            Ok(())
        })?;
        Ok(Some(gradient(dqkv, qkv)?))
    }
}

fn element_of(values: &[f32], element: usize, size: usize) -> &[f32] {
    &values[element * size..][..size]
}
