//! Puts values in other places: steps behind one another, and a small vocabulary into a large one.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};

/// Steps (rows, width), one behind the other within each row: (rows x steps, width).
pub fn in_turn(steps: &[Tensor], engine: &Engine) -> Result<Tensor> {
    let Some(first) = steps.first() else { candle_core::bail!("there is no step") };
    let (rows, width) = first.dims2()?;
    let all: Vec<&Tensor> = steps.iter().collect();
    let joined = Tensor::stack(&all, 1)?.reshape((rows * steps.len(), width))?;
    if !is_fused(first) {
        return Ok(joined);
    }
    let joined = joined.detach();
    let inputs: Vec<Input> = all.iter().map(|step| Input::from(*step)).collect();
    engine.record(&all, &joined, move |grads, to| {
        for (step, input) in inputs.iter().enumerate() {
            let rows = grads.chunks_exact(width).skip(step).step_by(inputs.len());
            to.give(input, rows.flatten().copied().collect());
        }
        Ok(())
    });
    Ok(joined)
}

/// For each row of `xs` (rows, columns) the values at `places`: (rows, places). A place may be named again and again.
pub fn spread(xs: &Tensor, places: &[u32], engine: &Engine) -> Result<Tensor> {
    let (rows, columns) = xs.dims2()?;
    if let Some(place) = places.iter().find(|place| **place as usize >= columns) {
        candle_core::bail!("place {place} is beyond the {columns} columns");
    }
    if !is_fused(xs) {
        return xs.index_select(&Tensor::new(places, xs.device())?, 1);
    }
    let ys = with_values([xs], |[xs]| {
        let mut ys = vec![0f32; rows * places.len()];
        let of_rows = ys.par_chunks_mut(places.len().max(1)).zip(xs.par_chunks(columns.max(1)));
        of_rows.for_each(|(ys, xs)| {
            for (y, place) in ys.iter_mut().zip(places) {
                *y = xs[*place as usize];
            }
        });
        Ok(ys)
    })?;
    let ys = Tensor::from_vec(ys, (rows, places.len()), xs.device())?;
    let (input, places) = (Input::from(xs), places.to_vec());
    engine.record(&[xs], &ys, move |grads, to| {
        let mut dxs = vec![0f32; rows * columns];
        let of_rows = dxs.par_chunks_mut(columns.max(1)).zip(grads.par_chunks(places.len().max(1)));
        of_rows.for_each(|(dxs, grads)| {
            for (grad, place) in grads.iter().zip(&places) {
                dxs[*place as usize] += grad;
            }
        });
        to.give(&input, dxs);
        Ok(())
    });
    Ok(ys)
}
