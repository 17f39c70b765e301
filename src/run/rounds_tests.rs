//! Rounds with scripted runs: each scores the same after every epoch, and better than the one before it in the plan.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::Sender;

use super::*;
use crate::record::event::{Summary, paused_after};
use crate::record::run::PerImage;
use crate::record::{Event, Journal, Store};
use crate::run::dispatch::tests::{ended, evaluated, planned, started};
use crate::run::launcher::{Exit, Message, Running};
use crate::run::policy::{Halt, Policy};
use crate::run::survey::survey;
use crate::spec::early_terminate::Rule;

const EPOCHS: usize = 9;

/// Runs as many epochs as it is told to, and keeps a diary of them.
#[derive(Default)]
struct Scripts {
    /// What a run scores, by its id.
    scores: BTreeMap<String, f64>,
    /// The run that fails when it is started.
    fails: Option<&'static str>,
    /// The run at whose start the user wants to stop.
    interrupted: Option<&'static str>,
    diary: RefCell<Vec<String>>,
}

struct Done(Exit);

impl Running for Done {
    fn ask_to_stop(&mut self) {}
    fn kill(&mut self) {}
    fn wait(&mut self) -> std::io::Result<Exit> {
        Ok(self.0)
    }
}

impl Launcher for Scripts {
    fn launch(
        &self,
        index: usize,
        task: &Task,
        messages: &Sender<Message>,
    ) -> anyhow::Result<Box<dyn Running>> {
        let id = task.spec.id.as_str();
        let record = task.directory.try_read_record(task.spec.clone())?;
        let done = record.curve.last().map_or(0, |evaluated| evaluated.epoch);
        std::fs::create_dir_all(&task.directory.path)?;
        let mut journal = Journal::open(&task.directory.events(), record.attempts + 1)?;
        let mut say = |event: Event| journal.append(event).map(drop);
        let Event::Started(mut began) = started(id) else { unreachable!() };
        (began.resumed_from_epoch, began.steps_per_epoch, began.total_steps) = (done, 10, 90);
        say(Event::Started(began))?;
        if self.fails == Some(id) {
            say(ended(Status::Failed))?;
            messages.send(Message::Closed { task: index })?;
            return Ok(Box::new(Done(Exit::Code(42))));
        }
        if self.interrupted == Some(id) {
            messages.send(Message::Interrupted)?;
        }
        let until = task.until_epoch.unwrap_or(EPOCHS).min(EPOCHS);
        for epoch in done + 1..=until {
            let score = self.scores[id];
            say(Event::Evaluated(Box::new(evaluated(epoch, score))))?;
            task.directory.append_per_image(&rows(epoch, score))?;
        }
        self.diary.borrow_mut().push(format!("{id}:{}-{until}", done + 1));
        let summary =
            Summary { epochs: until, best: Some(evaluated(until, self.scores[id])), ..Summary::default() };
        let (status, reason) = match until {
            EPOCHS => (Status::Finished, None),
            epoch => (Status::Interrupted, Some(paused_after(epoch))),
        };
        say(Event::Ended(Box::new(Ended { status, reason, summary })))?;
        messages.send(Message::Closed { task: index })?;
        Ok(Box::new(Done(Exit::Code(0))))
    }
}

fn rows(epoch: usize, score: f64) -> Vec<PerImage> {
    let row = |image: usize| {
        let value = Some(score + image as f64);
        PerImage {
            epoch,
            image: image.to_string(),
            split: "validation".to_owned(),
            loss: None,
            meteor: value,
            rouge_l: value,
            cider_d: value.map(|value| 10.0 * value),
        }
    };
    (0..4).map(row).collect()
}

#[derive(Default)]
struct Notes(Vec<String>);

