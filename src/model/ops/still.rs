//! What is made of weights, kept for as long as they stand still.
//!
//! A product of rounded values begins by packing its operands. While a model is looked at, its weights are the same from batch to
//! batch and from token to token: packed once, they are read in half the bytes. Pictures that are looked at again are embedded once. Whoever looks says so with
//! [`Packs::hold`]; nothing is kept longer, since training changes weights in place.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{Result, Tensor, TensorId};

use super::product::panels::{Left, Panels, Right};
use super::product::{Precision, View, packed, rounded_values};
use super::slices::with_values;

/// What is made of a model's weights while someone holds them still. Clones are the same.
#[derive(Clone, Default)]
pub struct Packs(Arc<Mutex<Held>>);

type Kept<T> = HashMap<TensorId, Arc<T>>;

#[derive(Default)]
struct Held {
    holders: usize,
    lefts: Kept<Left>,
    rights: Kept<Right>,
    rounded: Kept<Vec<f32>>,
    results: HashMap<usize, Tensor>,
}

/// Weights stand still until this is dropped.
#[must_use]
pub struct Still(Packs);

impl Packs {
    /// Promises that no weight changes for as long as the result lives.
    pub fn hold(&self) -> Still {
        self.held().holders += 1;
        Still(self.clone())
    }

    /// A weight (out, in) as the left operand of a product. Nothing where no one holds it still, or products in this precision
    /// are not made from panels here.
    pub fn left(&self, weight: &Tensor, precision: Precision) -> Result<Option<Arc<Left>>> {
        self.panels(weight, precision, |held| &mut held.lefts)
    }

    /// The same transposed, as the right operand.
    pub fn right(&self, weight: &Tensor, precision: Precision) -> Result<Option<Arc<Right>>> {
        self.panels(weight, precision, |held| &mut held.rights)
    }

    /// The values of a weight as products round them where they are not made from panels.
    pub fn rounded(&self, weight: &Tensor, precision: Precision) -> Result<Arc<Vec<f32>>> {
        self.find(weight, |held| &mut held.rounded, |values| Ok(rounded_values(values, precision)))
    }

    /// What was made of the thing with this name.
    pub fn result(&self, name: usize) -> Option<Tensor> {
        self.held().results.get(&name).cloned()
    }

    /// Keeps what was made of the thing with this name, where weights stand still and no more than `most` results are kept.
    pub fn keep_result(&self, name: usize, most: usize, result: &Tensor) {
        let held = &mut *self.held();
        if held.holders > 0 && held.results.len() < most {
            held.results.insert(name, result.clone());
        }
    }

    fn panels<const W: usize>(
        &self,
        weight: &Tensor,
        precision: Precision,
        of: impl Fn(&mut Held) -> &mut Kept<Panels<W>>,
    ) -> Result<Option<Arc<Panels<W>>>> {
        let Some(format) = packed(precision).filter(|_| self.held().holders > 0) else { return Ok(None) };
        let packed = self.find(weight, of, |values| {
            let (outs, width) = weight.dims2()?;
            let mut packed = Panels::new(format);
            packed.fill_in_parallel(View::rows(values, width).transposed(), width, outs);
            Ok(packed)
        });
        packed.map(Some)
    }

    /// What is kept of a weight, made if there is nothing yet.
    fn find<T>(
        &self,
        weight: &Tensor,
        of: impl Fn(&mut Held) -> &mut Kept<T>,
        make: impl FnOnce(&[f32]) -> Result<T>,
    ) -> Result<Arc<T>> {
        if let Some(found) = of(&mut self.held()).get(&weight.id()) {
            return Ok(found.clone());
        }
        // Not under the lock: a thread that waits for others' parts may meanwhile be given work that asks for the same.
        let made = Arc::new(with_values([weight], |[values]| make(values))?);
        let held = &mut *self.held();
        if held.holders > 0 {
            of(held).insert(weight.id(), made.clone());
        }
        Ok(made)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Packs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        let kept = held.lefts.len() + held.rights.len() + held.rounded.len();
        write!(f, "{kept} weights for {} holders", held.holders)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let held = &mut *self.0.held();
        held.holders -= 1;
        if held.holders == 0 {
            *held = Held::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::model::ops::{Engine, linear};

    fn values(shape: (usize, usize), by: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.0 * shape.1).map(|i| (i as f32 * by).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn a_layer_has_the_same_bits_by_weights_packed_before_and_follows_them_once_they_move() {
        let engine = Engine::new(Precision::Bf16);
        let weight = Var::from_tensor(&values((45, 400), 0.3)).unwrap();
        let (seen, bias) = (weight.detach(), values((1, 45), 0.7).squeeze(0).unwrap());
        let xs = values((7, 400), 0.9);
        let layer = || linear(&xs, &seen, &bias, &engine).unwrap().to_vec2::<f32>().unwrap();
        let before = layer();
        let still = engine.packs.hold();
        assert_eq!(layer(), before);
        assert_eq!(layer(), before, "a second time");
        drop(engine.packs.hold());
        let kept = engine.packs.held().rights.len();
        assert_eq!(kept, usize::from(packed(Precision::Bf16).is_some()), "someone else still holds it");
        drop(still);
        weight.set(&values((45, 400), 0.5)).unwrap();
        let _still = engine.packs.hold();
        assert_ne!(layer(), before, "the weights have moved");
    }
}
