//! `sweep data check`: what is wrong with which image and which caption.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use rayon::prelude::*;
use serde::Serialize;

use super::source::splits;
use crate::analysis::audit::count_of;
use crate::analysis::check::{Checked, Kind, Removal, Removes, Sample, Set, Unusable, check, cleaned};
use crate::cli::arguments::typed;
use crate::cli::auditing::{WIDTH, textwrap};
use crate::cli::exit::BadInput;
use crate::cli::output::{self, Format};
use crate::cli::table::{Align, Table};
use crate::data::caption_forms::write;
use crate::data::captions::{Entry, read_captions};
use crate::data::convert::Target;
use crate::data::dataset::place_in;
use crate::data::fingerprint::Fingerprint;
use crate::data::image_file::ImageProblem;
use crate::record::recipe::Split;
use crate::record::store::write_atomic;
use crate::run::progress::Counter;

/// Find what is wrong with single images and captions.
///
/// Broken, tiny, duplicate and leaked images (the same bytes, and the same picture saved again, resized or cropped by a
/// little); empty, repeated and overlong captions and those in another language; captions of unusual length or words;
/// templated and repeated captions, and kinds of images that are far more common than others. What limits cut and scores
/// punish is for `sweep audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A captions file in any form, or a sweep file (.yaml) for all of its splits, of which the first is trained on
    #[arg(value_name = "CAPTIONS|SPEC")]
    captions: PathBuf,
    /// Folder of the images of a captions file; of an image folder, that itself
    #[arg(value_name = "IMAGES")]
    images: Option<PathBuf>,
    /// Write a cleaned copy of the (training) captions to this file, and beside it, as FILE.removed.csv, what is not in it
    /// and why
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Leave in the copy what has such a fault
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', requires = "write", value_parser = kinds())]
    keep: Vec<Kind>,
    /// Pictures are tiny that are less wide or high than so many pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 64)]
    min_side: u32,
    /// Folder of the results, where the built-in study is written to
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  sweep data check captions.json images
  sweep data check sweeps/mine.yaml                                    leaks between splits, too
  sweep data check captions.json images --write cleaned.json --keep near_duplicate_image";

/// Faults that a copy may keep.
fn kinds() -> impl TypedValueParser<Value = Kind> {
    let removed = || Kind::ALL.into_iter().filter(|kind| kind.removes() != Removes::Nothing);
    PossibleValuesParser::new(removed().map(Kind::name)).try_map(move |name| {
        removed().find(|kind| kind.name() == name).ok_or("not one of the possible values")
    })
}

/// What a set is, for the output.
#[derive(Serialize)]
struct Size {
    name: &'static str,
    images: usize,
    captions: usize,
}

