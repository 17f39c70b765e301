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
        let ([a_reset, a_keep, a_new], [b_reset, b_keep, b_new]) = (parts(a, width), parts(b, width));
        let resets = a_reset.iter().zip(b_reset).zip(a_keep.iter().zip(b_keep));
        let states = a_new.iter().zip(b_new).zip(h.iter().zip(next));
        for (((a_reset, b_reset), (a_keep, b_keep)), ((a_new, b_new), (h, next))) in resets.zip(states) {
            let reset = sigmoid(a_reset + b_reset);
            let keep = sigmoid(a_keep + b_keep);
            let new = tanh(a_new + reset * b_new);
            *next = new + keep * (h - new);
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
        backward_row(a, b, h, grad, da, db, dh);
    }
}

/// Slices that are known to be apart, each cut to its length first, make a loop that the compiler vectorises.
#[inline(always)]
fn backward_row(
    a: &[f32],
    b: &[f32],
    h: &[f32],
    grad: &[f32],
    da: &mut [f32],
    db: &mut [f32],
    dh: &mut [f32],
) {
    let width = h.len();
    let ([a_reset, a_keep, a_new], [b_reset, b_keep, b_new]) = (parts(a, width), parts(b, width));
    let (grad, dh) = (&grad[..width], &mut dh[..width]);
    let (da_reset, da) = da.split_at_mut(width);
    let (da_keep, da_new) = da.split_at_mut(width);
    let (db_reset, db) = db.split_at_mut(width);
    let (db_keep, db_new) = db.split_at_mut(width);
    let (da_new, db_new) = (&mut da_new[..width], &mut db_new[..width]);
    for i in 0..width {
        let reset = sigmoid(a_reset[i] + b_reset[i]);
        let keep = sigmoid(a_keep[i] + b_keep[i]);
        let new = tanh(a_new[i] + reset * b_new[i]);
        let by_new = grad[i] * (1.0 - keep) * (1.0 - new * new);
        let by_keep = grad[i] * (h[i] - new) * keep * (1.0 - keep);
        let by_reset = by_new * b_new[i] * reset * (1.0 - reset);
        dh[i] = grad[i] * keep;
        (da_reset[i], db_reset[i]) = (by_reset, by_reset);
        (da_keep[i], db_keep[i]) = (by_keep, by_keep);
        (da_new[i], db_new[i]) = (by_new, by_new * reset);
    }
}

/// The three parts of a row of gates: reset, keep, new.
#[inline(always)]
fn parts(gates: &[f32], width: usize) -> [&[f32]; 3] {
    let (reset, gates) = gates.split_at(width);
    let (keep, new) = gates.split_at(width);
    [reset, keep, &new[..width]]
}