impl Progress for Notes {
    fn planned(&mut self, _: &crate::run::progress::Sweep) {}
    fn started(&mut self, _: usize, _: &Task) {}
    fn said(&mut self, _: usize, _: &Task, _: &Event) {}
    fn ended(&mut self, _: usize, task: &Task, ended: &Ended) {
        self.0.push(format!("{} {}", task.spec.id, ended.status.name()));
    }
    fn cut_off(&mut self, _: usize, _: &Task, _: &str) {}
    fn downloading(&mut self, _: &crate::hub::Download) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

/// Points `r1`, `r2`, ..., each better than the one before.
fn plan(points: std::ops::RangeInclusive<usize>) -> Vec<RunSpec> {
    let point = |number: usize| {
        let mut spec = planned(&format!("r{number}"));
        spec.recipe.training.epochs = EPOCHS;
        spec.recipe.training.warmup_steps = 0;
        spec.recipe.training.learning_rate = number as f64 * 1e-4;
        spec
    };
    points.map(point).collect()
}

fn scripts(plan: &[RunSpec]) -> Scripts {
    let score = |spec: &RunSpec| (spec.id.clone(), spec.recipe.training.learning_rate * 1e3);
    Scripts { scores: plan.iter().map(score).collect(), ..Scripts::default() }
}

/// One call of `sweep run`.
fn run(folder: &Path, plan: &[RunSpec], scripts: &Scripts) -> (Dispatched, Vec<String>) {
    let sweep = Store::new(folder).sweep("x");
    let tasks = survey(&sweep, plan, None).unwrap().missing;
    let contest = Contest {
        rule: EarlyTerminate { rule: Rule::Halving { eta: 3 }, min_iter: 1, noise: 1.0, metric: None },
        compared: Compared::by(MetricName::Score),
    };
    let policy = Policy::default();
    let rules = Rules { jobs: 1, policy: &policy };
    let mut notes = Notes::default();
    let done =
        dispatch_in_rounds(&sweep, plan, &tasks, &contest, (&rules, scripts), &Inbox::new(), &mut notes)
            .unwrap();
    (done, notes.0)
}

fn status(folder: &Path, plan: &[RunSpec]) -> Vec<String> {
    let records = Store::new(folder).sweep("x").read_standings(plan);
    let one = |record: RunRecord| {
        let epochs = record.summary.map_or(0, |summary| summary.epochs);
        format!("{} {} {epochs}", record.spec.id, record.status.map_or("none", Status::name))
    };
    records.into_iter().map(|record| one(record.unwrap())).collect()
}

#[test]
fn all_points_come_to_a_rung_before_any_goes_on_and_the_rest_end_as_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(1..=6);
    let scripts = scripts(&plan);
    let (done, notes) = run(folder.path(), &plan, &scripts);
    let diary = scripts.diary.take().join(" ");
    assert_eq!(diary, "r1:1-1 r2:1-1 r3:1-1 r4:1-1 r5:1-1 r6:1-1 r5:2-3 r6:2-3 r6:4-9");
    let standing =
        ["r1 pruned 1", "r2 pruned 1", "r3 pruned 1", "r4 pruned 1", "r5 pruned 3", "r6 finished 9"];
    assert_eq!(status(folder.path(), &plan), standing);
    assert_eq!((done.halt, done.ends.len()), (None, 6));
    assert!(notes.contains(&"after epoch 1: 2 of 6 points go on, 4 stop".to_owned()), "{notes:?}");
    let sweep = Store::new(folder.path()).sweep("x");
    let (rounds, _) = sweep.read_rounds();
    let told: Vec<_> =
        rounds.iter().map(|round| (round.epoch, round.goes_on.join(" "), round.stops.len())).collect();
    assert_eq!(told, [(1, "r5 r6".to_owned(), 4), (3, "r6".to_owned(), 1)]);
    insta::assert_snapshot!(sweep.run("r1").read_end().unwrap().reason.unwrap(), @"stopped after epoch 1 (`early_terminate`): its score is worse than that of r5, the last that goes on, by 0.4000 +- 0.0000 over 4 validation images");
    assert!(run(folder.path(), &plan, &scripts).0.ends.is_empty(), "nothing is left to do");
}

#[test]
fn a_sweep_that_is_cut_off_comes_to_the_same_end() {
    for cut in ["r1", "r3", "r6"] {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(1..=6);
        let first = Scripts { interrupted: Some(cut), ..scripts(&plan) };
        let (done, _) = run(folder.path(), &plan, &first);
        assert_eq!(done.halt, Some(Halt::Interrupted), "{cut}");
        assert_eq!(Store::new(folder.path()).sweep("x").read_rounds().0, [], "{cut}");
        let again = scripts(&plan);
        assert_eq!(run(folder.path(), &plan, &again).0.halt, None);
        let [_, _, _, _, fifth, sixth] = &status(folder.path(), &plan)[..] else { panic!() };
        assert_eq!((fifth.as_str(), sixth.as_str()), ("r5 pruned 3", "r6 finished 9"), "{cut}");
        let epochs = first.diary.take().len() + again.diary.take().len();
        assert_eq!(epochs, 9, "every epoch once");
    }
}

#[test]
fn what_is_written_down_is_acted_on_and_not_decided_anew() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(1..=3);
    let sweep = Store::new(folder.path()).sweep("x");
    std::fs::create_dir_all(&sweep.path).unwrap();
    // Against all that will be measured.
    let stop = |run: &str| Stop { run: run.to_owned(), reason: "by the log".to_owned() };
    sweep.append_round(&Round::now(1, vec!["r1".to_owned()], vec![stop("r2"), stop("r3")])).unwrap();
    run(folder.path(), &plan, &scripts(&plan));
    assert_eq!(status(folder.path(), &plan), ["r1 finished 9", "r2 pruned 1", "r3 pruned 1"]);
    assert_eq!(sweep.run("r3").read_end().unwrap().reason.as_deref(), Some("by the log"));
}

#[test]
fn points_that_are_added_are_compared_with_those_that_there_are_and_change_nothing_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let all = plan(1..=9);
    run(folder.path(), &all[..3], &scripts(&all));
    assert_eq!(status(folder.path(), &all[..3]), ["r1 pruned 1", "r2 pruned 1", "r3 finished 9"]);
    let more = scripts(&all);
    run(folder.path(), &all, &more);
    assert_eq!(more.diary.take()[..6].join(" "), "r4:1-1 r5:1-1 r6:1-1 r7:1-1 r8:1-1 r9:1-1");
    let now = status(folder.path(), &all);
    assert_eq!(now[..3], ["r1 pruned 1", "r2 pruned 1", "r3 finished 9"]);
    assert_eq!(
        now[3..].join(", "),
        "r4 pruned 1, r5 pruned 1, r6 pruned 1, r7 pruned 3, r8 finished 9, r9 finished 9"
    );
}

#[test]
fn a_run_that_fails_holds_up_nobody_and_is_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(1..=4);
    let scripts = Scripts { fails: Some("r4"), ..scripts(&plan) };
    run(folder.path(), &plan, &scripts);
    let standing = ["r1 pruned 1", "r2 pruned 1", "r3 finished 9", "r4 failed 0"];
    assert_eq!(status(folder.path(), &plan), standing);
}