#[derive(Serialize)]
struct Report<'a> {
    v: u64,
    sets: Vec<Size>,
    #[serde(flatten)]
    checked: &'a Checked,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let target = args.write.as_deref().map(target_of).transpose()?;
    let splits = splits(&args.captions, args.images.as_deref(), &args.runs)?;
    let sets = read_sets(&splits)?;
    let checked = check(&sets, args.min_side);
    match args.format {
        Format::Text => output::print(&in_words(&sets, &checked))?,
        Format::Json => output::print_json(&Report { v: 1, sets: sizes(&sets), checked: &checked })?,
    }
    if let (Some(file), Some(target), Some(train)) = (&args.write, target, sets.first()) {
        output::tell(&write_cleaned(file, target, train, &checked, &args.keep)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// The form that a cleaned copy is written in.
fn target_of(file: &Path) -> anyhow::Result<Target> {
    if file.symlink_metadata().is_ok() {
        let hint = "name another file for the cleaned copy";
        return Err(BadInput(format!("{}: is there already\nhint: {hint}", file.display())).into());
    }
    let target = Target::by_name(file).filter(|target| !matches!(target, Target::Folder | Target::Parquet));
    let wrong =
        || BadInput(format!("{}: a cleaned copy ends in .json, .jsonl, .csv or .tsv", file.display()));
    Ok(target.ok_or_else(wrong)?)
}

fn read_sets(splits: &[(&'static str, Split)]) -> anyhow::Result<Vec<Set>> {
    let mut lists = Vec::new();
    for (name, split) in splits {
        let entries = read_captions(Path::new(&split.captions))?.entries;
        if entries.is_empty() {
            return Err(BadInput(format!("{}: it has no captions", split.captions)).into());
        }
        let folder = fs::canonicalize(&split.images).ok().filter(|folder| folder.is_dir());
        let missing = || BadInput(format!("{}: no such folder of images", split.images));
        lists.push((*name, entries, folder.ok_or_else(missing)?));
    }
    let count = lists.iter().map(|(_, entries, _)| entries.len()).sum();
    let counter = std::sync::Mutex::new(Counter::new(&format!("looking at {count} images"), count));
    let look = |entry: Entry, folder: &Path| {
        let picture = picture_of(folder, &entry.image);
        if let Ok(mut counter) = counter.lock() {
            counter.add(1);
        }
        Sample { image: entry.image, captions: entry.captions, picture }
    };
    let of_list = |(name, entries, folder): (&'static str, Vec<Entry>, PathBuf)| Set {
        name,
        samples: entries.into_par_iter().map(|entry| look(entry, &folder)).collect(),
    };
    Ok(lists.into_iter().map(of_list).collect())
}

fn picture_of(folder: &Path, image: &str) -> Result<Fingerprint, Unusable> {
    let path = place_in(folder, image).map_err(Unusable::Broken)?;
    Fingerprint::read(&path).map_err(|error| match error.problem {
        ImageProblem::Missing => Unusable::Missing,
        problem => Unusable::Broken(problem.to_string()),
    })
}

fn sizes(sets: &[Set]) -> Vec<Size> {
    let size =
        |set: &Set| Size { name: set.name, images: set.samples.len(), captions: set.captions().count() };
    sets.iter().map(size).collect()
}

/// The table of faults, and the notes.
fn in_words(sets: &[Set], checked: &Checked) -> String {
    let mut text: String = sizes(sets)
        .iter()
        .map(|size| {
            let (images, captions) = (count_of(size.images, "image"), count_of(size.captions, "caption"));
            format!("{}: {images}, {captions}\n", size.name)
        })
        .collect();
    text.push('\n');
    if checked.faults.is_empty() {
        text.push_str("no image and no caption found that is wrong by itself\n");
    } else {
        text.push_str(&table(sets, checked));
    }
    for note in &checked.notes {
        let lines = textwrap(&format!("note: {}: {}", note.set, note.meaning), WIDTH);
        text.push_str(&format!("\n{}\n", lines.join("\n")));
    }
    text
}

fn table(sets: &[Set], checked: &Checked) -> String {
    let mut columns = vec![("found", Align::Left)];
    columns.extend(sets.iter().map(|set| (set.name, Align::Right)));
    columns.extend([("cleaned copy", Align::Left), ("for example", Align::Left)]);
    let mut table = Table::new(&columns);
    for kind in Kind::ALL {
        let mut such = checked.faults.iter().filter(|fault| fault.kind == kind).peekable();
        let Some(first) = such.peek() else { continue };
        let example = format!("{}: {}", shown(&first.image), shown(&first.why));
        let faults: Vec<_> = such.collect();
        let count = |set: &Set| match faults.iter().filter(|fault| fault.set == set.name).count() {
            0 => "-".to_owned(),
            count => count.to_string(),
        };
        let removes = match kind.removes() {
            Removes::Image => "without the image",
            Removes::Caption => "without the caption",
            Removes::Nothing => "as it is",
        };
        let cells = [kind.name().replace('_', " ")].into_iter().chain(sets.iter().map(count));
        table.row(cells.chain([removes.to_owned(), example]));
    }
    table.to_string()
}

/// A text from a file as a terminal can show it, on one line.
fn shown(text: &str) -> String {
    const LONGEST: usize = 90;
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut shown: String = text.chars().map(clean).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Writes the copy and the reasons. Returns what to say of it.
fn write_cleaned(
    file: &Path,
    target: Target,
    train: &Set,
    checked: &Checked,
    keep: &[Kind],
) -> anyhow::Result<String> {
    let (entries, removals) = cleaned(train, checked, keep);
    if entries.is_empty() {
        return Err(BadInput(format!("{}: nothing would be left", file.display())).into());
    }
    let bytes = match target {
        Target::Lines => write::lines(&entries)?,
        Target::Csv => write::table(&entries, ','),
        Target::Tsv => write::table(&entries, '\t'),
        _ => write::mapping(&entries, false)?,
    };
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".removed.csv");
    let reasons = file.with_file_name(name);
    let rows =
        removals.iter().map(|Removal { image, caption, kind, why }| [image, caption, *kind, why.as_str()]);
    write_atomic(&reasons, &write::rows_of(["image", "caption", "fault", "why"], rows, ','))?;
    write_atomic(file, &bytes)?;
    let captions: usize = entries.iter().map(|entry| entry.captions.len()).sum();
    Ok(format!(
        "{}: {}, {}; {} left out, each with its reason in {}",
        typed(file),
        count_of(entries.len(), "image"),
        count_of(captions, "caption"),
        removals.len(),
        typed(&reasons)
    ))
}
