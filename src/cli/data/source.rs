//! Which captions and images a command is about: those of a captions file, or of the splits of a sweep file.

use std::path::Path;

use crate::cli::arguments::typed;
use crate::cli::exit::BadInput;
use crate::record::recipe::{DataFiles, Split};
use crate::run::resolve::resolve_data;
use crate::spec;

/// The splits to look at, by name; the one to train on is the first. `runs` is where the built-in study is written to.
pub fn splits(
    captions: &Path,
    images: Option<&Path>,
    runs: &Path,
) -> anyhow::Result<Vec<(&'static str, Split)>> {
    let is_sweep = captions.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    if is_sweep {
        if images.is_some() {
            let message =
                format!("{}: a sweep file names its images itself; leave IMAGES out", captions.display());
            return Err(BadInput(message).into());
        }
        let spec = spec::load(captions, &[])?;
        return Ok(of_files(resolve_data(&spec.base.data, runs)?));
    }
    let own = captions.is_dir().then_some(captions);
    let Some(images) = images.or(own) else {
        let hint = format!("name it behind {}", typed(captions));
        let message =
            format!("{}: the folder of its images has to be known\nhint: {hint}", captions.display());
        return Err(BadInput(message).into());
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Ok(vec![("train", Split { captions: text(captions), images: text(images) })])
}

fn of_files(files: DataFiles) -> Vec<(&'static str, Split)> {
    let validation = files.validation;
    let validation =
        validation.captions.zip(validation.images).map(|(captions, images)| Split { captions, images });
    let splits = [("train", Some(files.train)), ("validation", validation), ("test", files.test)];
    splits.into_iter().filter_map(|(name, split)| Some((name, split?))).collect()
}
