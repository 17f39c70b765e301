//! Searches with scripted runs, whose score is a function of their settings.

use std::path::Path;

use super::*;
use crate::plan::expand;
use crate::record::event::{Ended, Evaluated, Summary};
use crate::record::recipe::Kind;
use crate::record::{Event, Journal, Status, Store};
use crate::run::dispatch::tests::{ended, evaluated, started};
use crate::run::outcome::outcome;
use crate::run::progress::Lines;
use crate::spec::parse;

const SEARCH: &str = "\
model: lab
name: x
method: bayes
run_cap: 13
bayes: {startup: 5, round: 4}
seeds: [0, 1]
references: {nearest_image: false, matched_length: false, simple_models: false}
parameters:
  learning_rate: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-1}
  weight_decay: {min: 0.0, max: 1.0}
";

fn spec(overrides: &[&str]) -> SweepSpec {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    parse(SEARCH, "study.yaml", &overrides).unwrap()
}

fn score(run: &RunSpec) -> f64 {
    let training = &run.recipe.training;
    1.0 - (training.learning_rate.log10() + 3.0).powi(2) / 10.0 - training.weight_decay
        + run.seed as f64 / 100.0
}

/// Ends a run as its settings say.
fn finish(sweep: &SweepDir, run: &RunSpec) {
    let best = Some(evaluated(1, score(run)));
    end(
        sweep,
        run,
        Event::Ended(Box::new(Ended {
            status: Status::Finished,
            reason: None,
            summary: Summary { best, ..Summary::default() },
        })),
    );
}

fn end(sweep: &SweepDir, run: &RunSpec, event: Event) {
    let directory = sweep.run(&run.id);
    std::fs::create_dir_all(&directory.path).unwrap();
    let attempt = directory.read_record(run.clone()).attempts + 1;
    let mut journal = Journal::open(&directory.events(), attempt).unwrap();
    journal.append(started(&run.id)).unwrap();
    journal.append(event).unwrap();
}

/// One call of `sweep run` that ends after so many runs. The plan as it is then, and what was said.
fn call(folder: &Path, spec: &SweepSpec, mut runs: usize) -> (Vec<RunSpec>, String) {
    let sweep = Store::new(folder).sweep("x");
    std::fs::create_dir_all(&sweep.path).unwrap();
    let search = Search::of(spec).unwrap().unwrap();
    let mut said = Vec::new();
    let plan = {
        let mut progress = Lines::new(&mut said);
        let first = expand(spec).unwrap().runs;
        let mut so_far = search.so_far(&sweep, &first, &mut progress).unwrap();
        loop {
            search.begin(&sweep).unwrap();
            for run in &so_far.plan {
                if runs > 0 && sweep.run(&run.id).read_record(run.clone()).status.is_none() {
                    finish(&sweep, run);
                    runs -= 1;
                }
            }
            let outcome = outcome(&sweep, &so_far.plan, &Default::default(), &Default::default()).unwrap();
            let is_over = outcome.unfinished() > 0;
            if is_over || !search.go_on(&sweep, &outcome.records, &mut so_far, &mut progress).unwrap() {
                break so_far.plan;
            }
        }
    };
    (plan, String::from_utf8(said).unwrap())
}

fn ids(plan: &[RunSpec]) -> Vec<&str> {
    plan.iter().map(|run| run.id.as_str()).collect()
}

#[test]
fn a_search_cut_off_anywhere_comes_to_the_same_plan_and_so_does_one_made_again_from_the_logs() {
    let spec = spec(&[]);
    let whole = tempfile::tempdir().unwrap();
    let (plan, said) = call(whole.path(), &spec, usize::MAX);
    let trained = plan.iter().filter(|run| run.recipe.kind == Kind::FineTuned).count();
    assert_eq!(trained, 26, "13 points by two seeds");
    assert_eq!(
        said,
        "search: 5 of 13 points are done; the next 4 follow from them\n\
                      search: 9 of 13 points are done; the next 4 follow from them\n"
    );
    for (cut, known) in [(1, 12), (7, 12), (12, 20), (13, 20), (20, 28), (27, 28)] {
        let folder = tempfile::tempdir().unwrap();
        let (part, _) = call(folder.path(), &spec, cut);
        assert!(plan.starts_with(&part) && part.len() == known, "cut after {cut} runs");
        assert_eq!(ids(&call(folder.path(), &spec, usize::MAX).0), ids(&plan), "cut after {cut} runs");
    }
    let sweep = Store::new(whole.path()).sweep("x");
    std::fs::remove_file(sweep.search_path()).unwrap();
    assert_eq!(call(whole.path(), &spec, 0).0, plan, "from the logs alone");
}

#[test]
fn a_search_that_is_extended_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (few, _) = call(folder.path(), &spec(&["run_cap=7"]), usize::MAX);
    let (more, said) = call(folder.path(), &spec(&[]), usize::MAX);
    assert!(!said.contains("anew"), "it is the same search: {said}");
    let whole = tempfile::tempdir().unwrap();
    assert_eq!(more, call(whole.path(), &spec(&[]), usize::MAX).0);
    assert!(more.starts_with(&few));
    let (seeds, _) = call(folder.path(), &spec(&["seeds=0,1,2"]), usize::MAX);
    let again: Vec<&RunSpec> = seeds.iter().filter(|run| run.seed != 2).collect();
    assert_eq!(again, more.iter().collect::<Vec<_>>(), "another seed of the points that there are");
    let less = call(folder.path(), &spec(&["run_cap=6"]), 0).0;
    assert_eq!(ids(&less), ids(&few)[..few.len() - 2], "and fewer are the first of them");
}

