//! AdamW with a learning rate of its own for each group, updated in place in one pass.
//!
//! Loshchilov and Hutter, 2019, in the form of `torch.optim.AdamW` (betas 0.9 and 0.999, eps 1e-8):
//! `p -= lr * decay * p`, `m += (1 - b1) (g - m)`, `v = b2 v + (1 - b2) g^2`,
//! `p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)`. Every tensor decays, biases and layer norms too,
//! unless they are spared.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var};
use rayon::prelude::*;

pub use super::moments::Moments;
use super::moments::{Kept, Update};
use crate::model::ops::slices::{is_fused, with_values};
use crate::model::ops::vector::vectorised;
use crate::model::weight_files::write_safetensors;
use crate::model::{Part, Weights};

/// Values that one task looks at.
const CHUNK: usize = 64 * 1024;

/// The parts of the model that have a learning rate of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Text,
    VisionLayers,
    /// Trainable tensors of the vision model outside its layers; empty unless everything trains.
    Other,
}

impl Group {
    fn of(name: &str) -> Self {
        match Part::of(name) {
            Part::Text => Self::Text,
            Part::VisionLayer(_) => Self::VisionLayers,
            Part::VisionOther => Self::Other,
        }
    }
}

/// Learning rates of the groups as multiples of the base rate.
#[derive(Debug, Clone, Copy)]
pub struct Multipliers {
    pub text: f64,
    pub vision: f64,
    pub other: f64,
}

impl Multipliers {
    fn of(&self, name: &str) -> f64 {
        match Group::of(name) {
            Group::Text => self.text,
            Group::VisionLayers => self.vision,
            Group::Other => self.other,
        }
    }
}

/// The optimizer and its state. Each trainable tensor is in exactly one group.
pub struct AdamW {
    slots: Vec<Slot>,
    /// Updates done.
    pub steps: usize,
}

struct Slot {
    name: String,
    var: Var,
    /// Its learning rate as a multiple of the base rate.
    multiplier: f64,
    weight_decay: f64,
    /// Updates that pass it by before its first.
    start: usize,
    moments: Mutex<Kept>,
}

impl AdamW {
    /// An optimizer over all trainable tensors of `weights`.
    pub fn new(weights: &Weights, weight_decay: f64, multipliers: Multipliers) -> Self {
        let slots = weights.trainable().iter().map(|(name, var)| {
            let moments = Mutex::new(Moments::zeros(var.elem_count()).into());
            Slot {
                name: name.clone(),
                var: var.clone(),
                multiplier: multipliers.of(name),
                weight_decay,
                start: 0,
                moments,
            }
        });
        Self { slots: slots.collect(), steps: 0 }
    }

    /// Multiplies the rate of each vision layer, of `depth` in all, by `decay` for every layer above it.
    pub fn with_layer_decay(mut self, decay: f64, depth: usize) -> Self {
        for slot in &mut self.slots {
            if let Part::VisionLayer(layer) = Part::of(&slot.name) {
                slot.multiplier *= decay.powi((depth - 1).saturating_sub(layer) as i32);
            }
        }
        self
    }

    /// Lets each vision layer, of `depth` in all, begin after as many updates as `start` says of it by how many layers are
    /// above it.
    pub fn with_starts(mut self, depth: usize, start: impl Fn(usize) -> usize) -> Self {
        for slot in &mut self.slots {
            if let Part::VisionLayer(layer) = Part::of(&slot.name) {
                slot.start = start((depth - 1).saturating_sub(layer));
            }
        }
        self
    }

