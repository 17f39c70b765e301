//! `sweep lab`: writes the built-in study as ordinary files.

use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::typed;
use super::output;
use crate::lab;
use crate::lab::study;

/// Write the built-in study to a folder: images, captions, pretrained model.
///
/// The files are what any other study has, so the folder shows how to lay out one's own. Nothing is downloaded:
/// pictures are drawn, and the model is part of the program. A folder that holds the study already is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder to write; it must not hold anything else
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  sweep lab study
  sweep caption --model study/model study/source/images";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    study::write(&args.folder, lab::WEIGHTS)?;
    let folder = typed(&args.folder);
    output::print(&format!(
        "{folder}: {} training, {} validation and {} test images, {} of the model's own domain, and the model\n\
         next: sweep caption --model {folder}/{} {folder}/{}",
        study::TRAIN,
        study::VALIDATION,
        study::TEST,
        study::SOURCE,
        study::MODEL_FOLDER,
        study::SOURCE_IMAGE_FOLDER
    ))?;
    Ok(ExitCode::SUCCESS)
}
