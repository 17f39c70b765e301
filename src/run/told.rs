//! What the user is told before anything runs: what stays as it is, and why.

use super::earlier;
use super::execute::Options;
use super::policy::{Retry, Standing};
use super::progress::Progress;
use super::survey::Survey;
use crate::record::{RunSpec, Status, SweepDir};
use crate::train::lacks_its_accelerator;

/// Says what of before is of interest to the user, and tidies up.
pub fn look_around(
    sweep: &SweepDir,
    plan: &[RunSpec],
    options: &Options,
    survey: &Survey,
    progress: &mut dyn Progress,
) {
    if options.devices.is_empty() && options.device == "auto" && lacks_its_accelerator() {
        progress.note("note: the CUDA driver finds no device, and runs compute on the CPU");
    }
    tell_what_is_left_behind(survey.left_behind.len(), options.search.is_some(), progress);
    tell_what_stays(survey, options.policy.retry, progress);
    if options.contest.is_none() {
        tell_what_was_stopped(sweep, plan, progress);
    }
    for warning in earlier::look_after(sweep, plan, &options.runs) {
        progress.note(&warning);
    }
}

/// Says how many runs of before are not in the plan; that of a search may come to them again.
fn tell_what_is_left_behind(count: usize, is_search: bool, progress: &mut dyn Progress) {
    progress.note(&match (count, is_search) {
        (0, _) => return,
        (1, false) => "1 run is no longer planned; its folder stays".to_owned(),
        (_, false) => format!("{count} runs are no longer planned; their folders stay"),
        (1, true) => {
            "1 run of before is not in the plan so far; where the search comes to it again, its result counts".to_owned()
        }
        (_, true) => format!(
            "{count} runs of before are not in the plan so far; where the search comes to them again, their results count"
        ),
    });
}

fn tell_what_stays(survey: &Survey, retry: Option<Retry>, progress: &mut dyn Progress) {
    let left_out = |standing| {
        let ids = survey.left_out.iter().filter(|(_, stands)| *stands == standing).map(|(id, _)| id.as_str());
        Some(ids.collect::<Vec<_>>().join(", ")).filter(|ids| !ids.is_empty())
    };
    if let Some(ids) = left_out(Standing::Diverged) {
        progress.note(&format!(
            "diverged before, and would again: {ids}\nhint: `--retry all` runs them all the same"
        ));
    }
    let asked = retry.map(Retry::name).unwrap_or_default();
    for (standing, what) in [(Standing::Failed, "failed"), (Standing::Interrupted, "interrupted")] {
        if let Some(ids) = left_out(standing) {
            progress.note(&format!("{what} before, and left out by `--retry {asked}`: {ids}"));
        }
    }
}

/// Says which runs have their end by a rule that the sweep no longer has.
fn tell_what_was_stopped(sweep: &SweepDir, plan: &[RunSpec], progress: &mut dyn Progress) {
    if !sweep.rounds_path().is_file() {
        return;
    }
    let records = sweep.read_standings(plan).into_iter().filter_map(Result::ok);
    let stopped = records.filter(|record| record.status == Some(Status::Pruned));
    let ids: Vec<String> = stopped.map(|record| record.spec.id).collect();
    if !ids.is_empty() {
        progress.note(&format!(
            "stopped before in favour of better runs (`early_terminate`), and left so: {}\nhint: remove their folders to \
             run them whole",
            ids.join(", ")
        ));
    }
}
