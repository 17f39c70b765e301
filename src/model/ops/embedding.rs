//! Looks rows of a table up by token id, as `torch.nn.Embedding(padding_idx=...)`.
//!
//! The lookup of the padding token passes no gradient to its row; the tied output head still does.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::engine::Engine;
use super::slices::{contiguous, is_fused, output, with_values};

/// Rows of `table` (vocabulary, width) at `ids`, of shape (ids, width).
///
/// # Errors
/// An id beyond the table.
pub fn embedding(table: &Tensor, ids: &[u32], padding_id: Option<u32>, engine: &Engine) -> Result<Tensor> {
    let rows = table.dim(0)?;
    if let Some(id) = ids.iter().find(|id| **id as usize >= rows) {
        candle_core::bail!("token id {id} is beyond the vocabulary of {rows}");
    }
    if is_fused(table) {
        table.apply_op1(Embedding { ids: ids.to_vec(), padding_id, engine: engine.clone() })
    } else {
        composed(table, ids, padding_id)
    }
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

struct Embedding {
    ids: Vec<u32>,
    padding_id: Option<u32>,
    engine: Engine,
}

impl CustomOp1 for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.shape().dims2()?.1;
        let table = contiguous(table, layout, self.name())?;
        let mut rows = Vec::with_capacity(self.ids.len() * width);
        for id in &self.ids {
            rows.extend_from_slice(&table[*id as usize * width..][..width]);
        }
        output(rows, (self.ids.len(), width))
    }

    fn bwd(&self, table: &Tensor, _rows: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = table.dim(1)?;
        with_values([grad], |[grads]| {
            self.engine.gradient_of(table, |dtable, _| {
                for (id, grad) in self.ids.iter().zip(grads.chunks_exact(width)) {
                    if Some(*id) != self.padding_id {
                        let row = &mut dtable[*id as usize * width..][..width];
                        row.iter_mut().zip(grad).for_each(|(sum, value)| *sum += value);
                    }
                }
            })
        })
    }
}
