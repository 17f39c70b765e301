//! Arguments that several subcommands share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::exit::BadInput;
pub use crate::cluster::command::quoted;
use crate::plan::{Plan, expand};
use crate::record::recipe::BeamStopping;
use crate::run::cache::Cache;
use crate::spec::SweepSpec;

/// A sweep file and what overrides it.
#[derive(Debug, clap::Args)]
pub struct SweepFile {
    /// The sweep file, such as sweeps/unfreeze.yaml
    #[arg(value_name = "SPEC")]
    pub spec: PathBuf,
    /// Settings in place of the file's: learning_rate=1e-5 for all runs, learning_rate=1e-5,3e-5 for
    /// an axis. A name that occurs in several groups needs its path: generation.max_length=96
    #[arg(value_name = "KEY=VALUE[,VALUE]")]
    pub overrides: Vec<String>,
}

impl SweepFile {
    /// The runs of the sweep that the file describes.
    pub fn expand(&self, spec: &SweepSpec) -> Result<Plan, BadInput> {
        expanded(spec, &self.spec)
    }
}

/// The runs of the sweep that a file describes.
pub fn expanded(spec: &SweepSpec, file: &Path) -> Result<Plan, BadInput> {
    expand(spec).map_err(|error| BadInput(format!("{}: {error}", file.display())))
}

/// Where states of images are kept between runs.
#[derive(Debug, Clone, clap::Args)]
pub struct CacheFlags {
    /// Folder of the feature cache: what the frozen vision layers make of images, shared by runs and sweeps
    /// [default: .cache/features in the folder of the results]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub cache_dir: Option<PathBuf>,
    /// Most that it may take, such as 20GB [default: a tenth of the free disk, at most 20GB]
    #[arg(long, value_name = "SIZE", value_parser = bytes, conflicts_with = "no_cache")]
    pub cache_size: Option<u64>,
    /// Let every run encode its images itself; changes no result
    #[arg(long)]
    pub no_cache: bool,
}

impl CacheFlags {
    /// The cache for the results in `runs`; `None` where there is to be none.
    pub fn chosen(&self, runs: &Path) -> Option<Cache> {
        (!self.no_cache).then(|| Cache::new(runs, self.cache_dir.clone(), self.cache_size))
    }
}

/// Bytes, with a unit of thousands or of 1024 or without.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = text.trim()[digits.len()..].trim().to_ascii_lowercase();
    let units = [("b", 1, 1), ("k", 1000, 1 << 10), ("m", 1_000_000, 1 << 20), ("g", 1_000_000_000, 1 << 30)];
    let units = units.into_iter().chain([("t", 1_000_000_000_000, 1u64 << 40)]);
    let factor = if unit.is_empty() { Some(1) } else { None };
    let named = units.into_iter().find_map(|(name, thousands, binary)| match unit.strip_prefix(name)? {
        "" | "b" => Some(thousands),
        "ib" => Some(binary),
        _ => None,
    });
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    match (number, factor.or(named)) {
        (Some(number), Some(factor)) => Ok((number * factor as f64) as u64),
        _ => Err("it must be a size, such as 500MB, 20GB or 1.5GiB".to_owned()),
    }
}

/// A device by name, if there may be such a one.
pub fn device(name: &str) -> Result<String, String> {
    let is_cuda = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match name {
        "auto" | "cpu" | "metal" => Ok(name.to_owned()),
        _ if name.strip_prefix("cuda:").is_some_and(is_cuda) => Ok(name.to_owned()),
        _ => Err("there are `auto`, `cpu`, `cuda:N` (such as `cuda:0`) and `metal`".to_owned()),
    }
}

/// Devices, one for each run at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceList(pub Vec<String>);

/// More runs at a time than any machine has use for.
const MOST_DEVICES: usize = 1024;