    /// Those that take part in the next update.
    fn active(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.start <= self.steps)
    }

    /// Decays no tensor of one dimension: biases and layer norms, as `Trainer.get_decay_parameter_names` of transformers.
    pub fn sparing_norms_and_biases(mut self) -> Self {
        self.slots.iter_mut().filter(|slot| slot.var.rank() < 2).for_each(|slot| slot.weight_decay = 0.0);
        self
    }

    /// Names of the tensors in a group, sorted.
    pub fn names(&self, group: Group) -> Vec<&str> {
        self.slots
            .iter()
            .filter(|slot| Group::of(&slot.name) == group)
            .map(|slot| slot.name.as_str())
            .collect()
    }

    /// The Euclidean norm of the gradients together that take part in the next update, added up in the order of names.
    ///
    /// # Errors
    /// A trainable tensor without a gradient: the graph was cut somewhere.
    pub fn gradient_norm(&self, grads: &GradStore) -> Result<f64> {
        let mut total = 0.0;
        for slot in self.active() {
            total += sum_of_squares(slot.gradient(grads)?)?;
        }
        Ok(total.sqrt())
    }

    /// The gradients of two losses as those of their sum.
    ///
    /// # Errors
    /// A trainable tensor without a gradient in either.
    pub fn sum(&self, mut sum: GradStore, more: &GradStore) -> Result<GradStore> {
        for slot in &self.slots {
            let gradient = (slot.gradient(&sum)? + slot.gradient(more)?)?;
            sum.insert(&slot.var, gradient.detach());
        }
        Ok(sum)
    }

    /// One update at base rate `rate`, with gradients scaled by `scale` (for clipping).
    pub fn step(&mut self, grads: &GradStore, rate: f64, scale: f64) -> Result<()> {
        for slot in self.active() {
            let own_steps = self.steps + 1 - slot.start;
            let update = Update::new(rate * slot.multiplier, slot.weight_decay, own_steps, scale);
            update.make(&slot.var, &slot.gradient(grads)?.detach(), &mut slot.moments())?;
        }
        self.steps += 1;
        Ok(())
    }

    /// Values that it updates.
    pub fn count(&self) -> usize {
        self.slots.iter().map(|slot| slot.var.elem_count()).sum()
    }

    /// The moments by tensor name, to be saved.
    pub fn moments(&self) -> Result<BTreeMap<String, Moments>> {
        self.slots.iter().map(|slot| Ok((slot.name.clone(), slot.moments().to_host()?))).collect()
    }

    /// Writes the moments as a safetensors file, `first.NAME` and `second.NAME`. Tensor by tensor: a second copy of them
    /// all, and a third in bytes, would be the most memory that a run takes.
    pub fn write_moments(&self, out: &mut dyn Write) -> io::Result<()> {
        let of = |order: &'static str| {
            let shape = move |slot: &Slot| (format!("{order}.{}", slot.name), vec![slot.var.elem_count()]);
            self.slots.iter().map(shape)
        };
        let shapes: Vec<_> = of("first").chain(of("second")).collect();
        let mut values = |name: &str| {
            let (order, name) = name.split_once('.').unwrap_or_default();
            let slot = self.slots.iter().find(|slot| slot.name == name).ok_or(io::ErrorKind::NotFound)?;
            let which = if order == "first" { Kept::first } else { Kept::second };
            which(&slot.moments()).map_err(io::Error::other)
        };
        write_safetensors(out, None, &shapes, &mut values)
    }

    /// Takes saved moments over; false, and nothing is taken, if they are not those of the same tensors.
    pub fn restore(&mut self, steps: usize, mut saved: BTreeMap<String, Moments>) -> bool {
        let fits = |slot: &Slot| {
            let length = slot.var.elem_count();
            saved
                .get(&slot.name)
                .is_some_and(|moments| moments.first.len() == length && moments.second.len() == length)
        };
        if saved.len() != self.slots.len() || !self.slots.iter().all(fits) {
            return false;
        }
        for slot in &self.slots {
            if let Some(moments) = saved.remove(&slot.name) {
                *slot.moments() = moments.into();
            }
        }
        self.steps = steps;
        true
    }
}

impl Slot {
    fn moments(&self) -> MutexGuard<'_, Kept> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gradient<'a>(&self, grads: &'a GradStore) -> Result<&'a Tensor> {
        match grads.get(&self.var) {
            Some(gradient) => Ok(gradient),
            None => candle_core::bail!("no gradient reached the trainable tensor `{}`", self.name),
        }
    }
}

/// The factor that scales gradients of norm `norm` down to `max_norm`, as `torch.nn.utils.clip_grad_norm_`.
pub fn clip_scale(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

fn sum_of_squares(gradient: &Tensor) -> Result<f64> {
    if !is_fused(gradient) {
        return Ok(gradient.to_dtype(DType::F32)?.sqr()?.sum_all()?.to_scalar::<f32>()? as f64);
    }
    with_values([gradient], |[values]| {
        let partials: Vec<f64> =
            values.par_chunks(CHUNK).map(|values| vectorised!(squares(values))).collect();
        Ok(partials.iter().sum())
    })
}

/// In `f64`, which costs no time, since memory is slower: in `f32` the sum of a large tensor would be off in the
/// fifth digit.
#[inline(always)]
fn squares(values: &[f32]) -> f64 {
    let mut lanes = [0f64; 8];
    let chunks = values.chunks_exact(lanes.len());
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += *value as f64 * *value as f64;
        }
    }
    rest.iter().map(|value| *value as f64 * *value as f64).chain(lanes).sum()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::model::{Config, Unfrozen};

