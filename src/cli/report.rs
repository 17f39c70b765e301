//! `sweep report`: writes the reports and says where they are.

use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::typed;
use super::exit::BadInput;
use super::output::{self, Format};
use crate::data::caption_files;
use crate::report::{self, Document, Options, OtherSystem};

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
    /// What to print: where the pages are, or all that the reports say
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  sweep report runs/
  sweep report runs/unfreeze --out /tmp/reports
  sweep report runs/unfreeze --with GPT=gpt_captions.json --with 'a person=captions.json'
  sweep report runs/unfreeze --format json";

/// A line a sweep on stdout, or one JSON document; what was left out on stderr.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let written = report::write(&args.runs, &args.out, &Options { others: others(args.with)? })?;
    if written.is_empty() {
        let runs = typed(&args.runs);
        return Err(BadInput(format!("no sweep in {runs}\nhint: `sweep run SPEC` makes one")).into());
    }
    for report in &written {
        for left_out in &report.left_out {
            eprintln!("{}: {left_out}", report.sweep);
        }
        if args.format == Format::Text {
            output::print(&report.page.display().to_string())?;
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
