//! `sweep report`: writes the reports and says where they are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::typed;
use super::exit::BadInput;
use super::output::{self, Format};
use crate::analysis::lexicon::Lexicon;
use crate::data::caption_files;
use crate::record::bounded;
use crate::report::{self, Document, Options, OtherSystem, RatingFile};

/// Write a report on every sweep: HTML page, PNG charts, CSV and Parquet tables.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder of the results, or that of one sweep
    #[arg(value_name = "RUNS", default_value = "runs")]
    runs: PathBuf,
    /// Folder the reports go to, one subfolder a sweep
    #[arg(long, value_name = "DIR", default_value = "reports")]
    out: PathBuf,
    /// Captions of another system for the same images, as a row in every table and a bar in the charts; FILE in any form
    /// that `sweep score` reads as predictions
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    with: Vec<(String, PathBuf)>,
    /// Words that name attributes, by kind, in place of those of clothing: YAML of the form
    /// `color: {visible: true, words: [red, blue]}`
    #[arg(long, value_name = "FILE")]
    lexicon: Option<PathBuf>,
    /// Also write a page on two runs side by side: by rank (1), by id or its beginning, zero-shot or another reference
    /// run, or the name of another system
    #[arg(long, value_names = ["A", "B"], num_args = 2)]
    compare: Option<Vec<String>>,
    /// Also write a page on which people rate captions, zero-shot and of the best run, without knowing whose they are
    #[arg(long)]
    rating: bool,
    /// Pictures on that page at most
    #[arg(long, value_name = "N", default_value_t = 40, requires = "rating", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rating_images: u16,
    /// What people exported from such pages: adds human evaluation to the report
    #[arg(long, value_name = "FILE", num_args = 1..)]
    ratings: Vec<PathBuf>,
    /// What to print: where the pages are, or all that the reports say
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Larger files are no lexicons.
const MAX_LEXICON_BYTES: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  sweep report runs/
  sweep report runs/unfreeze --out /tmp/reports
  sweep report runs/unfreeze --with GPT=gpt_captions.json --with 'a person=captions.json'
  sweep report runs/unfreeze --compare 1 zero-shot
  sweep report runs/unfreeze --format json
  sweep report runs/unfreeze --rating
  sweep report runs/unfreeze --ratings rating-unfreeze-Ann.json rating-unfreeze-Bob.json";

/// A line a page on stdout, or one JSON document; what was left out on stderr.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let options = Options {
        others: others(args.with)?,
        lexicon: args.lexicon.as_deref().map(lexicon).transpose()?,
        pair: args.compare.and_then(|names| names.try_into().ok()),
        pictures: args.rating.then_some(args.rating_images.into()),
        ratings: args.ratings.iter().map(|path| RatingFile::read(path)).collect::<Result<_, _>>()?,
    };
    let written = report::write(&args.runs, &args.out, &options)?;
    if written.is_empty() {
        let runs = typed(&args.runs);
        return Err(BadInput(format!("no sweep in {runs}\nhint: `sweep run SPEC` makes one")).into());
    }
    for report in &written {
        for left_out in &report.left_out {
            eprintln!("{}: {left_out}", report.sweep);
        }
        if args.format == Format::Text {
            for page in
                std::iter::once(&report.page).chain(report.comparison.iter().flatten()).chain(&report.rating)
            {
                output::print(&page.display().to_string())?;
            }
        }
    }
    if args.format == Format::Json {
        let reports = written.iter().map(|report| &report.content).collect();
        output::print_json(&Document { v: report::VERSION, program: env!("CARGO_PKG_VERSION"), reports })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A name and a path, from what is typed.
fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.trim().is_empty() && !path.is_empty() => {
            Ok((name.trim().to_owned(), path.into()))
        }
        _ => Err("it has the form NAME=FILE, such as GPT=captions.json".to_owned()),
    }
}

/// Reads the captions of other systems; a name that occurs twice is refused.
fn others(named: Vec<(String, PathBuf)>) -> anyhow::Result<Vec<OtherSystem>> {
    let mut others: Vec<OtherSystem> = Vec::new();
    for (name, path) in named {
        if others.iter().any(|other| other.name == name) {
            return Err(BadInput(format!("--with: the name {name:?} occurs twice")).into());
        }
        others.push(OtherSystem { captions: caption_files::read(&path)?, name });
    }
    Ok(others)
}

/// Reads a lexicon.
fn lexicon(path: &Path) -> anyhow::Result<Lexicon> {
    let refused = |reason: String| BadInput(format!("{}: {reason}", path.display()));
    let text = bounded::read_text(path, MAX_LEXICON_BYTES)
        .map_err(|error| refused(format!("cannot read the lexicon: {error}")))?;
    Ok(Lexicon::parse(&text).map_err(|error| refused(error.to_string()))?)
}
