//! `sweep data preview`: a sheet of pictures with their captions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use image::RgbImage;

use super::source::splits;
use crate::cli::arguments::typed;
use crate::cli::exit::BadInput;
use crate::cli::output;
use crate::data::captions::{Entry, read_captions};
use crate::data::dataset::place_in;
use crate::data::image_file::with_rgb;
use crate::data::resample::resize_bicubic;
use crate::data::wording::Rewording;
use crate::random::Random;
use crate::record::recipe::Split;
use crate::record::store::write_new;
use crate::report::charts::png;
use crate::report::charts::sheet::{LONGEST_SIDE, Sheet, Tile};

/// Most pictures of a sheet: it is drawn in memory as a whole.
const MOST: u64 = 60;

/// Draw a sheet of pictures with their captions, to see what a model is to learn.
///
/// The pictures are drawn at random by a seed. Of a sweep file, they are those of the training captions.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A captions file in any form, or a sweep file (.yaml)
    #[arg(value_name = "CAPTIONS|SPEC")]
    captions: PathBuf,
    /// Folder of the images of a captions file; of an image folder, that itself
    #[arg(value_name = "IMAGES")]
    images: Option<PathBuf>,
    /// The picture to write
    #[arg(long, value_name = "FILE.png", default_value = "preview.png")]
    out: PathBuf,
    /// Pictures on the sheet
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    count: u64,
    /// Another seed draws other pictures
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Pictures in a row
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=12))]
    columns: u64,
    /// Shows the captions as `training.synonym_replacement: RATE` changes them, below what they are
    #[arg(long, value_name = "RATE", value_parser = typed_rate)]
    synonyms: Option<f64>,
    /// Folder of the results, where the built-in study is written to
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  sweep data preview captions.json images
  sweep data preview sweeps/unfreeze.yaml --count 40 --seed 1 --out figures.png
  sweep data preview captions.json images --synonyms 0.3";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.out.symlink_metadata().is_ok() {
        let hint = "--out FILE.png names another one";
        let message =
            format!("{}: is there already, and nothing is written over it\nhint: {hint}", args.out.display());
        return Err(BadInput(message).into());
    }
    let splits = splits(&args.captions, args.images.as_deref(), &args.runs)?;
    let Some((_, split)) = splits.first() else { return Ok(ExitCode::SUCCESS) };
    let mut entries = read_captions(Path::new(&split.captions))?.entries;
    let all = entries.len();
    Random::new(args.seed, "preview", &[]).shuffle(&mut entries);
    entries.truncate(usize::try_from(args.count)?);
    let (mut tiles, unreadable) = tiles(split, entries)?;
    if let Some(rate) = args.synonyms {
        reword(&mut tiles, rate, args.seed)?;
    }
    if tiles.is_empty() {
        let reason = unreadable.first().cloned().unwrap_or_else(|| "it has no captions".to_owned());
        return Err(BadInput(format!("{}: nothing to show: {reason}", split.captions)).into());
    }
    for reason in &unreadable {
        output::tell(&format!("left out: {reason}"));
    }
    let count = tiles.len();
    let bytes = png::render(&Sheet::new(tiles, usize::try_from(args.columns)?))?;
    write_new(&args.out, &bytes)?;
    output::print(&format!("{}: {count} of {all} images with their captions", typed(&args.out)))?;
    Ok(ExitCode::SUCCESS)
}

/// The tiles of these images, and why some have none.
fn tiles(split: &Split, entries: Vec<Entry>) -> anyhow::Result<(Vec<Tile>, Vec<String>)> {
    let folder = fs::canonicalize(&split.images).ok().filter(|folder| folder.is_dir());
    let folder = folder.ok_or_else(|| BadInput(format!("{}: no such folder of images", split.images)))?;
    let (mut tiles, mut unreadable) = (Vec::new(), Vec::new());
    for Entry { image, captions } in entries {
        let read =
            place_in(&folder, &image).map_err(|reason| format!("{image:?} {reason}")).and_then(|path| {
                with_rgb(&path, None, |picture| fitted(&picture)).map_err(|error| error.to_string())
            });
        match read {
            Ok(picture) => tiles.push(Tile { picture, title: image, captions }),
            Err(reason) => unreadable.push(reason),
        }
    }
    Ok((tiles, unreadable))
}

/// Puts below each caption what synonyms make of it, where they change it.
fn reword(tiles: &mut [Tile], rate: f64, seed: u64) -> anyhow::Result<()> {
    let rewording = Rewording::new(rate, "")?;
    for (place, tile) in tiles.iter_mut().enumerate() {
        let both = std::mem::take(&mut tile.captions).into_iter().flat_map(|caption| {
            let reworded = rewording.apply(&caption, Random::new(seed, "synonyms", &[place as u64]));
            let other = (reworded != caption).then(|| format!("reworded: {reworded}"));
            std::iter::once(caption).chain(other)
        });
        tile.captions = both.collect();
    }
    Ok(())
}

/// A share of words.
fn typed_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

/// The picture as large as a tile.
fn fitted(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let scale = f64::from(LONGEST_SIDE) / f64::from(width.max(height).max(1));
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, LONGEST_SIDE);
    resize_bicubic(picture, side(width), side(height))
}
