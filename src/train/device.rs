//! Where tensors live.

use anyhow::{Context, Result, bail};
use candle_core::Device;

/// Opens `auto`, `cpu`, `cuda:N` or `metal`; returns the device and its plain name.
///
/// `auto` takes the first GPU this build supports and the machine has, and the CPU otherwise.
pub fn open_device(name: &str) -> Result<(Device, String)> {
    match name {
        "auto" if candle_core::utils::cuda_is_available() => open_device("cuda:0"),
        "auto" if candle_core::utils::metal_is_available() => open_device("metal"),
        "auto" | "cpu" => Ok((Device::Cpu, "cpu".to_owned())),
        "metal" if candle_core::utils::metal_is_available() => {
            Ok((Device::new_metal(0).context("cannot open the Metal device")?, name.to_owned()))
        }
        "metal" => bail!("no Metal device in this build\nhint: build with `--features metal` on macOS"),
        "cuda" => open_device("cuda:0"),
        _ => match name.strip_prefix("cuda:").map(str::parse::<usize>) {
            Some(Ok(number)) if candle_core::utils::cuda_is_available() => {
                let device = Device::new_cuda(number).with_context(|| format!("cannot open `{name}`"))?;
                Ok((device, name.to_owned()))
            }
            Some(Ok(_)) => bail!("no CUDA device in this build\nhint: build with `--features cuda`"),
            _ => bail!("unknown device `{name}`; valid are `auto`, `cpu`, `cuda:N` and `metal`"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_refused_with_the_valid_ones() {
        assert_eq!(open_device("cpu").unwrap().1, "cpu");
        let message = open_device("gpu").unwrap_err().to_string();
        assert_eq!(message, "unknown device `gpu`; valid are `auto`, `cpu`, `cuda:N` and `metal`");
    }
}
