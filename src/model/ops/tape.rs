//! What the operations of a model share: how exactly they compute, and the tape by which gradients are found.
//!
//! candle keeps every value of a forward pass until the end, begins every gradient with zeros, and adds what an operation
//! returns into a third buffer: five times the memory traffic of writing it. Here an operation writes down on the tape how
//! it passes a gradient on, with only the values that this takes. Going back, the first to reach a value writes its
//! gradient, others add in place, and what was kept for an operation is freed behind it.
//!
//! Only operations of these modules are on the tape: to them, a view or a sum that candle makes of a result is a constant.
//! Forms composed of candle's operations are in candle's graph, as ever.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{Device, Error, Result, Shape, Tensor, TensorId, Var};
use rayon::prelude::*;

use super::buffer::{copied, zeros};
use super::product::Precision;
use super::shared_input::Inputs;
use super::slices::{is_fused, with_values};
use super::still::Packs;
use super::vector::vectorised;

/// Shared by all layers of a model.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    pub precision: Precision,
    /// Whether layers keep only what goes into them, and are computed again on the way back.
    pub recomputes: bool,
    /// Weights that stand still, packed.
    pub packs: Packs,
    /// Inputs that many layers take, packed.
    pub inputs: Inputs,
    /// There while gradients are being found.
    tape: Arc<Mutex<Option<Tape>>>,
}

impl Engine {
    pub fn new(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }

    /// A loss, and its gradients with respect to all variables that `forward` computes it from. Outside, operations keep
    /// nothing.
    pub fn gradients<E: From<Error>>(
        &self,
        forward: impl FnOnce() -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<(Tensor, GradStore), E> {
        *self.tape() = Some(Tape::default());
        let loss = forward();
        let tape = self.tape().take().unwrap_or_default();
        let loss = loss?;
        let gradients = tape.backward(&loss)?;
        Ok((loss, gradients))
    }

    /// What a layer makes of `inputs`. Where the engine recomputes, nothing else is kept of it: on the way back it is computed
    /// again, with the same bits (Chen et al., 2016, "Training Deep Nets with Sublinear Memory Cost").
    pub fn recomputed(
        &self,
        inputs: &[&Tensor],
        layer: impl Fn(&[Tensor]) -> Result<Tensor> + Send + 'static,
    ) -> Result<Tensor> {
        let inputs: Vec<Tensor> = inputs.iter().map(|input| (*input).clone()).collect();
        let outer = if self.recomputes { self.tape().take() } else { None };
        let Some(mut outer) = outer else { return layer(&inputs) };
        let is_reached = |input: &&Tensor| outer.reached.contains(&input.id());
        let reached: HashSet<TensorId> = inputs.iter().filter(is_reached).map(Tensor::id).collect();
        let computed = self.taped(reached.clone(), || layer(&inputs));
        if let Ok((ys, inner)) = &computed
            && inner.has_reached(ys)
        {
            let engine = self.clone();
            let pass_on = move |grads: Vec<f32>, to: &mut Gradients| {
                let (ys, inner) = engine.taped(reached, || layer(&inputs))?;
                to.values.insert(ys.id(), grads);
                inner.go_back(to)
            };
            outer.reached.insert(ys.id());
            outer.records.push(Record { output: ys.id(), pass_on: Box::new(pass_on) });
        }
        *self.tape() = Some(outer);
        Ok(computed?.0)
    }

    /// A result with a tape of its own, on which some of what it is computed from has been reached.
    fn taped(
        &self,
        reached: HashSet<TensorId>,
        forward: impl FnOnce() -> Result<Tensor>,
    ) -> Result<(Tensor, Tape)> {
        *self.tape() = Some(Tape { reached, ..Tape::default() });
        let ys = forward();
        let tape = self.tape().take().unwrap_or_default();
        Ok((ys?, tape))
    }

    /// Writes down how an operation passes the gradient of its output on, where it came from something that wants one.
    pub fn record(
        &self,
        inputs: &[&Tensor],
        output: &Tensor,
        pass_on: impl FnOnce(Vec<f32>, &mut Gradients) -> Result<()> + Send + 'static,
    ) {
        if let Some(tape) = &mut *self.tape()
            && inputs.iter().any(|input| tape.has_reached(input))
        {
            tape.reached.insert(output.id());
            tape.records.push(Record { output: output.id(), pass_on: Box::new(pass_on) });
        }
    }

    fn tape(&self) -> MutexGuard<'_, Option<Tape>> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operations of a forward pass, in order.
#[derive(Default)]
struct Tape {
    records: Vec<Record>,
    /// Results of operations that depend on a variable.
    reached: HashSet<TensorId>,
}

struct Record {
    output: TensorId,
    pass_on: PassOn,
}

type PassOn = Box<dyn FnOnce(Vec<f32>, &mut Gradients) -> Result<()> + Send>;

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} operations", self.records.len())
    }
}

impl Tape {
    fn has_reached(&self, tensor: &Tensor) -> bool {
        tensor.is_variable() || self.reached.contains(&tensor.id())
    }

    fn backward(self, loss: &Tensor) -> Result<GradStore> {
        let mut store = loss.backward()?;
        let mut gradients = Gradients { reached: self.reached.clone(), ..Gradients::default() };
        gradients.give(&loss.into(), vec![1.0; loss.elem_count()]);
        self.go_back(&mut gradients)?;
        for variable in gradients.variables {
            if let Some(values) = gradients.values.remove(&variable.id()) {
                store.insert(&variable, Tensor::from_vec(values, variable.shape(), variable.device())?);
            }
        }
        Ok(store)
    }

