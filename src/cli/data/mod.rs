//! `sweep data`: looks after captions and images before anything is trained on them; one file a subcommand.

use std::process::ExitCode;

use clap::Subcommand;

mod check;
mod convert;
mod preview;
mod source;

/// Look after captions and images: find what is wrong with them, look at them, convert them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum Command {
    Check(check::Args),
    Preview(preview::Args),
    Convert(convert::Args),
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check(args) => check::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Convert(args) => convert::run(args),
    }
}
