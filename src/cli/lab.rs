//! `sweep lab`: writes the built-in study as ordinary files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::arguments::typed;
use super::output;
use crate::data::{CaptionTokenizer, ImageProcessor};
use crate::lab::vocabulary::MODEL_FILES;
use crate::lab::{self, pretrain, study};
use crate::model::Config;
use crate::record::store::write_atomic;

/// Write the built-in study to a folder: images, captions, pretrained model.
///
/// The files are what any other study has, so the folder shows how to lay out one's own. Nothing is downloaded:
/// pictures are drawn, and the model is part of the program. A folder that holds the study already is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder to write; it must not hold anything else
    #[arg(value_name = "DIR", required_unless_present = "pretrain")]
    folder: Option<PathBuf>,
    /// Instead, make the pretrained weights anew and write them to this file: about 40 minutes on one core
    #[arg(long, value_name = "FILE", conflicts_with = "folder")]
    pretrain: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sweep lab study
  sweep caption --model study/model study/source/images";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match (args.folder, args.pretrain) {
        (_, Some(file)) => make_weights(&file)?,
        (Some(folder), None) => write_study(&folder)?,
        (None, None) => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn write_study(folder: &Path) -> anyhow::Result<()> {
    study::write(folder, &lab::WEIGHTS)?;
    let folder = typed(folder);
    output::print(&format!(
        "{folder}: {} training, {} validation and {} test images, {} of the model's own domain, and the model\n\
         next: sweep caption --model {folder}/{} {folder}/{}",
        study::TRAIN,
        study::VALIDATION,
        study::TEST,
        study::SOURCE,
        study::MODEL_FOLDER,
        study::SOURCE_IMAGE_FOLDER
    ))
}

/// Pretrains with the committed recipe; the model's other files are those of the study.
fn make_weights(file: &Path) -> anyhow::Result<()> {
    let folder = loading_folder(file)?;
    for (name, text) in MODEL_FILES {
        write_atomic(&folder.join(name), text.as_bytes())?;
    }
    let config = Config::load(&folder)?;
    let (tokenizer, processor) = (CaptionTokenizer::load(&folder)?, ImageProcessor::load(&folder)?);
    std::fs::remove_dir_all(&folder)?;
    let steps = pretrain::RECIPE.steps;
    let weights = pretrain::pretrain(&config, &tokenizer, &processor, &pretrain::RECIPE, |step, loss| {
        output::tell(&format!("step {step}/{steps} loss {loss:.4}"));
    })?;
    write_atomic(file, &pretrain::to_file(&weights)?)?;
    Ok(())
}

/// A folder beside the wanted file for the few seconds that loading takes.
fn loading_folder(file: &Path) -> anyhow::Result<PathBuf> {
    let folder = file.with_extension("model-files");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}
