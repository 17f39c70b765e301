//! `config.yaml`: the whole [`RunSpec`] of a run, for people and for other programs to read.
//!
//! Small rates are written as `1.0e-6`: YAML 1.1 readers such as PyYAML take `1e-6` for a string.

use super::files::{StoreError, make_last, read_text, write_atomic, write_visible};
use super::run::RunSpec;
use super::store::RunDir;

/// No regular config comes near this size.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Writes the run's `config.yaml`, creating its folder where there is none.
pub fn write_config(run: &RunDir, spec: &RunSpec) -> Result<(), StoreError> {
    write_atomic(&run.config(), text_of(run, spec)?.as_bytes())
}

/// As [`write_config`] for who starts the run, and does so at every start: it may be lost in a power cut until
/// [`keep_config`] has returned.
pub fn show_config(run: &RunDir, spec: &RunSpec) -> Result<(), StoreError> {
    write_visible(&run.config(), text_of(run, spec)?.as_bytes())
}

/// Makes what [`show_config`] wrote last.
pub fn keep_config(run: &RunDir) -> Result<(), StoreError> {
    make_last(&run.config())
}

fn text_of(run: &RunDir, spec: &RunSpec) -> Result<String, StoreError> {
    to_yaml(spec).map_err(|error| StoreError::broken(&run.config(), error))
}

/// Reads a run's `config.yaml` back.
pub fn read_config(run: &RunDir) -> Result<RunSpec, StoreError> {
    let path = run.config();
    let text = read_text(&path, MAX_CONFIG_BYTES)?;
    serde_yaml::from_str(&text).map_err(|error| StoreError::broken(&path, error))
}

/// The YAML of a run.
fn to_yaml(spec: &RunSpec) -> Result<String, serde_yaml::Error> {
    let plain = serde_yaml::to_string(spec)?;
    let portable: String = plain.split_inclusive('\n').map(with_portable_number).collect();
    // The rewriting looks at lines, not at YAML's structure. Text that only looks like a number, in a name
    // of several lines, would be hit as well: such a file is left as it is.
    let unharmed = serde_yaml::from_str::<RunSpec>(&portable).is_ok_and(|reread| reread == *spec);
    Ok(if unharmed { portable } else { plain })
}

/// The line with a number such as `1e-6` at its end written as `1.0e-6`, and `2.5e16` as `2.5e+16`.
fn with_portable_number(line: &str) -> String {
    let end = line.trim_end().len();
    let (line, newline) = line.split_at(end);
    let start = line.rfind(' ').map_or(0, |space| space + 1);
    let (key, number) = line.split_at(start);
    let Some((digits, exponent)) = number.split_once('e') else {
        return format!("{line}{newline}");
    };
    let is_number = number.parse::<f64>().is_ok();
    if !is_number {
        return format!("{line}{newline}");
    }
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{key}{digits}{point}e{sign}{exponent}{newline}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::run::tests::any_run;

    fn reread(spec: &RunSpec) -> RunSpec {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir { path: folder.path().join("r1") };
        write_config(&run, spec).unwrap();
        read_config(&run).unwrap()
    }

    #[test]
    fn a_config_reads_back_as_it_was_written() {
        let spec = any_run("r0123456789");
        assert_eq!(reread(&spec), spec);
    }

    #[test]
    fn rates_are_written_so_that_every_yaml_reader_takes_them_for_numbers() {
        let mut spec = any_run("r0123456789");
        spec.recipe.training.learning_rate = 3e-6;
        spec.recipe.training.weight_decay = 1.5e-7;
        spec.recipe.training.max_grad_norm = 1e20;
        let text = to_yaml(&spec).unwrap();
        for line in
            ["    learning_rate: 3.0e-6\n", "    weight_decay: 1.5e-7\n", "    max_grad_norm: 1.0e+20\n"]
        {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn names_that_look_like_numbers_stay_names() {
        let mut spec = any_run("r0123456789");
        for name in ["1e-5", "lab: 1e-5", "first\nsecond: 1e-5\n", "yes", "", "~", "# 1e5", "- 1e5"] {
            spec.recipe.model = name.to_owned();
            assert_eq!(reread(&spec), spec, "{name:?}");
        }
    }
}
