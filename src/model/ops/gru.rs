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

/// A loop makes one result: the compiler vectorises none that makes them all. Where the gates' gradients go, the gates lie first.
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
    let ([reset, keep, new], [db_reset, db_keep, db_new]) = (parts_mut(da, width), parts_mut(db, width));
    for ((reset, a), b) in reset.iter_mut().zip(a_reset).zip(b_reset) {
        *reset = sigmoid(a + b);
    }
    for ((keep, a), b) in keep.iter_mut().zip(a_keep).zip(b_keep) {
        *keep = sigmoid(a + b);
    }
    for (((new, a), b), reset) in new.iter_mut().zip(a_new).zip(b_new).zip(&*reset) {
        *new = tanh(a + reset * b);
    }
    for ((dh, grad), keep) in dh.iter_mut().zip(grad).zip(&*keep) {
        *dh = grad * keep;
    }
    for ((((by_keep, grad), h), new), keep) in db_keep.iter_mut().zip(grad).zip(h).zip(&*new).zip(&*keep) {
        *by_keep = grad * (h - new) * keep * (1.0 - keep);
    }
    for ((new, grad), keep) in new.iter_mut().zip(grad).zip(&*keep) {
        *new = grad * (1.0 - keep) * (1.0 - *new * *new);
    }
    let by_new = &*new;
    for ((by_both, by_new), reset) in db_new.iter_mut().zip(by_new).zip(&*reset) {
        *by_both = by_new * reset;
    }
    for ((reset, by_new), b) in reset.iter_mut().zip(by_new).zip(b_new) {
        *reset = by_new * b * *reset * (1.0 - *reset);
    }
    db_reset.copy_from_slice(reset);
    keep.copy_from_slice(db_keep);
}

/// The three parts of a row of gates: reset, keep, new.
#[inline(always)]
fn parts(gates: &[f32], width: usize) -> [&[f32]; 3] {
    let (reset, gates) = gates.split_at(width);
    let (keep, new) = gates.split_at(width);
    [reset, keep, &new[..width]]
}

#[inline(always)]
fn parts_mut(gates: &mut [f32], width: usize) -> [&mut [f32]; 3] {
    let (reset, gates) = gates.split_at_mut(width);
    let (keep, new) = gates.split_at_mut(width);
    [reset, keep, &mut new[..width]]
}