    /// Passes the gradients of results on to what they were computed from.
    fn go_back(self, gradients: &mut Gradients) -> Result<()> {
        gradients.reached.extend(self.reached);
        for Record { output, pass_on } in self.records.into_iter().rev() {
            if let Some(gradient) = gradients.values.remove(&output) {
                pass_on(gradient, gradients)?;
            }
        }
        Ok(())
    }
}

/// An input of an operation, without its values unless it is a variable.
#[derive(Debug, Clone)]
pub struct Input {
    id: TensorId,
    count: usize,
    variable: Option<Tensor>,
}

impl From<&Tensor> for Input {
    fn from(tensor: &Tensor) -> Self {
        let variable = tensor.is_variable().then(|| tensor.clone());
        Self { id: tensor.id(), count: tensor.elem_count(), variable }
    }
}

/// Gradients on their way back.
#[derive(Default)]
pub struct Gradients {
    reached: HashSet<TensorId>,
    values: HashMap<TensorId, Vec<f32>>,
    variables: Vec<Tensor>,
}

impl Gradients {
    /// Whether anyone wants the gradient of an input.
    pub fn wants(&self, input: &Input) -> bool {
        input.variable.is_some() || self.reached.contains(&input.id)
    }

    /// Lets `write` put the gradient of an input where it belongs: it overwrites zeros, or adds where its second argument
    /// says so. Not called where no one wants it.
    pub fn put(&mut self, input: &Input, write: impl FnOnce(&mut [f32], bool)) {
        if !self.wants(input) {
            return;
        }
        if let Some(values) = self.values.get_mut(&input.id) {
            return write(values, true);
        }
        let mut values = zeros(input.count);
        write(&mut values, false);
        self.insert(input, values);
    }

    /// The same where a gradient is made anew at once: `make` makes it, or `add` adds it to what is there.
    pub fn put_new(&mut self, input: &Input, make: impl FnOnce() -> Vec<f32>, add: impl FnOnce(&mut [f32])) {
        if !self.wants(input) {
            return;
        }
        match self.values.get_mut(&input.id) {
            Some(sums) => add(sums),
            None => self.insert(input, make()),
        }
    }

    /// The same with values that are there already.
    pub fn give(&mut self, input: &Input, values: Vec<f32>) {
        if !self.wants(input) {
            return;
        }
        match self.values.get_mut(&input.id) {
            Some(sums) => add_to(sums, &values),
            None => self.insert(input, values),
        }
    }

    fn insert(&mut self, input: &Input, values: Vec<f32>) {
        self.values.insert(input.id, values);
        self.variables.extend(input.variable.clone());
    }
}

/// Values of one task of a simple loop.
const CHUNK: usize = 16 * 1024;

fn add_to(sums: &mut [f32], values: &[f32]) {
    sums.par_chunks_mut(CHUNK).zip(values.par_chunks(CHUNK)).for_each(|(sums, values)| {
        vectorised!({
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        });
    });
}

/// The sum of two tensors of one shape.
pub fn add(a: &Tensor, b: &Tensor, engine: &Engine) -> Result<Tensor> {
    if !is_fused(a) {
        return a + b;
    }
    let sum = with_values([a, b], |[a, b]| {
        let mut sum = copied(a);
        add_to(&mut sum, b);
        Ok(sum)
    })?;
    let sum = Tensor::from_vec(sum, a.shape(), a.device())?;
    let inputs = [a, b].map(Input::from);
    engine.record(&[a, b], &sum, move |grads, to| {
        let [a, b] = &inputs;
        if to.wants(a) && to.wants(b) {
            to.give(b, copied(&grads));
            to.give(a, grads);
        } else {
            to.give(if to.wants(a) { a } else { b }, grads);
        }
        Ok(())
    });
    Ok(sum)
}

/// The same values in another shape.
pub fn reshape(xs: &Tensor, shape: impl Into<Shape>, engine: &Engine) -> Result<Tensor> {
    let xs = &xs.contiguous()?;
    let ys = xs.reshape(shape.into())?;
    let input = Input::from(xs);
    engine.record(&[xs], &ys, move |grads, to| {
        to.give(&input, grads);
        Ok(())
    });
    Ok(ys)
}

/// Anything that candle can differentiate; it is computed again for its gradient.
pub fn by_candle(
    xs: &Tensor,
    f: impl Fn(&Tensor) -> Result<Tensor> + Send + 'static,
    engine: &Engine,
) -> Result<Tensor> {
    if !is_fused(xs) {
        return f(xs);
    }
    let ys = f(&xs.detach())?;
    let (input, xs_again) = (Input::from(xs), xs.clone());
    engine.record(&[xs], &ys, move |grads, to| {
        let xs = Var::from_tensor(&xs_again)?;
        let ys = f(&xs)?;
        let grads = Tensor::from_vec(grads, ys.shape(), &Device::Cpu)?;
        let found = (ys * grads)?.sum_all()?.backward()?;
        if let Some(dxs) = found.get(&xs) {
            to.give(&input, dxs.flatten_all()?.to_vec1()?);
        }
        Ok(())
    });
    Ok(ys)
}
