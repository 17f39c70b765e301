//! Runs a sweep in rounds where `early_terminate` asks for it: all points come as far as a rung and wait there, then the
//! rule says which go on.
//!
//! So what is decided depends neither on how many run at a time nor on which is faster. A decision is written down before
//! it is acted on; a sweep that is cut off in between acts on what is written.

use std::collections::BTreeMap;

use anyhow::Context;

use super::dispatch::{Dispatched, Rules, dispatch_some};
use super::ending;
use super::inbox::Inbox;
use super::label::short_id;
use super::launcher::{Launcher, Task};
use super::progress::Progress;
use super::rungs::{Difference, Entrant, Seen, Verdict, entrants, judge};
use crate::plan::rungs::{Compared, longest};
use crate::record::event::Ended;
use crate::record::recipe::{Kind, MetricName};
use crate::record::rounds::{Round, Stop};
use crate::record::{RunRecord, RunSpec, Status, SweepDir};
use crate::spec::early_terminate::EarlyTerminate;
use crate::train;

/// What points are compared by.
#[derive(Debug, Clone, Copy)]
pub struct Contest {
    pub rule: EarlyTerminate,
    pub compared: Compared,
}

impl Contest {
    /// The epochs after which the runs of a plan are compared.
    fn rungs(&self, plan: &[RunSpec]) -> Vec<usize> {
        self.rule.rungs(longest(plan))
    }
}

/// Does the tasks within the rules, from rung to rung.
pub fn dispatch_in_rounds(
    sweep: &SweepDir,
    plan: &[RunSpec],
    tasks: &[Task],
    contest: &Contest,
    (rules, launcher): (&Rules, &dyn Launcher),
    inbox: &Inbox,
    progress: &mut dyn Progress,
) -> anyhow::Result<Dispatched> {
    let mut all = Dispatched::default();
    let mut left: Vec<usize> = (0..tasks.len()).collect();
    let mut rungs = contest.rungs(plan).into_iter();
    loop {
        let rung = rungs.next();
        let until = |task: &Task| Task { until_epoch: rung, ..task.clone() };
        let bounded: Vec<Task> = tasks.iter().map(until).collect();
        let mut round = Vec::new();
        for &index in &left {
            if !has_come_to(&tasks[index], rung)? {
                round.push(index);
            }
        }
        let done = dispatch_some(&bounded, round, rules, launcher, inbox, progress);
        let ended = |index: &usize| done.ends.iter().any(|(other, end)| other == index && !end.is_paused());
        left.retain(|index| !ended(index) && !done.elsewhere.contains(index));
        all.elsewhere.extend(&done.elsewhere);
        all.ends.extend(done.ends.into_iter().filter(|(_, ended)| !ended.is_paused()));
        all.unrecorded.extend(done.unrecorded);
        all.halt = done.halt;
        let (Some(epoch), None) = (rung, done.halt) else { return Ok(all) };
        for (run, ended) in compare(sweep, plan, epoch, contest, progress)? {
            if let Some(index) = tasks.iter().position(|task| task.spec.id == run) {
                progress.ended(index, &tasks[index], &ended);
                left.retain(|other| *other != index);
                all.ends.push((index, ended));
            }
        }
    }
}

/// Whether a run waits at the rung, or beyond it, already.
fn has_come_to(task: &Task, rung: Option<usize>) -> anyhow::Result<bool> {
    let Some(epoch) = rung else { return Ok(false) };
    let record = task.directory.try_read_record(task.spec.clone())?;
    // One that was killed has no end, and what its log has beyond its checkpoint it will come to again.
    let may_wait = matches!(record.status, None | Some(Status::Interrupted));
    Ok(may_wait && record.curve.last().is_some_and(|evaluated| evaluated.epoch >= epoch))
}