    /// A small model with so many vision layers unfrozen, and how many there are.
    fn tiny(unfrozen: usize) -> (Weights, usize) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/model/tiny");
        let depth = Config::load(folder.as_ref()).unwrap().vision.num_hidden_layers;
        let mut weights = Weights::load(folder.as_ref(), &Device::Cpu).unwrap();
        weights.unfreeze(Unfrozen::Last { vision_layers: unfrozen, text: true }, depth).unwrap();
        (weights, depth)
    }

    #[test]
    fn rates_fall_by_layer_and_what_has_one_dimension_can_be_spared() {
        let (weights, depth) = tiny(2);
        let multipliers = Multipliers { text: 1.0, vision: 0.5, other: 1.0 };
        let optimizer = AdamW::new(&weights, 0.1, multipliers).with_layer_decay(0.8, depth);
        for slot in &optimizer.slots {
            let wanted = match Part::of(&slot.name) {
                Part::VisionLayer(layer) => 0.5 * 0.8f64.powi((depth - 1 - layer) as i32),
                _ => 1.0,
            };
            assert!((slot.multiplier - wanted).abs() < 1e-12, "{}: {}", slot.name, slot.multiplier);
            assert_eq!(slot.weight_decay, 0.1);
        }
        let spared: Vec<Slot> = optimizer.sparing_norms_and_biases().slots;
        for slot in spared {
            let is_spared = slot.name.ends_with(".bias") || slot.name.to_lowercase().contains("norm");
            assert_eq!(slot.weight_decay == 0.0, is_spared, "{}", slot.name);
        }
    }

    /// Gradients of ones.
    fn ones(optimizer: &AdamW) -> GradStore {
        let mut store = GradStore::default();
        for slot in &optimizer.slots {
            store.insert(&slot.var, slot.var.ones_like().unwrap());
        }
        store
    }

    #[test]
    fn a_layer_that_begins_later_makes_its_first_update_as_any_other() {
        let (weights, depth) = tiny(2);
        let multipliers = Multipliers { text: 1.0, vision: 1.0, other: 1.0 };
        let mut optimizer = AdamW::new(&weights, 0.0, multipliers).with_starts(depth, |above| 2 * above);
        let is_lower = |slot: &Slot| Part::of(&slot.name) == Part::VisionLayer(depth - 2);
        let values = |optimizer: &AdamW, of_lower: bool| -> Vec<f32> {
            let slot = optimizer.slots.iter().find(|slot| is_lower(slot) == of_lower).unwrap();
            slot.var.flatten_all().unwrap().to_vec1().unwrap()
        };
        let (lower, other) = (values(&optimizer, true), values(&optimizer, false));
        let count = |optimizer: &AdamW, later: bool| -> usize {
            let counted = optimizer.slots.iter().filter(|slot| later || !is_lower(slot));
            counted.map(|slot| slot.var.elem_count()).sum()
        };
        for step in 0..3 {
            let norm = optimizer.gradient_norm(&ones(&optimizer)).unwrap();
            assert!((norm - (count(&optimizer, step == 2) as f64).sqrt()).abs() < 1e-6, "{step}: {norm}");
            optimizer.step(&ones(&optimizer), 0.01, 1.0).unwrap();
            assert_eq!(values(&optimizer, true) == lower, step < 2, "step {step}");
        }
        // Under equal gradients every update of Adam is one of the rate.
        let moved = |now: Vec<f32>, before: &[f32]| (before[0] - now[0]) as f64;
        assert!((moved(values(&optimizer, true), &lower) - 0.01).abs() < 1e-5);
        assert!((moved(values(&optimizer, false), &other) - 0.03).abs() < 1e-5);
    }

    #[test]
    fn gradients_of_a_sum_are_the_sums_of_gradients() {
        let (weights, _) = tiny(0);
        let optimizer = AdamW::new(&weights, 0.1, Multipliers { text: 1.0, vision: 1.0, other: 1.0 });
        let of = |value: f32| {
            let mut store = GradStore::default();
            for slot in &optimizer.slots {
                let ones = Tensor::full(value, slot.var.shape(), &Device::Cpu).unwrap();
                store.insert(&slot.var, ones);
            }
            store
        };
        let sum = optimizer.sum(of(1.0), &of(2.0)).unwrap();
        let values = optimizer.slots.iter().map(|slot| sum.get(&slot.var).unwrap().sum_all().unwrap());
        let total: f32 = values.map(|sum| sum.to_scalar::<f32>().unwrap()).sum();
        let count: usize = optimizer.slots.iter().map(|slot| slot.var.elem_count()).sum();
        assert_eq!(total, 3.0 * count as f32);
        assert!(optimizer.sum(of(1.0), &GradStore::default()).is_err(), "a gradient is missing");
    }
}
