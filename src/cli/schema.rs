//! `sweep schema`: what a sweep file may say.

use std::process::ExitCode;

use super::output;
use crate::spec::schema;

/// Print what a sweep file may say: a JSON Schema for editors, or every key with its meaning.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A schema, or a page for people
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Json,
    Markdown,
}

const EXAMPLES: &str = "\
Examples:
  sweep schema > schema.json               editors check against it: `# yaml-language-server: $schema=schema.json`
  sweep schema --format markdown | less    every key, its values and what it means";

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.format {
        // For programs alone: indented it would be twice as long.
        Format::Json => output::print(&schema::schema().to_string())?,
        Format::Markdown => output::print(schema::page().trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}
