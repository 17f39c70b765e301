//! Looks rows of a table up by token id, as `torch.nn.Embedding(padding_idx=...)`.
//!
//! The lookup of the padding token passes no gradient to its row; the tied output head still does.

use candle_core::{Result, Tensor};

use super::slices::{is_fused, with_values};
use super::tape::{Engine, Input};

/// Rows of `table` (vocabulary, width) at `ids`, of shape (ids, width).
///
/// # Errors
/// An id beyond the table.
pub fn embedding(table: &Tensor, ids: &[u32], padding_id: Option<u32>, engine: &Engine) -> Result<Tensor> {
    let rows = table.dim(0)?;
    if let Some(id) = ids.iter().find(|id| **id as usize >= rows) {
        candle_core::bail!("token id {id} is beyond the vocabulary of {rows}");
    }
    if !is_fused(table) {
        return composed(table, ids, padding_id);
    }
    let width = table.dim(1)?;
    let rows = with_values([table], |[table]| {
        let mut rows = Vec::with_capacity(ids.len() * width);
        for id in ids {
            rows.extend_from_slice(&table[*id as usize * width..][..width]);
        }
        Ok(rows)
    })?;
    let rows = Tensor::from_vec(rows, (ids.len(), width), table.device())?;
    let (input, ids) = (Input::from(table), ids.to_vec());
    engine.record(&[table], &rows, move |grads, to| {
        to.put(&input, |dtable, _| {
            for (id, grad) in ids.iter().zip(grads.chunks_exact(width)) {
                if Some(*id) != padding_id {
                    let row = &mut dtable[*id as usize * width..][..width];
                    row.iter_mut().zip(grad).for_each(|(sum, value)| *sum += value);
                }
            }
        });
        Ok(())
    });
    Ok(rows)
}

/// The same from candle's differentiable operations.
pub fn composed(table: &Tensor, ids: &[u32], padding_id: Option<u32>) -> Result<Tensor> {
    let rows = table.index_select(&Tensor::new(ids, table.device())?, 0)?;
    let Some(padding_id) = padding_id else { return Ok(rows) };
    let passes: Vec<f32> = ids.iter().map(|id| if *id == padding_id { 0.0 } else { 1.0 }).collect();
    let passes = Tensor::from_vec(passes, (ids.len(), 1), table.device())?.to_dtype(table.dtype())?;
    let stops = (1.0 - &passes)?;
    rows.broadcast_mul(&passes)? + rows.detach().broadcast_mul(&stops)?
}
