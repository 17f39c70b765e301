//! `sweep data`: looks after captions and images before anything is trained on them; one file a subcommand.

use std::process::ExitCode;

use clap::Subcommand;

mod convert;

/// Look after captions and images: convert them from one form into another.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum Command {
    Convert(convert::Args),
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Convert(args) => convert::run(args),
    }
}
