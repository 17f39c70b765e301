//! `sweep report`: writes the reports and says where they are.

use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::typed;
use super::exit::BadInput;
use super::output::{self, Format};
use crate::report::{self, Document, Options, RatingFile};

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

const EXAMPLES: &str = "\
Examples:
  sweep report runs/
  sweep report runs/unfreeze --out /tmp/reports
  sweep report runs/unfreeze --format json
  sweep report runs/unfreeze --rating
  sweep report runs/unfreeze --ratings rating-unfreeze-Ann.json rating-unfreeze-Bob.json";

/// A line a sweep on stdout, or one JSON document; what was left out on stderr.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let options = Options {
        pictures: args.rating.then_some(args.rating_images.into()),
        files: args.ratings.iter().map(|path| RatingFile::read(path)).collect::<Result<_, _>>()?,
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
            for page in std::iter::once(&report.page).chain(&report.rating) {
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