#[test]
fn what_is_written_down_is_acted_on_though_a_run_has_come_to_another_end_since() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(&[]);
    let sweep = Store::new(folder.path()).sweep("x");
    let first = expand(&spec).unwrap().runs;
    let best = first
        .iter()
        .filter(|run| run.recipe.kind == Kind::FineTuned)
        .max_by(|a, b| score(a).total_cmp(&score(b)));
    let best = best.unwrap().recipe.clone();
    for run in first.iter().filter(|run| run.recipe == best) {
        end(&sweep, run, ended(Status::Failed));
    }
    // References and the other four points; the runs of a round are all new.
    let (plan, _) = call(folder.path(), &spec, 2 + 8);
    assert_eq!(plan.len(), first.len() + 8, "a point that failed holds up nobody");
    first.iter().filter(|run| run.recipe == best).for_each(|run| finish(&sweep, run));
    assert_eq!(call(folder.path(), &spec, 0).0, plan);
    std::fs::remove_file(sweep.search_path()).unwrap();
    assert_ne!(call(folder.path(), &spec, 0).0, plan, "the best point would have led elsewhere");
}

/// The points of the second round, where the runs of the first ended so.
fn next_points(spec: &SweepSpec, how: impl Fn(&RunSpec) -> Ended) -> Vec<Point> {
    let folder = tempfile::tempdir().unwrap();
    let sweep = Store::new(folder.path()).sweep("x");
    std::fs::create_dir_all(&sweep.path).unwrap();
    let search = Search::of(spec).unwrap().unwrap();
    let mut said = Vec::new();
    let mut progress = Lines::new(&mut said);
    let first = expand(spec).unwrap().runs;
    for run in first.iter().filter(|run| run.recipe.kind == Kind::FineTuned) {
        end(&sweep, run, Event::Ended(Box::new(how(run))));
    }
    let mut so_far = search.so_far(&sweep, &first, &mut progress).unwrap();
    let records = outcome(&sweep, &first, &Default::default(), &Default::default()).unwrap().records;
    assert!(search.go_on(&sweep, &records, &mut so_far, &mut progress).unwrap());
    so_far.points.split_off(spec.points.len())
}

fn finished(best: Option<f64>, last: f64) -> Ended {
    let evaluated =
        |score: f64| Evaluated { score: Some(score), val_nll: Some(2.0 - score), ..Evaluated::default() };
    let summary = Summary { best: best.map(evaluated), last: Some(evaluated(last)), ..Summary::default() };
    Ended { status: Status::Finished, reason: None, summary }
}

#[test]
fn a_point_is_what_its_seeds_come_to_in_the_mean_by_the_sweeps_metric() {
    let by_score = next_points(&spec(&[]), |run| finished(Some(score(run)), 0.0));
    let lowest_loss = spec(&["metric={name: val_nll, goal: minimize}"]);
    assert_eq!(
        next_points(&lowest_loss, |run| finished(Some(score(run)), 0.0)),
        by_score,
        "of a loss the least"
    );
    // By one seed alone all points are alike.
    let by_one = |alike: u64| {
        next_points(&spec(&[]), |run| finished(Some(if run.seed == alike { 0.5 } else { score(run) }), 0.0))
    };
    assert_eq!((by_one(0), by_one(1)), (by_score.clone(), by_score.clone()));
    assert_ne!(next_points(&spec(&[]), |_| finished(Some(0.5), 0.0)), by_score);
}

#[test]
fn a_run_without_a_best_epoch_counts_by_its_last_and_one_that_failed_not_at_all() {
    let by_best = next_points(&spec(&[]), |run| finished(Some(score(run)), 0.0));
    assert_eq!(next_points(&spec(&[]), |run| finished(None, score(run))), by_best);
    // The worst point is the best before it fails.
    let spec = spec(&[]);
    let first = expand(&spec).unwrap().runs;
    let trained = first.iter().filter(|run| run.recipe.kind == Kind::FineTuned);
    let worst = trained.min_by(|a, b| score(a).total_cmp(&score(b))).unwrap().recipe.clone();
    let with_end = |of_worst: Ended| {
        next_points(&spec, |run| {
            if run.recipe == worst { of_worst.clone() } else { finished(Some(score(run)), 0.0) }
        })
    };
    let failed = |summary| Ended { status: Status::Failed, reason: None, summary };
    let high = finished(Some(9.0), 9.0);
    assert_eq!(with_end(failed(high.summary.clone())), with_end(failed(Summary::default())));
    assert_ne!(with_end(high), by_best);
}

#[test]
fn rounds_of_another_search_and_lines_that_are_none_count_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, _) = call(folder.path(), &spec(&[]), usize::MAX);
    let (other, said) = call(folder.path(), &spec(&["weight_decay={min: 0.0, max: 0.5}"]), 0);
    assert_eq!(
        (said.as_str(), other.len()),
        ("the search is not the one of before: its points are chosen anew\n", 12)
    );
    let sweep = Store::new(folder.path()).sweep("x");
    let text = std::fs::read_to_string(sweep.search_path()).unwrap();
    let broken = text.replacen("\"after\":5", "\"after\":6", 1).replace("weight_decay", "nothing");
    std::fs::write(sweep.search_path(), format!("{{}}\n{broken}")).unwrap();
    let (again, said) = call(folder.path(), &spec(&[]), 0);
    assert_eq!(again, plan, "made again from the logs");
    assert!(said.starts_with("warning: ") && said.contains("search.jsonl"), "{said}");
}

#[test]
fn a_grid_is_no_search() {
    let grid = parse("model: lab\nparameters: {epochs: [1, 2]}", "study.yaml", &[]).unwrap();
    assert!(Search::of(&grid).unwrap().is_none());
}
