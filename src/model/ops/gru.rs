//! One step of a gated recurrent unit, as `torch.nn.GRUCell` (Cho et al., 2014, "Learning Phrase Representations using RNN
//! Encoder-Decoder").
//!
//! With `a` and `b` the linear maps of input and state, each of three parts:
//! `r = sigmoid(a_r + b_r)`, `z = sigmoid(a_z + b_z)`, `n = tanh(a_n + r b_n)`, and the new state is `(1 - z) n + z h`.

use candle_core::{Result, Tensor};

use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};
use super::vector::{sigmoid, tanh, vectorised};

/// The next state (rows, width), from the maps of input and state (rows, 3 width) and the state.
pub fn gru_cell(of_input: &Tensor, of_state: &Tensor, state: &Tensor, engine: &Engine) -> Result<Tensor> {
    if !is_fused(state) {
        return composed(of_input, of_state, state);
    }
    let (rows, width) = state.dims2()?;
    if of_input.dims2()? != (rows, 3 * width) || of_state.dims2()? != (rows, 3 * width) {
        candle_core::bail!("gates of {:?} and {:?} for {rows} states of {width}", of_input, of_state);
    }
    let next = with_values([of_input, of_state, state], |[a, b, h]| {
        let mut next = vec![0f32; h.len()];
        vectorised!(forward(a, b, h, width, &mut next));
        Ok(next)
    })?;
    let next = Tensor::from_vec(next, (rows, width), state.device())?;
    let inputs = [of_input, of_state, state].map(Input::from);
    let kept = [of_input.clone(), of_state.clone(), state.clone()];
    engine.record(&[of_input, of_state, state], &next, move |grads, to| {
        let mut found = [vec![0f32; 3 * grads.len()], vec![0f32; 3 * grads.len()], vec![0f32; grads.len()]];
        with_values(kept.each_ref(), |[a, b, h]| {
            let [da, db, dh] = &mut found;
            vectorised!(backward(a, b, h, width, &grads, (da, db, dh)));
            Ok(())
        })?;
        for (input, found) in inputs.iter().zip(found) {
            to.give(input, found);
        }
        Ok(())
    });
    Ok(next)
}

/// The same from candle's differentiable operations.
pub fn composed(of_input: &Tensor, of_state: &Tensor, state: &Tensor) -> Result<Tensor> {
    let width = state.dim(1)?;
    let part = |gates: &Tensor, number: usize| gates.narrow(1, number * width, width);
    let sigmoid = |xs: Tensor| ((xs.neg()?.exp()? + 1.0)?).recip();
    let reset = sigmoid((part(of_input, 0)? + part(of_state, 0)?)?)?;
    let keep = sigmoid((part(of_input, 1)? + part(of_state, 1)?)?)?;
    let new = (part(of_input, 2)? + (reset * part(of_state, 2)?)?)?.tanh()?;
    &new + (keep * (state - &new)?)?
}

#[inline(always)]
fn forward(a: &[f32], b: &[f32], h: &[f32], width: usize, next: &mut [f32]) {
    let rows = a.chunks_exact(3 * width).zip(b.chunks_exact(3 * width)).zip(h.chunks_exact(width));
    for (((a, b), h), next) in rows.zip(next.chunks_exact_mut(width)) {
        for i in 0..width {
            let reset = sigmoid(a[i] + b[i]);
            let keep = sigmoid(a[width + i] + b[width + i]);
            let new = tanh(a[2 * width + i] + reset * b[2 * width + i]);
            next[i] = new + keep * (h[i] - new);
        }
    }
}

#[inline(always)]
fn backward(
    a: &[f32],
    b: &[f32],
    h: &[f32],
    width: usize,
    grads: &[f32],
    (da, db, dh): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let rows = a.chunks_exact(3 * width).zip(b.chunks_exact(3 * width)).zip(h.chunks_exact(width));
    let found = da.chunks_exact_mut(3 * width).zip(db.chunks_exact_mut(3 * width));
    let found = found.zip(dh.chunks_exact_mut(width)).zip(grads.chunks_exact(width));
    for (((a, b), h), (((da, db), dh), grad)) in rows.zip(found) {
        for i in 0..width {
            let of_new = b[2 * width + i];
            let reset = sigmoid(a[i] + b[i]);
            let keep = sigmoid(a[width + i] + b[width + i]);
            let new = tanh(a[2 * width + i] + reset * of_new);
            let by_new = grad[i] * (1.0 - keep) * (1.0 - new * new);
            let by_keep = grad[i] * (h[i] - new) * keep * (1.0 - keep);
            let by_reset = by_new * of_new * reset * (1.0 - reset);
            dh[i] = grad[i] * keep;
            (da[i], db[i]) = (by_reset, by_reset);
            (da[width + i], db[width + i]) = (by_keep, by_keep);
            (da[2 * width + i], db[2 * width + i]) = (by_new, by_new * reset);
        }
    }
}
