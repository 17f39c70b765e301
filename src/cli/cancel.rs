//! `sweep cancel`: takes back what was submitted.

use std::path::PathBuf;
use std::process::ExitCode;

use super::exit::{self, BadInput};
use super::output;
use super::queued;
use crate::cluster::cancel::cancel;
use crate::cluster::submit::KUBERNETES;
use crate::record::Store;

/// Take a sweep's jobs out of the cluster's queue.
///
/// Of Slurm and HyperQueue. What is at work is told to end and saves a checkpoint, if the cluster leaves it the time
/// (Slurm's KillWait); `sweep submit` goes on with it. Results stay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the results, or that of one sweep
    #[arg(value_name = "RUNS")]
    runs: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let sweeps = Store::new(&args.runs).sweeps()?;
    if sweeps.is_empty() {
        return Err(BadInput(format!("{}: holds no sweep", args.runs.display())).into());
    }
    for sweep in &sweeps {
        queued::warn_of_lines(sweep);
        let jobs = cancel(sweep)?;
        let words = if jobs.is_empty() {
            "nothing is in a queue".to_owned()
        } else {
            format!("cancelled: {}", jobs.join(", "))
        };
        output::print(&format!("{}: {words}", sweep.path.display()))?;
        if sweep.submissions(KUBERNETES).path.is_dir() {
            let folder = sweep.submissions(KUBERNETES).path;
            output::tell(&format!(
                "note: jobs of Kubernetes are for `kubectl delete -f {}`",
                folder.display()
            ));
        }
    }
    Ok(ExitCode::from(exit::ALL_IS_WELL))
}
