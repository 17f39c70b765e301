//! `sweep init`: a first sweep file for data that nobody has trained on yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::arguments::{time, typed};
use super::exit::BadInput;
use super::facts::architecture;
use super::output;
use super::speed::multiplications;
use crate::analysis::proposal::{self, Lengths, Machine, Seen, groups, size, text};
use crate::data::CaptionTokenizer;
use crate::data::captions::{Entry, read_captions};
use crate::data::dataset::place_in;
use crate::record::memory::available_memory;
use crate::record::recipe::{Precision, Split};
use crate::record::store::write_new;
use crate::run::progress::duration;
use crate::run::resolve::model_folder;
use crate::run::resources::cores;
use crate::spec;

/// Look at images and captions, and write a first sweep file for them.
///
/// The file is commented, plans as it is, and fits what is there: pictures of one product on one side of the split where
/// file names show products; limits that cut and forbid nothing that the captions say; as many runs, epochs and images as
/// the time allows on this machine. Nothing that is there is written over.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder of the images
    #[arg(value_name = "IMAGES")]
    images: PathBuf,
    /// Their captions, in any form that `sweep data convert` names; of an image folder, that itself
    #[arg(value_name = "CAPTIONS")]
    captions: PathBuf,
    /// Captions of images kept apart for the test, in the same folder
    #[arg(long, value_name = "CAPTIONS")]
    test: Option<PathBuf>,
    /// The model to fine-tune: a hub id, a folder, or `lab`, the small built-in one
    #[arg(long, value_name = "MODEL", default_value = "Salesforce/blip-image-captioning-base")]
    model: String,
    /// What the sweep may take, such as 45m, 8h or 2days
    #[arg(long, value_name = "TIME", default_value = "8h", value_parser = time)]
    time: Duration,
    /// The sweep file to write
    #[arg(long, value_name = "FILE", default_value = "sweep.yaml")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  sweep init images captions.json
  sweep init data/train data/train --test test.json --time 2days --out sweeps/mine.yaml
  sweep init images captions.csv --model lab --time 10m";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let out = args.out.display();
    if args.out.symlink_metadata().is_ok() {
        let hint = "--out FILE names another one";
        return Err(BadInput(format!(
            "{out}: is there already, and nothing is written over it\nhint: {hint}"
        ))
        .into());
    }
    let seen = look(&args)?;
    let machine =
        Machine { flops: 2.0 * multiplications(Precision::F32)?, memory: available_memory(), cores: cores() };
    let size = size::choose(&seen, &machine, args.time);
    let text = text::write(&seen, &machine, &size, &typed(&args.out));
    // What this program cannot read it does not write.
    spec::parse(&text, &args.out.to_string_lossy(), &[])
        .context("the sweep file would have mistakes: a defect")?;
    if let Some(folder) =
        args.out.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        return Err(BadInput(format!("{}: no such folder", folder.display())).into());
    }
    write_new(&args.out, text.as_bytes())?;
    let (runs, file, took) = (size.runs(), typed(&args.out), duration(size.time));
    if !size.fits {
        output::tell(&format!(
            "warning: even the smallest sweep takes about {took} here, and {} were named",
            duration(args.time)
        ));
    }
    let plural = if runs == 1 { "" } else { "s" };
    output::print(&format!(
        "{file}: {runs} fine-tuned run{plural}, about {took} on this machine\nnext: sweep plan {file}"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What the data look like.
fn look(args: &Args) -> anyhow::Result<Seen> {
    let Some(architecture) = spec::Architecture::of(&args.model).or_else(|| architecture(&args.model)) else {
        let hint = "--model names a hub id that is known or downloaded, a model's folder, or `lab`";
        return Err(BadInput(format!(
            "{}: the sizes of this model are not known here\nhint: {hint}",
            args.model
        ))
        .into());
    };
    let entries = entries(&args.captions, &args.images)?;
    let test = args.test.as_ref().map(|test| entries_of_test(test, args)).transpose()?;
    let Some(fraction) = proposal::fraction(entries.len()) else {
        let message = format!("{}: one image cannot be split into two sides", args.captions.display());
        return Err(BadInput(message).into());
    };
    let captions: Vec<&str> = entries.iter().flat_map(|entry| &entry.captions).map(String::as_str).collect();
    let names: Vec<&str> = entries.iter().map(|entry| entry.image.as_str()).collect();
    let most = entries.iter().map(|entry| entry.captions.len()).max().unwrap_or(0);
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let split = |captions: &Path| Split { captions: path(captions), images: path(&args.images) };
    let seen = Seen {
        model: args.model.clone(),
        architecture,
        train: split(&args.captions),
        test: args.test.as_deref().map(split),
        images: entries.len(),
        test_images: test.unwrap_or(0),
        captions: Lengths::of(&captions, tokens(&args.model, &captions)?.as_deref(), most),
        grouped: groups::of_names(&names),
        fraction,
    };
    let paths = [Some(&seen.train), seen.test.as_ref()].into_iter().flatten();
    if paths.flat_map(|split| [&split.captions, &split.images]).any(|path| path.contains(char::is_control)) {
        return Err(BadInput(
            "a path with control characters cannot be written into a sweep file".to_owned(),
        )
        .into());
    }
    Ok(seen)
}

fn entries_of_test(test: &Path, args: &Args) -> anyhow::Result<usize> {
    Ok(entries(test, &args.images)?.len())
}

/// The captions, of which at least one has an image in the folder.
fn entries(captions: &Path, images: &Path) -> anyhow::Result<Vec<Entry>> {
    let folder = fs::canonicalize(images).ok().filter(|folder| folder.is_dir());
    let folder = folder.ok_or_else(|| BadInput(format!("{}: no such folder of images", images.display())))?;
    let entries = read_captions(captions)?.entries;
    let is_there = |entry: &&Entry| place_in(&folder, &entry.image).is_ok_and(|path| path.is_file());
    let (all, there) = (entries.len(), entries.iter().filter(is_there).count());
    if there == 0 {
        let example =
            entries.first().map(|entry| format!(", such as {:?},", entry.image)).unwrap_or_default();
        let message =
            format!("{}: none of its {all} images{example} is in {}", captions.display(), images.display());
        return Err(BadInput(message).into());
    }
    if there < all {
        let hint = format!("hint: sweep data check {} {}", typed(captions), typed(images));
        let missing = all - there;
        output::tell(&format!(
            "warning: {}: {missing} of {all} images are missing\n{hint}",
            captions.display()
        ));
    }
    Ok(entries)
}

/// The tokens of each caption, where the model's tokenizer is at hand.
fn tokens(model: &str, captions: &[&str]) -> anyhow::Result<Option<Vec<Vec<u32>>>> {
    let folder = model_folder(model, Path::new("runs")).ok();
    let Some(tokenizer) = folder.and_then(|folder| CaptionTokenizer::load(&folder).ok()) else {
        return Ok(None);
    };
    captions
        .iter()
        .map(|caption| Ok(tokenizer.encode(caption, usize::MAX)?))
        .collect::<anyhow::Result<_>>()
        .map(Some)
}
