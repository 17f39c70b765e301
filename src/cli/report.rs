//! `sweep report`: writes the reports and says where they are.

use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::typed;
use super::exit::BadInput;
use super::output::{self, Format};
use crate::report::{self, Document};

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
    /// What to print: where the pages are, or all that the reports say
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  sweep report runs/
  sweep report runs/unfreeze --out /tmp/reports
  sweep report runs/unfreeze --format json";

/// A line a sweep on stdout, or one JSON document; what was left out on stderr.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let written = report::write(&args.runs, &args.out)?;
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
