//! Access to the values of CPU tensors inside fused operations.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor};

/// Whether the fused CPU form of an operation applies.
pub fn is_fused(xs: &Tensor) -> bool {
    xs.device().is_cpu() && xs.dtype() == DType::F32
}

/// The values of a contiguous `f32` storage.
pub fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout, name: &str) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("{name} needs contiguous values, got strides {:?}", layout.stride()),
    }
}

/// Calls `f` with the values of tensors, each made contiguous first.
pub fn with_values<T, const N: usize>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> Result<T>,
) -> Result<T> {
    let tensors = tensors.iter().map(|xs| xs.contiguous()).collect::<Result<Vec<_>>>()?;
    let guards: Vec<_> = tensors.iter().map(|xs| xs.storage_and_layout()).collect();
    let mut values = [&[][..]; N];
    for ((storage, layout), values) in guards.iter().zip(&mut values) {
        *values = match &**storage {
            Storage::Cpu(storage) => contiguous(storage, layout, "operation")?,
            _ => candle_core::bail!("a fused operation was called with a tensor that is not on the CPU"),
        };
    }
    f(values)
}
