//! `sweep caption`: captions images with a trained model.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context;
use walkdir::WalkDir;

use super::arguments::{beam_stopping, device};
use super::exit::BadInput;
use super::output::{self, Format};
use crate::record::bounded::check_regular;
use crate::record::recipe::BeamStopping;
use crate::run::download::fetched_model;
use crate::run::progress;
use crate::spec::setting;
use crate::train::caption::{CaptionSettings, GenerationOverrides, caption_images};
use crate::train::open_device;

/// Endings of the image files that are taken from a folder.
const IMAGE_ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "gif", "webp"];

/// Caption images with the settings that a model was evaluated with.
///
/// A run saves these settings beside its model, so that its best/ says of its images again what predictions.jsonl
/// has. Every flag of generation replaces one of them. Standard error tells where the settings came from and which
/// were replaced, and warns where they do not fit how the model was trained.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The model's folder: a run's best/, or any BLIP captioner in the Hugging Face layout; a hub id, which
    /// is downloaded; or `lab`, the built-in one
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Images, and folders to look for images in
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to compute: auto, cpu, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device)]
    device: String,
    #[command(flatten)]
    generation: GenerationFlags,
}

/// The settings of generation, by their Hugging Face names.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Generation")]
struct GenerationFlags {
    /// Most tokens of a caption, the start token included
    #[arg(long, alias = "max_length", value_name = "N", value_parser = number_for::<usize>("generation.max_length"))]
    max_length: Option<usize>,
    /// Fewest tokens before a caption may end
    #[arg(long, alias = "min_length", value_name = "N", value_parser = number_for::<usize>("generation.min_length"))]
    min_length: Option<usize>,
    /// Beams of the search; 1 is greedy
    #[arg(long, alias = "num_beams", value_name = "N", value_parser = number_for::<usize>("generation.num_beams"))]
    num_beams: Option<usize>,
    /// N-grams of this length occur only once; 0 allows all
    #[arg(long, alias = "no_repeat_ngram_size", value_name = "N", value_parser = number_for::<usize>("generation.no_repeat_ngram_size"))]
    no_repeat_ngram_size: Option<usize>,
    /// Above 0 favours long captions, below 0 short ones
    #[arg(long, alias = "length_penalty", value_name = "X", allow_negative_numbers = true, value_parser = number_for::<f64>("generation.length_penalty"))]
    length_penalty: Option<f64>,
    /// End an image's search when as many captions are finished as there are beams; false goes on while the
    /// best beam looks better than the worst of them, never while one may still become better
    #[arg(long, alias = "early_stopping", value_name = "true|false|never", value_parser = beam_stopping())]
    early_stopping: Option<BeamStopping>,
    /// Above 1 makes words less likely that have been said
    #[arg(long, alias = "repetition_penalty", value_name = "X", value_parser = number_for::<f64>("generation.repetition_penalty"))]
    repetition_penalty: Option<f64>,
}

/// Reads a number that a setting may have, in the same range as in a sweep file.
fn number_for<T: FromStr + Clone + Send + Sync + 'static>(
    path: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let setting = setting::named(path)?;
        setting.check_text(text)?;
        text.trim().parse().map_err(|_| format!("it must be {}", setting.valid()))
    }
}

const EXAMPLES: &str = "\
Examples:
  sweep caption --model runs/unfreeze/r0123456789/best photo.jpg
  sweep caption --model blip/ photos/ --num-beams 1 --format json > captions.json";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let images = find_images(&args.images)?;
    let name = args.model.to_string_lossy();
    let model = fetched_model(&name, Path::new("runs"), progress::for_standard_error().as_mut())?;
    let (device, _) =
        open_device(&args.device).context(BadInput(format!("cannot use --device {}", args.device)))?;
    let cannot = || BadInput(format!("cannot caption with {}", args.model.display()));
    let settings = CaptionSettings::load(&model, &overrides(&args.generation)).with_context(cannot)?;
    output::tell(&settings.origin);
    for warning in &settings.warnings {
        output::tell(&format!("warning: {warning}"));
    }
    let rows = caption_images(&model, &images, &settings.generation, &device).with_context(cannot)?;
    match args.format {
        Format::Json => output::print_json(&rows)?,
        Format::Text => {
            let lines: Vec<String> =
                rows.iter().map(|row| format!("{}\t{}", row.image, row.caption)).collect();
            output::print(&lines.join("\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn overrides(flags: &GenerationFlags) -> GenerationOverrides {
    GenerationOverrides {
        max_length: flags.max_length,
        min_length: flags.min_length,
        num_beams: flags.num_beams,
        no_repeat_ngram_size: flags.no_repeat_ngram_size,
        length_penalty: flags.length_penalty,
        early_stopping: flags.early_stopping,
        repetition_penalty: flags.repetition_penalty,
    }
}

/// The images named, and those in the folders named, in the order of their names. Hidden ones are passed over.
fn find_images(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in paths {
        if !path.is_dir() {
            check_regular(path).map_err(|error| match error.kind() {
                ErrorKind::NotFound => BadInput(format!("{}: no such image or folder", path.display())),
                _ => BadInput(format!("{}: cannot be read: {error}", path.display())),
            })?;
            images.push(path.clone());
            continue;
        }
        let before = images.len();
        let is_shown = |entry: &walkdir::DirEntry| {
            entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
        };
        for entry in
            WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter().filter_entry(is_shown)
        {
            let entry = entry.context(BadInput(format!("{}: cannot look for images", path.display())))?;
            if entry.file_type().is_file() && is_image(entry.path()) {
                images.push(entry.into_path());
            }
        }
        if images.len() == before {
            let endings = IMAGE_ENDINGS.join(", ");
            return Err(BadInput(format!("{}: no images in this folder ({endings})", path.display())).into());
        }
    }
    Ok(images)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    IMAGE_ENDINGS.contains(&ending.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_their_images_by_name_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("b/.hidden")).unwrap();
        for name in ["z.PNG", "b/c.jpeg", "a.txt", ".x.png", "b/.hidden/d.png", "single"] {
            std::fs::write(at(name), "").unwrap();
        }
        let found = find_images(&[at("single"), folder.path().to_owned()]).unwrap();
        assert_eq!(found, [at("single"), at("b/c.jpeg"), at("z.PNG")]);
        assert!(
            find_images(&[at("none.png")])
                .unwrap_err()
                .to_string()
                .ends_with("none.png: no such image or folder")
        );
        assert!(find_images(&[at("b/.hidden/..")]).is_ok());
        std::fs::remove_file(at("b/c.jpeg")).unwrap();
        assert!(find_images(&[at("b")]).unwrap_err().to_string().contains("no images in this folder"));
    }
}