/// Compares the points that have come to a rung, and ends the runs of those that go no further.
fn compare(
    sweep: &SweepDir,
    plan: &[RunSpec],
    epoch: usize,
    contest: &Contest,
    progress: &mut dyn Progress,
) -> anyhow::Result<Vec<(String, Ended)>> {
    let runs = seen(sweep, plan)?;
    let (rounds, problems) = sweep.read_rounds();
    for problem in problems {
        progress.note(&format!("warning: {}: {problem}", sweep.rounds_path().display()));
    }
    let earlier: Vec<Round> = rounds.into_iter().filter(|round| round.epoch == epoch).collect();
    let metric = contest.compared.after(epoch);
    let points = entrants(&runs, epoch, metric);
    let verdicts = judge(&contest.rule, &points);
    let decided = points.iter().zip(&verdicts);
    let round = undecided(decided, &earlier, epoch, metric);
    if !(round.goes_on.is_empty() && round.stops.is_empty()) {
        sweep.append_round(&round)?;
        progress.note(&in_words(&points, &verdicts, epoch));
    }
    let mut ended = Vec::new();
    for stop in earlier.iter().flat_map(|round| &round.stops).chain(&round.stops) {
        let open = runs.iter().find(|run| run.record.spec.id == stop.run && !is_complete(&run.record));
        if let Some(run) = open {
            ended.push((stop.run.clone(), end(sweep, &run.record, stop)?));
        }
    }
    Ok(ended)
}

fn is_complete(record: &RunRecord) -> bool {
    record.status.is_some_and(Status::is_complete)
}

/// The fine-tuned runs of a plan that have begun.
fn seen(sweep: &SweepDir, plan: &[RunSpec]) -> anyhow::Result<Vec<Seen>> {
    let trained = plan.iter().filter(|run| run.recipe.kind == Kind::FineTuned);
    let read = |spec: &RunSpec| {
        let directory = sweep.run(&spec.id);
        let record = directory.try_read_record(spec.clone())?;
        Ok(Seen { record, per_image: directory.read_per_image().0 })
    };
    trained.map(read).collect()
}

/// What this comparison adds to those of before: of a point that is decided, every run is.
fn undecided<'a>(
    judged: impl Iterator<Item = (&'a Entrant, &'a Verdict)>,
    earlier: &[Round],
    epoch: usize,
    metric: MetricName,
) -> Round {
    let mut decided: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for round in earlier {
        decided.extend(round.goes_on.iter().map(|run| (run.as_str(), None)));
        decided.extend(round.stops.iter().map(|stop| (stop.run.as_str(), Some(stop.reason.as_str()))));
    }
    let (mut goes_on, mut stops) = (Vec::new(), Vec::new());
    for (point, verdict) in judged {
        let new = point.runs.iter().filter(|run| !decided.contains_key(run.as_str())).cloned();
        // A seed that is new shares the fate of those of its point that are not.
        let before = point.runs.iter().find_map(|run| decided.get(run.as_str()));
        let reason = match (before, verdict) {
            (Some(before), _) => before.map(str::to_owned),
            (None, Verdict::Stops(difference)) => Some(reason(difference, epoch, metric)),
            (None, Verdict::GoesOn | Verdict::IsTooClose(_)) => None,
        };
        match reason {
            Some(reason) => stops.extend(new.map(|run| Stop { run, reason: reason.clone() })),
            None => goes_on.extend(new),
        }
    }
    Round::now(epoch, goes_on, stops)
}

/// Why a run is stopped.
fn reason(difference: &Difference, epoch: usize, metric: MetricName) -> String {
    let Difference { than, mean, standard_error, images } = difference;
    format!(
        "stopped after epoch {epoch} (`early_terminate`): its {} is worse than that of {}, the last that goes on, by \
         {mean:.4} +- {standard_error:.4} over {images} validation images",
        metric.name(),
        short_id(than)
    )
}

fn in_words(points: &[Entrant], verdicts: &[Verdict], epoch: usize) -> String {
    let count = |is_so: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| is_so(verdict)).count();
    let stops = count(|verdict| matches!(verdict, Verdict::Stops(_)));
    let close = count(|verdict| matches!(verdict, Verdict::IsTooClose(_)));
    let close = match close {
        0 => String::new(),
        1 => ", 1 of them within the noise".to_owned(),
        count => format!(", {count} of them within the noise"),
    };
    let all = points.len();
    format!("after epoch {epoch}: {} of {all} points go on{close}, {stops} stop", all - stops)
}

/// Ends a run that waits, and removes what it would have gone on from.
fn end(sweep: &SweepDir, record: &RunRecord, stop: &Stop) -> anyhow::Result<Ended> {
    let directory = sweep.run(&stop.run);
    let (ended, appended) = ending::stop(record, &directory, stop.reason.clone());
    appended.with_context(|| format!("run {}: its end cannot be recorded", stop.run))?;
    train::forget(&directory)?;
    Ok(ended)
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
