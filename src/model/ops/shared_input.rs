//! An input of many linear layers, packed once.
//!
//! All layers of a decoder multiply the same embeddings of images by weights of their own, and on the way back by gradients
//! of their own. A product of rounded values begins by packing its operands: of an input that is known to be taken again, the
//! panels are kept.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{Tensor, TensorId};

use super::product::View;
use super::product::panels::{Format, Left, Panels, Right};

/// The inputs that are taken by many layers now. Clones are the same.
#[derive(Clone, Default)]
pub struct Inputs(Arc<Mutex<HashMap<TensorId, Arc<Packed>>>>);

/// An input is shared until this is dropped.
#[must_use]
pub struct Sharing(Inputs, TensorId);

/// Panels of an input, made when they are first asked for.
#[derive(Default)]
pub struct Packed {
    left: Mutex<Option<Arc<Left>>>,
    right: Mutex<Option<Arc<Right>>>,
}

impl Inputs {
    /// Says that several layers are about to take `xs`, which is no variable.
    pub fn share(&self, xs: &Tensor) -> Sharing {
        self.shared().entry(xs.id()).or_default();
        Sharing(self.clone(), xs.id())
    }

    /// The panels of an input that is shared.
    pub fn find(&self, xs: &Tensor) -> Option<Arc<Packed>> {
        self.shared().get(&xs.id()).cloned()
    }

    fn shared(&self) -> MutexGuard<'_, HashMap<TensorId, Arc<Packed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.0.shared().remove(&self.1);
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shared inputs", self.shared().len())
    }
}

impl Packed {
    /// The rows of an input as the left operand of a product by weights.
    pub fn left(&self, format: Format, xs: &[f32], width: usize) -> Arc<Left> {
        panels(&self.left, format, View::rows(xs, width).transposed(), width, xs.len() / width)
    }

    /// The same as the right operand of a product by gradients.
    pub fn right(&self, format: Format, xs: &[f32], width: usize) -> Arc<Right> {
        panels(&self.right, format, View::rows(xs, width), xs.len() / width, width)
    }
}

/// The panels that are kept, made if there are none. They are made without the lock: by all threads, none of which may wait
/// for it.
fn panels<const W: usize>(
    kept: &Mutex<Option<Arc<Panels<W>>>>,
    format: Format,
    matrix: View,
    depth: usize,
    columns: usize,
) -> Arc<Panels<W>> {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let found = lock().clone();
    found.unwrap_or_else(|| {
        let mut made = Panels::new(format);
        made.fill_in_parallel(matrix, depth, columns);
        lock().insert(Arc::new(made)).clone()
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::model::ops::product::{Precision, packed};
    use crate::model::ops::{Engine, linear};

    fn values(shape: (usize, usize), by: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.0 * shape.1).map(|i| (i as f32 * by).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// What two layers make of one input, and the gradients of all there is.
    fn of_two_layers(shares: bool) -> Vec<Vec<Vec<f32>>> {
        let engine = Engine::new(Precision::Bf16);
        let vars = [((45, 400), 0.3), ((33, 400), 0.5), ((70, 400), 0.9)];
        let [a, b, xs] = vars.map(|(shape, by)| Var::from_tensor(&values(shape, by)).unwrap());
        let (of_a, of_b) = (values((1, 45), 0.7), values((1, 33), 0.2));
        let (_, grads) = engine
            .gradients(|| {
                // A variable may change; what comes of it does not.
                let xs = crate::model::ops::gelu(&xs, &engine)?;
                let _shared = shares.then(|| engine.inputs.share(&xs));
                let a = linear(&xs, &a, &of_a.squeeze(0)?, &engine)?;
                let b = linear(&xs, &b, &of_b.squeeze(0)?, &engine)?;
                if shares && packed(engine.precision).is_some() {
                    let found = engine.inputs.find(&xs).expect("it is shared");
                    assert!(found.left.lock().unwrap().is_some(), "it was packed");
                }
                let sum = |xs: &Tensor| crate::model::ops::by_candle(xs, |xs| xs.sqr()?.sum_all(), &engine);
                crate::model::ops::add(&sum(&a)?, &sum(&b)?, &engine)
            })
            .unwrap();
        assert!(engine.inputs.shared().is_empty(), "nothing is kept");
        [a, b, xs].map(|var| grads.get(&var).unwrap().to_vec2().unwrap()).to_vec()
    }

    #[test]
    fn layers_have_the_same_bits_from_an_input_that_is_packed_once() {
        assert_eq!(of_two_layers(true), of_two_layers(false));
    }
}
