//! What the operations of a model share: how exactly they compute, and where the gradients of its weights go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId};

use super::product::Precision;
use super::slices::gradient;

/// Shared by all layers of a model.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    pub precision: Precision,
    /// Where the gradients of variables go; without it candle adds them up.
    pub gradients: Option<Arc<Gradients>>,
}

impl Engine {
    /// Computes with this precision, and collects the gradients of variables.
    pub fn new(precision: Precision) -> Self {
        Self { precision, gradients: Some(Arc::default()) }
    }

    /// The gradients of a loss with respect to all variables.
    pub fn backward(&self, loss: &Tensor) -> Result<GradStore> {
        // What an earlier backward left when it failed.
        self.gradients.iter().for_each(|gradients| drop(gradients.take()));
        let mut store = loss.backward()?;
        for (variable, values) in self.gradients.iter().flat_map(|gradients| gradients.take()) {
            let gradient = Tensor::from_vec(values, variable.shape(), variable.device())?;
            store.insert(&variable, gradient);
        }
        Ok(store)
    }

    /// The gradient of an argument for candle, in the backward of an operation; `None` where there is none, or where it is
    /// collected here. `write` puts it into a buffer of the argument's size: it overwrites, or adds where its second
    /// argument says so. What it adds to may be zeros.
    pub fn gradient_of(
        &self,
        argument: &Tensor,
        write: impl FnOnce(&mut [f32], bool),
    ) -> Result<Option<Tensor>> {
        if !argument.track_op() {
            return Ok(None);
        }
        if let Some(gradients) = self.gradients.as_deref().filter(|_| argument.is_variable()) {
            gradients.put(argument, write);
            return Ok(None);
        }
        let mut values = vec![0.0; argument.elem_count()];
        write(&mut values, false);
        gradient(values, argument).map(Some)
    }
}

/// Gradients of variables, each in one buffer.
///
/// candle begins every gradient with zeros and adds what an operation returns, into a third buffer: for a weight that is
/// five times the memory traffic of writing it. Here the first operation writes and others add in place, in the order of
/// the backward.
#[derive(Debug, Default)]
pub struct Gradients(Mutex<HashMap<TensorId, (Tensor, Vec<f32>)>>);

impl Gradients {
    fn put(&self, variable: &Tensor, write: impl FnOnce(&mut [f32], bool)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let adds = all.contains_key(&variable.id());
        let (_, values) =
            all.entry(variable.id()).or_insert_with(|| (variable.clone(), vec![0.0; variable.elem_count()]));
        write(values, adds);
    }

    fn take(&self) -> Vec<(Tensor, Vec<f32>)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all).into_values().collect()
    }
}
