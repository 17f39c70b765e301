//! Layer normalisation over the last dimension: `y = (x - mean) / sqrt(var + eps) * weight + bias`, with the
//! biased variance, as `torch.nn.functional.layer_norm`.
//!
//! Backward, with `x^ = (x - mean) / std` and `h = g * weight` (Ba et al., 2016):
//! `dx = (h - mean(h) - x^ * mean(h * x^)) / std`, `dweight = sum(g * x^)`, `dbias = sum(g)` over rows.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::slices::{contiguous, gradient, is_fused, output, with_values};
use super::vector::{CHUNK_ROWS, add_in_order, sum, vectorised};

/// Normalises the last dimension of `xs`; `weight` and `bias` have that dimension's length.
pub fn layer_norm(xs: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    if is_fused(xs) {
        xs.contiguous()?.apply_op3(weight, bias, LayerNorm { eps: eps as f32 })
    } else {
        composed(xs, weight, bias, eps)
    }
}

/// The same from candle's differentiable operations.
pub fn composed(xs: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = xs.broadcast_sub(&xs.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normalised = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    normalised.broadcast_mul(weight)?.broadcast_add(bias)
}

struct LayerNorm {
    eps: f32,
}

impl LayerNorm {
    /// Mean and reciprocal standard deviation of a row.
    #[inline(always)]
    fn statistics(&self, row: &[f32]) -> (f32, f32) {
        let n = row.len() as f32;
        let mean = sum(row.len(), |i| row[i]) / n;
        let variance = sum(row.len(), |i| (row[i] - mean) * (row[i] - mean)) / n;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }

    fn forward_rows(&self, xs: &[f32], weight: &[f32], bias: &[f32], ys: &mut [f32]) {
        let width = weight.len();
        vectorised!({
            for (row, out) in xs.chunks_exact(width).zip(ys.chunks_exact_mut(width)) {
                let (mean, scale) = self.statistics(row);
                for i in 0..width {
                    out[i] = (row[i] - mean) * scale * weight[i] + bias[i];
                }
            }
        });
    }

    /// Writes `dx` and returns this chunk's share of `dweight` and `dbias`, one after the other.
    fn backward_rows(&self, xs: &[f32], weight: &[f32], grads: &[f32], dxs: &mut [f32]) -> Vec<f32> {
        let width = weight.len();
        let n = width as f32;
        let mut shares = vec![0f32; 2 * width];
        let (dweight, dbias) = shares.split_at_mut(width);
        vectorised!({
            let rows = xs.chunks_exact(width).zip(grads.chunks_exact(width));
            for ((row, grad), dx) in rows.zip(dxs.chunks_exact_mut(width)) {
                let (mean, scale) = self.statistics(row);
                let mean_h = sum(width, |i| grad[i] * weight[i]) / n;
                let mean_hx = sum(width, |i| grad[i] * weight[i] * ((row[i] - mean) * scale)) / n;
                for i in 0..width {
                    let normalised = (row[i] - mean) * scale;
                    dx[i] = (grad[i] * weight[i] - mean_h - normalised * mean_hx) * scale;
                    dweight[i] += grad[i] * normalised;
                    dbias[i] += grad[i];
                }
            }
        });
        shares
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let xs = contiguous(xs, xs_layout, self.name())?;
        let weight = contiguous(weight, weight_layout, self.name())?;
        let bias = contiguous(bias, bias_layout, self.name())?;
        let mut ys = vec![0f32; xs.len()];
        let chunk = CHUNK_ROWS * weight.len();
        xs.par_chunks(chunk)
            .zip(ys.par_chunks_mut(chunk))
            .for_each(|(xs, ys)| self.forward_rows(xs, weight, bias, ys));
        output(ys, xs_layout.shape().clone())
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _ys: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let width = weight.elem_count();
        let chunk = CHUNK_ROWS * width;
        let mut dxs = vec![0f32; xs.elem_count()];
        let shares: Vec<Vec<f32>> = with_values([xs, weight, grad], |[xs, weight, grads]| {
            let chunks = xs.par_chunks(chunk).zip(grads.par_chunks(chunk)).zip(dxs.par_chunks_mut(chunk));
            Ok(chunks.map(|((xs, grads), dxs)| self.backward_rows(xs, weight, grads, dxs)).collect())
        })?;
        let mut dweight = add_in_order(shares, 2 * width);
        let dbias = dweight.split_off(width);
        Ok((
            xs.track_op().then(|| gradient(dxs, xs)).transpose()?,
            weight.track_op().then(|| gradient(dweight, weight)).transpose()?,
            bias.track_op().then(|| gradient(dbias, bias)).transpose()?,
        ))
    }
}
