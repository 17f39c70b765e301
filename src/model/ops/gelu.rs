//! The Gaussian error linear unit, `x * Phi(x)` with the exact normal distribution function, as
//! `torch.nn.functional.gelu(approximate="none")`. Its derivative is `Phi(x) + x * phi(x)`.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::buffer::copied;
use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};
use super::vector::{erf, exp, replace, vectorised};

const CHUNK: usize = 16 * 1024;

/// Applies the unit to every value.
pub fn gelu(xs: &Tensor, engine: &Engine) -> Result<Tensor> {
    if !is_fused(xs) {
        return composed(xs);
    }
    let xs = xs.contiguous()?;
    let ys = with_values([&xs], |[xs]| Ok(forward(xs)))?;
    let ys = Tensor::from_vec(ys, xs.shape(), xs.device())?;
    let (input, kept) = (Input::from(&xs), xs.clone());
    engine.record(&[&xs], &ys, move |mut grads, to| {
        with_values([&kept], |[xs]| {
            through(xs, &mut grads);
            Ok(())
        })?;
        to.give(&input, grads);
        Ok(())
    });
    Ok(ys)
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
    vectorised!(replace(xs, gelu_of));
}

fn forward(xs: &[f32]) -> Vec<f32> {
    let mut ys = copied(xs);
    ys.par_chunks_mut(CHUNK).for_each(gelu_in_place);
    ys
}

/// Turns gradients of the results into gradients of the values.
fn through(xs: &[f32], grads: &mut [f32]) {
    const INV_SQRT_TAU: f32 = 0.398_942_3;
    xs.par_chunks(CHUNK).zip(grads.par_chunks_mut(CHUNK)).for_each(|(xs, grads)| {
        vectorised!({
            for (&x, grad) in xs.iter().zip(grads) {
                let phi = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
                *grad *= phi + x * INV_SQRT_TAU * exp(-0.5 * x * x);
            }
        });
    });
}
