//! The command line: one file per subcommand, each with its `Args` and a `run(args)` that returns the exit code.
//!
//! Results go to standard output ([`output`]), progress and errors to standard error ([`exit`]).

use clap::{Parser, Subcommand};

pub mod arguments;
pub mod audit;
mod auditing;
pub mod cancel;
pub mod caption;
mod conventions;
pub mod data;
pub mod exit;
mod facts;
pub mod init;
pub mod lab;
mod launching;
mod looking;
pub mod output;
pub mod plan;
pub mod prune;
mod queued;
pub mod report;
pub mod run;
pub mod schema;
pub mod score;
mod speed;
pub mod status;
pub mod submit;
mod table;
pub mod worker;

/// Plans, runs and reports experiment sweeps that fine-tune BLIP image captioners.
#[derive(Debug, Parser)]
#[command(name = "sweep", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    Init(init::Args),
    Plan(plan::Args),
    Audit(audit::Args),
    Run(run::Args),
    Submit(submit::Args),
    Cancel(cancel::Args),
    Report(report::Args),
    Status(status::Args),
    Prune(prune::Args),
    Caption(caption::Args),
    Score(score::Args),
    Data(data::Args),
    Schema(schema::Args),
    Lab(lab::Args),
    #[command(hide = true)]
    Worker(worker::Args),
}

const EXAMPLES: &str = "\
Examples:
  sweep init images captions.json                      write a first sweep file for your own images
  sweep audit sweeps/unfreeze.yaml                     see what stands in the way before training
  sweep run sweeps/unfreeze.yaml                       train every run of a sweep
  sweep run sweeps/unfreeze.yaml learning_rate=1e-4    the same with another setting
  sweep report runs/                                   see what came of it
  sweep prune runs/                                    see what could be removed to free disk
  sweep caption --model runs/unfreeze/r.../best x.jpg  use what was trained

Exit codes: 0 all is well, 1 unexpected error, 2 wrong usage or a bad file, 3 some runs failed,
130 interrupted or out of its time budget.";
