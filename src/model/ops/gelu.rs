//! The Gaussian error linear unit, `x * Phi(x)` with the exact normal distribution function, as
//! `torch.nn.functional.gelu(approximate="none")`. Its derivative is `Phi(x) + x * phi(x)`.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::slices::{contiguous, gradient, is_fused, output, with_values};
use super::vector::{erf, exp, vectorised};

const CHUNK: usize = 16 * 1024;

/// Applies the unit to every value.
pub fn gelu(xs: &Tensor) -> Result<Tensor> {
    if is_fused(xs) { xs.contiguous()?.apply_op1(Gelu) } else { composed(xs) }
}

/// The same from candle's differentiable operations.
pub fn composed(xs: &Tensor) -> Result<Tensor> {
    let phi = ((xs * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)?;
    (xs * phi)? * 0.5
}

#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Applies the unit to values that no one else needs, on this thread.
pub fn gelu_in_place(xs: &mut [f32]) {
    vectorised!({
        for x in xs {
            *x = gelu_of(*x);
        }
    });
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let xs = contiguous(xs, layout, self.name())?;
        let mut ys = vec![0f32; xs.len()];
        xs.par_chunks(CHUNK).zip(ys.par_chunks_mut(CHUNK)).for_each(|(xs, ys)| {
            vectorised!({
                for (y, x) in ys.iter_mut().zip(xs) {
                    *y = gelu_of(*x);
                }
            });
        });
        output(ys, layout.shape().clone())
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        const INV_SQRT_TAU: f32 = 0.398_942_3;
        let mut dxs = vec![0f32; xs.elem_count()];
        with_values([xs, grad], |[xs, grads]| {
            let chunks = xs.par_chunks(CHUNK).zip(grads.par_chunks(CHUNK)).zip(dxs.par_chunks_mut(CHUNK));
            chunks.for_each(|((xs, grads), dxs)| {
                vectorised!({
                    for ((dx, &x), &grad) in dxs.iter_mut().zip(xs).zip(grads) {
                        let phi = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
                        *dx = grad * (phi + x * INV_SQRT_TAU * exp(-0.5 * x * x));
                    }
                });
            });
            Ok(())
        })?;
        Ok(Some(gradient(dxs, xs)?))
    }
}
