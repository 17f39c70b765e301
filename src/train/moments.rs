//! What AdamW keeps of each tensor, and one update of it.
//!
//! In main memory an update is one pass over values, gradients and moments. On an accelerator it is composed of tensor
//! operations, and the moments lie beside the values: main memory is far away from there, and to send a model of 250
//! million values to and fro takes longer than its step.

use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var};
use rayon::prelude::*;

use crate::model::ops::slices::{contiguous, is_fused};
use crate::model::ops::vector::vectorised;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;
/// Values that one task updates.
const CHUNK: usize = 64 * 1024;

/// Running means of the gradient and of its square.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl Moments {
    /// Those of a tensor of so many values before its first update.
    pub fn zeros(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count] }
    }
}

/// The moments of a tensor, where its values are once it has been updated.
#[derive(Debug)]
pub(super) enum Kept {
    Host(Moments),
    Device([Tensor; 2]),
}

impl From<Moments> for Kept {
    fn from(moments: Moments) -> Self {
        Self::Host(moments)
    }
}

impl Kept {
    pub fn first(&self) -> Result<Vec<f32>> {
        match self {
            Self::Host(moments) => Ok(moments.first.clone()),
            Self::Device([first, _]) => first.flatten_all()?.to_vec1(),
        }
    }

    pub fn second(&self) -> Result<Vec<f32>> {
        match self {
            Self::Host(moments) => Ok(moments.second.clone()),
            Self::Device([_, second]) => second.flatten_all()?.to_vec1(),
        }
    }

    pub fn to_host(&self) -> Result<Moments> {
        Ok(Moments { first: self.first()?, second: self.second()? })
    }

    /// Both as tensors like `values`.
    fn beside(&self, values: &Tensor) -> Result<[Tensor; 2]> {
        match self {
            Self::Device(moments) => Ok(moments.clone()),
            Self::Host(Moments { first, second }) => {
                let beside = |moment: &[f32]| Tensor::from_slice(moment, values.shape(), values.device());
                Ok([beside(first)?, beside(second)?])
            }
        }
    }
}

/// The numbers of one update, as PyTorch rounds them.
pub(super) struct Update {
    keep: f32,
    scale: f32,
    step_size: f32,
    root_correction: f32,
}

impl Update {
    pub fn new(rate: f64, weight_decay: f64, step: usize, scale: f64) -> Self {
        let step = step as i32;
        Self {
            keep: (1.0 - rate * weight_decay) as f32,
            scale: scale as f32,
            step_size: (rate / (1.0 - BETA1.powi(step))) as f32,
            root_correction: (1.0 - BETA2.powi(step)).sqrt() as f32,
        }
    }

    /// Updates a variable and its moments by a gradient.
    pub fn make(&self, var: &Var, gradient: &Tensor, moments: &mut Kept) -> Result<()> {
        match moments {
            Kept::Host(moments) if is_fused(gradient) => {
                let op = InPlace { update: self, moments: Mutex::new(moments) };
                var.inplace_op2(&gradient.contiguous()?, &op)
            }
            _ => self.make_composed(var, gradient, moments),
        }
    }

    #[inline(always)]
    fn apply(&self, values: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32]) {
        let (one_less_beta1, beta2, one_less_beta2) =
            ((1.0 - BETA1) as f32, BETA2 as f32, (1.0 - BETA2) as f32);
        for i in 0..values.len() {
            let gradient = gradients[i] * self.scale;
            first[i] += one_less_beta1 * (gradient - first[i]);
            second[i] = second[i] * beta2 + one_less_beta2 * gradient * gradient;
            let denominator = second[i].sqrt() / self.root_correction + EPS as f32;
            values[i] = values[i] * self.keep - self.step_size * (first[i] / denominator);
        }
    }

    /// The same from tensor operations, but for the last digit.
    fn make_composed(&self, var: &Var, gradient: &Tensor, moments: &mut Kept) -> Result<()> {
        let values = var.as_tensor().detach();
        let [first, second] = moments.beside(&values)?;
        let gradient = (gradient * f64::from(self.scale))?;
        let first = (&first + ((&gradient - &first)? * (1.0 - BETA1))?)?;
        let second = ((second * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
        let denominator = ((second.sqrt()? / f64::from(self.root_correction))? + EPS)?;
        let step = ((&first / denominator)? * f64::from(self.step_size))?;
        var.set(&((values * f64::from(self.keep))? - step)?)?;
        *moments = Kept::Device([first, second]);
        Ok(())
    }
}

struct InPlace<'a> {
    update: &'a Update,
    moments: Mutex<&'a mut Moments>,
}

impl InplaceOp2 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        values: &mut CpuStorage,
        layout: &Layout,
        gradients: &CpuStorage,
        gradients_layout: &Layout,
    ) -> Result<()> {
        let gradients = contiguous(gradients, gradients_layout, "adamw")?;
        let (CpuStorage::F32(values), Some((start, end))) = (values, layout.contiguous_offsets()) else {
            candle_core::bail!("adamw needs contiguous f32 values");
        };
        let values = &mut values[start..end];
        let Ok(mut moments) = self.moments.lock() else {
            candle_core::bail!("an update of the same tensor was broken off");
        };
        let Moments { first, second } = &mut **moments;
        let chunks = values.par_chunks_mut(CHUNK).zip(gradients.par_chunks(CHUNK));
        chunks.zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK))).for_each(
            |((values, gradients), (first, second))| {
                // Slices of one known length let the compiler drop bounds checks.
                let n = values.len();
                let (gradients, first, second) = (&gradients[..n], &mut first[..n], &mut second[..n]);
                vectorised!(self.update.apply(values, gradients, first, second));
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::random::Random;

    fn random(step: u64) -> Tensor {
        let mut random = Random::new(step, "gradients", &[]);
        let values: Vec<f32> = (0..60).map(|_| random.normal() as f32).collect();
        Tensor::from_vec(values, (4, 15), &Device::Cpu).unwrap()
    }

    #[test]
    fn updates_composed_of_operations_are_those_of_one_pass() {
        let vars = [(); 2].map(|()| Var::from_tensor(&random(0)).unwrap());
        let mut kept = [(); 2].map(|()| Kept::from(Moments::zeros(60)));
        for step in 1..20 {
            let update = Update::new(0.01, 0.1, step, 0.5);
            let gradient = random(step as u64);
            update.make(&vars[0], &gradient, &mut kept[0]).unwrap();
            update.make_composed(&vars[1], &gradient, &mut kept[1]).unwrap();
        }
        assert!(matches!(kept, [Kept::Host(_), Kept::Device(_)]));
        let near = |[one, other]: [Vec<f32>; 2]| {
            one.iter().zip(&other).all(|(one, other)| (one - other).abs() < 1e-6 * (0.1 + one.abs()))
        };
        assert!(near(vars.each_ref().map(|var| var.flatten_all().unwrap().to_vec1().unwrap())));
        assert!(near(kept.each_ref().map(|kept| kept.first().unwrap())));
        assert!(near(kept.each_ref().map(|kept| kept.second().unwrap())));
    }
}
