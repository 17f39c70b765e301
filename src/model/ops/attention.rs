//! Multi-head scaled dot-product attention: `softmax(q k^T / sqrt(d) + mask) v` for each head.
//!
//! Heads lie side by side in the last dimension, so nothing is transposed or copied: products read them with
//! strides. Only one head's scores exist at a time for each batch element. The backward computes them again:
//! with `P` the probabilities and `g` the gradient, `dV = P^T g`, `dS = P * (g V^T - rowsum(g * out))`,
//! `dQ = dS K / sqrt(d)`, `dK = dS^T Q / sqrt(d)` (Dao et al., 2022, appendix B).

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, Layout, Result, Shape, Tensor};
use gemm::Parallelism;
use rayon::prelude::*;

use super::linear::{View, product};
use super::slices::{contiguous, gradient, is_fused, output, with_values};
use super::vector::{softmax, sum, vectorised};

/// Which keys a query may see.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    /// A query sees no key after its own position.
    pub causal: bool,
    /// How many keys of each batch element are real; the rest is padding on the right.
    pub key_lengths: Option<Arc<Vec<usize>>>,
}

impl Mask {
    fn visible(&self, element: usize, query: usize, keys: usize) -> usize {
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

/// Attention of queries (batch, queries, width) over keys and values (batch, keys, width), in `heads` heads.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, mask: &Mask) -> Result<Tensor> {
    check(q, k, heads, mask)?;
    if is_fused(q) {
        let op = Separate { heads, mask: mask.clone() };
        q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
    } else {
        composed(q, k, v, heads, mask)
    }
}

/// Self-attention without a mask over `qkv` (batch, tokens, 3 x width): queries, keys and values side by side.
pub fn packed_attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let width = qkv.dim(D::Minus1)? / 3;
    if is_fused(qkv) {
        qkv.contiguous()?.apply_op1(Packed { heads })
    } else {
        let part = |i| qkv.narrow(D::Minus1, i * width, width)?.contiguous();
        composed(&part(0)?, &part(1)?, &part(2)?, heads, &Mask::default())
    }
}

/// The same as [`attention`] from candle's differentiable operations.
pub fn composed(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, mask: &Mask) -> Result<Tensor> {
    let (batch, queries, width) = q.dims3()?;
    let (keys, head_width) = (k.dim(1)?, width / heads);
    let split = |xs: &Tensor, n| xs.reshape((batch, n, heads, head_width))?.transpose(1, 2)?.contiguous();
    let (q, k, v) = (split(q, queries)?, split(k, keys)?, split(v, keys)?);
    let scores = (q.matmul(&k.t()?)? / (head_width as f64).sqrt())?;
    let seen = mask.tensor(batch, queries, keys, &scores)?;
    let scores = scores.broadcast_add(&((seen - 1.0)? * 1e9)?)?;
    let probabilities = candle_nn::ops::softmax(&scores, D::Minus1)?;
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

/// Sizes that all heads of a call share.
#[derive(Clone, Copy)]
struct Sizes {
    queries: usize,
    keys: usize,
    head_width: usize,
}

/// Queries, keys and values of one head of one batch element.
#[derive(Clone, Copy)]
struct Head<'a> {
    q: View<'a>,
    k: View<'a>,
    v: View<'a>,
}

impl Sizes {
    fn scale(&self) -> f32 {
        1.0 / (self.head_width as f32).sqrt()
    }

    /// Fills `scores` (queries, keys) with the probabilities of one head.
    fn probabilities(&self, head: Head, mask: &Mask, element: usize, scores: &mut [f32]) {
        let Self { queries, keys, head_width } = *self;
        let shape = (queries, head_width, keys);
        product(shape, head.q, head.k.transposed(), self.scale(), scores, keys, false, Parallelism::None);
        vectorised(|| {
            for (query, row) in scores.chunks_exact_mut(keys).enumerate() {
                let (seen, unseen) = row.split_at_mut(mask.visible(element, query, keys));
                softmax(seen);
                unseen.fill(0.0);
            }
        });
    }

    /// Writes one head's result into `out`, whose rows lie `stride` apart.
    fn forward(
        &self,
        head: Head,
        mask: &Mask,
        element: usize,
        scores: &mut [f32],
        out: &mut [f32],
        stride: usize,
    ) {
        self.probabilities(head, mask, element, scores);
        let left = View::rows(scores, self.keys);
        let shape = (self.queries, self.keys, self.head_width);
        product(shape, left, head.v, 1.0, out, stride, false, Parallelism::None);
    }
}

/// Space for the backward of one head, reused from head to head.
struct Scratch {
    probabilities: Vec<f32>,
    dscores: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

impl Scratch {
    fn new(sizes: Sizes) -> Self {
        let (scores, queries) = (sizes.queries * sizes.keys, sizes.queries * sizes.head_width);
        let keys = sizes.keys * sizes.head_width;
        Self {
            probabilities: vec![0.0; scores],
            dscores: vec![0.0; scores],
            dq: vec![0.0; queries],
            dk: vec![0.0; keys],
            dv: vec![0.0; keys],
        }
    }

