//! `sweep`: plans, runs and reports experiment sweeps that fine-tune BLIP image captioners.

use std::process::ExitCode;

use clap::Parser;
use sweep::cli::{self, Command, CommandLine};

fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Init(args) => cli::init::run(args),
        Command::Plan(args) => cli::plan::run(args),
        Command::Audit(args) => cli::audit::run(args),
        Command::Run(args) => cli::run::run(args),
        Command::Submit(args) => cli::submit::run(args),
        Command::Cancel(args) => cli::cancel::run(args),
        Command::Report(args) => cli::report::run(args),
        Command::Status(args) => cli::status::run(args),
        Command::Prune(args) => cli::prune::run(args),
        Command::Caption(args) => cli::caption::run(args),
        Command::Score(args) => cli::score::run(args),
        Command::Data(args) => cli::data::run(args),
        Command::Schema(args) => cli::schema::run(args),
        Command::Lab(args) => cli::lab::run(args),
        Command::Worker(args) => cli::worker::run(args),
    };
    result.unwrap_or_else(|error| cli::exit::report(&error))
}