/// A list of devices, each as often as `x` and a number behind its name say: `cuda:0,cuda:1`, `cpux4`.
pub fn devices(list: &str) -> Result<DeviceList, String> {
    let mut names = Vec::new();
    for word in list.split(',') {
        let counted =
            word.rsplit_once('x').and_then(|(name, count)| Some((name, count.parse::<usize>().ok()?)));
        let (name, count) = counted.unwrap_or((word, 1));
        let name = device(name)?;
        if count == 0 || names.len() + count > MOST_DEVICES {
            return Err(format!("`{word}`: there are from 1 to {MOST_DEVICES} runs at a time"));
        }
        names.extend(std::iter::repeat_n(name, count));
    }
    Ok(DeviceList(names))
}

/// When beam search ends, by its word.
pub fn beam_stopping() -> impl TypedValueParser<Value = BeamStopping> {
    PossibleValuesParser::new(BeamStopping::WORDS)
        .try_map(|word| BeamStopping::named(&word).ok_or("not one of the possible values"))
}

/// A number of things of which there must be one.
pub fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("it must be a whole number from 1".to_owned()),
    }
}

/// A time with its unit, above zero.
pub fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time > Duration::ZERO => Ok(time),
        _ => Err("it must be a time with its unit, such as 45s, 90m, 2h, 1h30m or 2days".to_owned()),
    }
}

/// How much work a run may lose by default if it is cut off.
pub const CHECKPOINT_EVERY: &str = "60s";

/// A time with its unit; nothing is a time too.
pub fn interval(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "it must be a time with its unit, such as `90s` or `5m`".to_owned())
}

/// A path as the user would type it behind a command, quoted where a shell would take it apart.
pub fn typed(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_by_their_names() {
        for name in ["auto", "cpu", "metal", "cuda:0", "cuda:12"] {
            assert_eq!(device(name).as_deref(), Ok(name));
        }
        for name in ["", "gpu", "cuda", "cuda:", "cuda:x", "CPU"] {
            assert!(device(name).is_err(), "{name}");
        }
    }

    #[test]
    fn several_devices_are_a_list_in_which_each_may_be_counted() {
        let names = |list| devices(list).map(|list| list.0.join(" "));
        assert_eq!(names("cuda:0,cuda:1").as_deref(), Ok("cuda:0 cuda:1"));
        assert_eq!(names("cpux3").as_deref(), Ok("cpu cpu cpu"));
        assert_eq!(names("cuda:0x2,cpu").as_deref(), Ok("cuda:0 cuda:0 cpu"));
        for list in ["", "cpu,", "gpu", "cpux0", "cpux", "x4", "cpux9999", "cpu x 4"] {
            assert!(names(list).is_err(), "{list}");
        }
    }

    #[test]
    fn numbers_of_things_begin_at_one() {
        assert_eq!(positive("3"), Ok(3));
        assert!(["0", "-1", "two", ""].iter().all(|text| positive(text).is_err()));
    }

    #[test]
    fn times_have_a_unit() {
        let seconds = |text| time(text).map(|time| time.as_secs());
        assert_eq!(["45s", "90m", "2h", "1h 30m"].map(seconds), [Ok(45), Ok(5400), Ok(7200), Ok(5400)]);
        assert!(["", "90", "0s", "-1h", "soon", "2 fortnights"].iter().all(|text| time(text).is_err()));
    }

    #[test]
    fn intervals_have_a_unit() {
        assert_eq!(interval("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(interval("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(interval(CHECKPOINT_EVERY), Ok(Duration::from_secs(60)));
        assert!(["", "90", "s", "-1s", "soon"].iter().all(|text| interval(text).is_err()));
    }

    #[test]
    fn sizes_have_units_of_thousands_or_of_1024_or_none() {
        assert_eq!(
            ["20GB", "1.5 GiB", "7", "3k", "0"].map(bytes),
            [Ok(20_000_000_000), Ok(3 << 29), Ok(7), Ok(3000), Ok(0)]
        );
        assert!(["", "GB", "-1GB", "2 apples", "nan", "1GBB"].iter().all(|text| bytes(text).is_err()));
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("a=1e-5,3e-5"), "a=1e-5,3e-5");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