    /// Fills `dq`, `dk` and `dv` of one head from its result and the gradient of that.
    fn backward(&mut self, sizes: Sizes, head: Head, mask: &Mask, element: usize, out: View, grad: View) {
        let Sizes { queries, keys, head_width } = sizes;
        sizes.probabilities(head, mask, element, &mut self.probabilities);
        let p = View::rows(&self.probabilities, keys);
        let one = Parallelism::None;
        product((keys, queries, head_width), p.transposed(), grad, 1.0, &mut self.dv, head_width, false, one);
        let shape = (queries, head_width, keys);
        product(shape, grad, head.v.transposed(), 1.0, &mut self.dscores, keys, false, one);
        vectorised(|| {
            let rows = self.dscores.chunks_exact_mut(keys).zip(self.probabilities.chunks_exact(keys));
            for (query, (dscores, probabilities)) in rows.enumerate() {
                let out = &out.values[query * out.row_stride..][..head_width];
                let grad = &grad.values[query * grad.row_stride..][..head_width];
                let mean = sum(head_width, |i| out[i] * grad[i]);
                for (dscore, probability) in dscores.iter_mut().zip(probabilities) {
                    *dscore = probability * (*dscore - mean);
                }
            }
        });
        let (ds, scale) = (View::rows(&self.dscores, keys), sizes.scale());
        product((queries, keys, head_width), ds, head.k, scale, &mut self.dq, head_width, false, one);
        product(
            (keys, queries, head_width),
            ds.transposed(),
            head.q,
            scale,
            &mut self.dk,
            head_width,
            false,
            one,
        );
    }
}

/// A view of the columns from `column` on of a matrix whose rows lie `stride` apart.
fn columns(values: &[f32], column: usize, stride: usize) -> View<'_> {
    View { values: &values[column..], row_stride: stride, column_stride: 1 }
}

/// Copies rows of `width` values into the columns from `column` on of `out`.
fn put_columns(rows: &[f32], width: usize, out: &mut [f32], column: usize, stride: usize) {
    for (row, out) in rows.chunks_exact(width).zip(out.chunks_mut(stride)) {
        out[column..column + width].copy_from_slice(row);
    }
}

struct Separate {
    heads: usize,
    mask: Mask,
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
        let sizes = Sizes { queries, keys, head_width: width / self.heads };
        let q = contiguous(q, q_layout, self.name())?;
        let k = contiguous(k, k_layout, self.name())?;
        let v = contiguous(v, v_layout, self.name())?;
        let mut out = vec![0f32; q.len()];
        let elements = q.par_chunks(queries * width).zip(k.par_chunks(keys * width));
        let elements = elements.zip(v.par_chunks(keys * width)).zip(out.par_chunks_mut(queries * width));
        elements.enumerate().for_each(|(element, (((q, k), v), out))| {
            let mut scores = vec![0f32; queries * keys];
            for column in (0..width).step_by(sizes.head_width) {
                let head = Head {
                    q: columns(q, column, width),
                    k: columns(k, column, width),
                    v: columns(v, column, width),
                };
                sizes.forward(head, &self.mask, element, &mut scores, &mut out[column..], width);
            }
        });
        output(out, q_layout.shape().clone())
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, queries, width) = q.dims3()?;
        let keys = k.dim(1)?;
        let sizes = Sizes { queries, keys, head_width: width / self.heads };
        let mut dq = vec![0f32; batch * queries * width];
        let mut dk = vec![0f32; batch * keys * width];
        let mut dv = vec![0f32; batch * keys * width];
        with_values([q, k, v, out, grad], |[q, k, v, out, grad]| {
            let (per_query, per_key) = (queries * width, keys * width);
            let gradients = dq.par_chunks_mut(per_query).zip(dk.par_chunks_mut(per_key));
            let gradients = gradients.zip(dv.par_chunks_mut(per_key)).enumerate();
            gradients.for_each(|(element, ((dq, dk), dv))| {
                let mut scratch = Scratch::new(sizes);
                let of_queries = |xs, column| columns(element_of(xs, element, per_query), column, width);
                let of_keys = |xs, column| columns(element_of(xs, element, per_key), column, width);
                for column in (0..width).step_by(sizes.head_width) {
                    let head =
                        Head { q: of_queries(q, column), k: of_keys(k, column), v: of_keys(v, column) };
                    let (out, grad) = (of_queries(out, column), of_queries(grad, column));
                    scratch.backward(sizes, head, &self.mask, element, out, grad);
                    put_columns(&scratch.dq, sizes.head_width, dq, column, width);
                    put_columns(&scratch.dk, sizes.head_width, dk, column, width);
                    put_columns(&scratch.dv, sizes.head_width, dv, column, width);
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
    heads: usize,
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
        let sizes = Sizes { queries: tokens, keys: tokens, head_width: width / self.heads };
        let qkv = contiguous(qkv, layout, self.name())?;
        let mut out = vec![0f32; batch * tokens * width];
        let elements = qkv.par_chunks(tokens * packed).zip(out.par_chunks_mut(tokens * width));
        elements.for_each(|(qkv, out)| {
            let mut scores = vec![0f32; tokens * tokens];
            for column in (0..width).step_by(sizes.head_width) {
                let head = Self::head(qkv, column, width);
                sizes.forward(head, &Mask::default(), 0, &mut scores, &mut out[column..], width);
            }
        });
        output(out, (batch, tokens, width))
    }

    fn bwd(&self, qkv: &Tensor, out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (batch, tokens, packed) = qkv.dims3()?;
        let width = packed / 3;
        let sizes = Sizes { queries: tokens, keys: tokens, head_width: width / self.heads };
        let mut dqkv = vec![0f32; batch * tokens * packed];
        with_values([qkv, out, grad], |[qkv, out, grad]| {
            dqkv.par_chunks_mut(tokens * packed).enumerate().for_each(|(element, dqkv)| {
                let mut scratch = Scratch::new(sizes);
                let qkv = element_of(qkv, element, tokens * packed);
                let of_out = |xs, column| columns(element_of(xs, element, tokens * width), column, width);
                for column in (0..width).step_by(sizes.head_width) {
                    let head = Self::head(qkv, column, width);
                    scratch.backward(
                        sizes,
                        head,
                        &Mask::default(),
                        0,
                        of_out(out, column),
                        of_out(grad, column),
                    );
                    let parts = [&scratch.dq, &scratch.dk, &scratch.dv];
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
