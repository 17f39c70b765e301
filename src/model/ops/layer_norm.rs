//! Layer normalisation over the last dimension: `y = (x - mean) / sqrt(var + eps) * weight + bias`, with the
//! biased variance, as `torch.nn.functional.layer_norm`.
//!
//! Backward, with `x^ = (x - mean) / std` and `h = g * weight` (Ba et al., 2016):
//! `dx = (h - mean(h) - x^ * mean(h * x^)) / std`, `dweight = sum(g * x^)`, `dbias = sum(g)` over rows.

use candle_core::{D, Result, Tensor};
use rayon::prelude::*;

use super::buffer::zeros;
use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};
use super::vector::{CHUNK_ROWS, add_in_order, dot, sum, sum_of_triples, vectorised};

/// Normalises the last dimension of `xs`; `weight` and `bias` have that dimension's length.
pub fn layer_norm(xs: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64, engine: &Engine) -> Result<Tensor> {
    if !is_fused(xs) {
        return composed(xs, weight, bias, eps);
    }
    let (xs, norm) = (xs.contiguous()?, LayerNorm { eps: eps as f32 });
    let ys = with_values([&xs, weight, bias], |[xs, weight, bias]| Ok(norm.forward(xs, weight, bias)))?;
    let ys = Tensor::from_vec(ys, xs.shape(), xs.device())?;
    let inputs = [&xs, weight, bias].map(Input::from);
    let kept = [xs.clone(), weight.clone()];
    engine.record(&[&xs, weight, bias], &ys, move |grads, to| {
        let [of_xs, of_weight, of_bias] = &inputs;
        let (mut dweight, dxs) =
            with_values(kept.each_ref(), |[xs, weight]| Ok(norm.backward(xs, weight, grads)))?;
        let dbias = dweight.split_off(dweight.len() / 2);
        to.give(of_weight, dweight);
        to.give(of_bias, dbias);
        to.give(of_xs, dxs);
        Ok(())
    });
    Ok(ys)
}

/// The same from candle's differentiable operations.
pub fn composed(xs: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = xs.broadcast_sub(&xs.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normalised = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    normalised.broadcast_mul(weight)?.broadcast_add(bias)
}

#[derive(Clone, Copy)]
struct LayerNorm {
    eps: f32,
}

impl LayerNorm {
    /// Mean and reciprocal standard deviation of a row.
    #[inline(always)]
    fn statistics(&self, row: &[f32]) -> (f32, f32) {
        let n = row.len() as f32;
        let mean = sum(row, |x| x) / n;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / n;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }

    fn forward(&self, xs: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut ys = zeros(xs.len());
        let chunk = CHUNK_ROWS * weight.len();
        xs.par_chunks(chunk)
            .zip(ys.par_chunks_mut(chunk))
            .for_each(|(xs, ys)| self.forward_rows(xs, weight, bias, ys));
        ys
    }

    /// The gradients of weight and bias, one after the other, and that of the values in place of their own.
    fn backward(&self, xs: &[f32], weight: &[f32], mut grads: Vec<f32>) -> (Vec<f32>, Vec<f32>) {
        let chunk = CHUNK_ROWS * weight.len();
        let chunks = xs.par_chunks(chunk).zip(grads.par_chunks_mut(chunk));
        let shares = chunks.map(|(xs, grads)| self.backward_rows(xs, weight, grads)).collect();
        (add_in_order(shares, 2 * weight.len()), grads)
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

    /// Puts `dx` in place of the gradients, and returns this chunk's share of `dweight` and `dbias`, one after the other.
    fn backward_rows(&self, xs: &[f32], weight: &[f32], grads: &mut [f32]) -> Vec<f32> {
        let width = weight.len();
        let n = width as f32;
        let mut shares = vec![0f32; 2 * width];
        let (dweight, dbias) = shares.split_at_mut(width);
        vectorised!({
            for (row, grad) in xs.chunks_exact(width).zip(grads.chunks_exact_mut(width)) {
                let (mean, scale) = self.statistics(row);
                let mean_h = dot(grad, weight) / n;
                let mean_hx = sum_of_triples(grad, weight, row, |g, w, x| g * w * ((x - mean) * scale)) / n;
                for i in 0..width {
                    let normalised = (row[i] - mean) * scale;
                    dweight[i] += grad[i] * normalised;
                    dbias[i] += grad[i];
                    grad[i] = (grad[i] * weight[i] - mean_h - normalised * mean_hx) * scale;
                }
            }
        });
        shares
    }
}
