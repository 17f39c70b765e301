//! Where tensors live.

use anyhow::{Context, Result, bail};
use candle_core::Device;

/// Opens `auto`, `cpu`, `cuda:N` or `metal`; returns the device and its plain name.
///
/// `auto` takes the first GPU that this build supports and the machine has, and the CPU otherwise.
pub fn open_device(name: &str) -> Result<(Device, String)> {
    match name {
        "auto" if cuda_devices().is_ok_and(|count| count > 0) => open_device("cuda:0"),
        "auto" if candle_core::utils::metal_is_available() => open_device("metal"),
        "auto" | "cpu" => Ok((Device::Cpu, "cpu".to_owned())),
        "metal" if candle_core::utils::metal_is_available() => {
            Ok((Device::new_metal(0).context("cannot open the Metal device")?, name.to_owned()))
        }
        "metal" => bail!("no Metal device in this build\nhint: build with `--features metal` on macOS"),
        "cuda" => open_device("cuda:0"),
        _ => match name.strip_prefix("cuda:").map(str::parse::<usize>) {
            Some(Ok(_)) if !candle_core::utils::cuda_is_available() => {
                bail!("no CUDA device in this build\nhint: build with `--features cuda`")
            }
            Some(Ok(number)) => {
                check_cuda(number, cuda_devices())?;
                let device = Device::new_cuda(number).with_context(|| format!("cannot open `{name}`"))?;
                Ok((device, name.to_owned()))
            }
            _ => bail!("unknown device `{name}`; valid are `auto`, `cpu`, `cuda:N` and `metal`"),
        },
    }
}

/// Whether what is asked for by this name is no CPU.
pub fn is_accelerator(name: &str) -> bool {
    match name {
        "cpu" => false,
        "auto" => cuda_devices().is_ok_and(|count| count > 0) || candle_core::utils::metal_is_available(),
        _ => true,
    }
}

/// Whether `auto` is the CPU although this program was built for CUDA.
pub fn lacks_its_accelerator() -> bool {
    candle_core::utils::cuda_is_available() && !is_accelerator("auto")
}

/// Free bytes of an accelerator's memory, whoever has the others; `None` where it does not tell.
pub fn free_memory(device: &Device) -> Option<u64> {
    // What was freed is given back when all that was asked for is done.
    device.synchronize().ok()?;
    free_cuda_memory(device)
}

fn check_cuda(number: usize, found: Result<usize, String>) -> Result<()> {
    let hint = "hint: `nvidia-smi` lists what the driver sees; `--device cpu` needs none";
    match found {
        Err(words) => bail!("the CUDA driver finds no device: {words}\n{hint}"),
        Ok(0) => bail!("the CUDA driver finds no device\n{hint}"),
        Ok(1) if number > 0 => bail!("there is no `cuda:{number}`: `cuda:0` is the only CUDA device"),
        Ok(count) if number >= count => {
            bail!("there is no `cuda:{number}`: CUDA devices are `cuda:0` to `cuda:{}`", count - 1)
        }
        Ok(_) => Ok(()),
    }
}

/// How many there are, without opening one.
#[cfg(feature = "cuda")]
fn cuda_devices() -> Result<usize, String> {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    let count = CudaContext::device_count().map_err(|error| error.to_string())?;
    Ok(count.try_into().unwrap_or(0))
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> Result<usize, String> {
    Ok(0)
}

#[cfg(feature = "cuda")]
fn free_cuda_memory(device: &Device) -> Option<u64> {
    let (free, _) = device.as_cuda_device().ok()?.cuda_stream().context().mem_get_info().ok()?;
    Some(free as u64)
}

#[cfg(not(feature = "cuda"))]
fn free_cuda_memory(_: &Device) -> Option<u64> {
    None
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

    #[test]
    fn a_graphics_card_that_is_not_there_is_refused_with_those_that_are() {
        let words = |number, found: Result<usize, &str>| {
            let refused = check_cuda(number, found.map_err(str::to_owned)).err();
            refused.map(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
        };
        assert_eq!([words(0, Ok(1)), words(3, Ok(4))], [None, None]);
        assert_eq!(words(1, Ok(1)).unwrap(), "there is no `cuda:1`: `cuda:0` is the only CUDA device");
        assert_eq!(words(4, Ok(4)).unwrap(), "there is no `cuda:4`: CUDA devices are `cuda:0` to `cuda:3`");
        assert_eq!(words(0, Ok(0)).unwrap(), "the CUDA driver finds no device");
        assert_eq!(words(0, Err("too old")).unwrap(), "the CUDA driver finds no device: too old");
    }

    #[test]
    fn a_name_of_the_cpu_is_told_from_those_of_accelerators() {
        assert_eq!(["cpu", "cuda:0", "metal"].map(is_accelerator), [false, true, true]);
    }
}
