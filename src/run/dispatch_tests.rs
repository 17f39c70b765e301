//! The dispatcher with scripted runs instead of processes.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::*;
use crate::record::event::{Evaluated, Started, Step, Summary, Trainable};
use crate::record::run::tests::any_run;
use crate::record::{Event, Journal, RunSpec, Store};
use crate::run::survey::survey;

/// A run of two epochs.
pub fn planned(id: &str) -> RunSpec {
    let mut spec = RunSpec { sweep: "x".to_owned(), point: [].into(), ..any_run(id) };
    spec.recipe.training.epochs = 2;
    spec
}

pub fn task(runs: &Path, spec: RunSpec) -> Task {
    Task { directory: Store::new(runs).sweep("x").run(&spec.id), spec, position: 0, until_epoch: None }
}

pub fn started(run: &str) -> Event {
    Event::Started(Box::new(Started {
        run: run.into(),
        sweep: "x".into(),
        program: "0.1.0".into(),
        device: "cpu".into(),
        threads: 1,
        model_digest: "model".into(),
        data_digest: "data".into(),
        train_examples: 2,
        validation_examples: 1,
        test_examples: 1,
        steps_per_epoch: 2,
        total_steps: 4,
        trainable: Trainable::default(),
        frozen_digest: "frozen".into(),
        resumed_from_epoch: 0,
        resumed_from_step: Some(0),
        notes: Vec::new(),
    }))
}

pub fn step(epoch: usize, step: usize) -> Event {
    Event::Step(Step {
        epoch,
        step,
        loss: 1.0,
        learning_rate: 1e-5,
        gradient_norm: 1.0,
        images_per_second: 9.0,
        ..Step::default()
    })
}

pub fn evaluated(epoch: usize, score: f64) -> Evaluated {
    Evaluated { epoch, step: 2 * epoch, score: Some(score), ..Evaluated::default() }
}

pub fn ended(status: Status) -> Event {
    Event::Ended(Box::new(Ended { status, reason: None, summary: Summary::default() }))
}

/// What a scripted run does.
#[derive(Clone, Copy, PartialEq)]
enum Script {
    Finishes,
    Fails,
    /// Says that it started and is gone.
    Dies(Exit),
    /// Works until it is asked to stop.
    Waits,
    /// Ends by itself just when it is asked to stop.
    EndsWhenAsked,
    /// Works until it is killed.
    Hangs,
    /// Loads until it is killed.
    Loads,
    CannotStart,
    /// Waits in vain for another process to let go of the run.
    GivesUp,
}

/// Launches scripts and keeps a diary of what was done to them.
#[derive(Clone, Default)]
struct Scripts {
    scripts: Vec<(&'static str, Script)>,
    diary: Rc<RefCell<Vec<String>>>,
}

struct ScriptedRun {
    index: usize,
    task: Task,
    script: Script,
    exit: Exit,
    messages: Sender<Message>,
    diary: Rc<RefCell<Vec<String>>>,
    attempt: u64,
}

impl ScriptedRun {
    fn say(&self, event: Event) {
        let mut journal = Journal::open(&self.task.directory.events(), self.attempt).unwrap();
        let line = journal.append(event).unwrap();
        self.messages.send(Message::Said { task: self.index, line }).unwrap();
    }

    fn close(&mut self, exit: Exit) {
        self.exit = exit;
        self.messages.send(Message::Closed { task: self.index }).unwrap();
    }

    fn note(&self, what: &str) {
        self.diary.borrow_mut().push(format!("{what} {}", self.task.spec.id));
    }

    fn begin(&mut self) {
        match self.script {
            Script::Loads => return,
            Script::GivesUp => return self.close(Exit::Code(75)),
            _ => {}
        }
        self.say(started(&self.task.spec.id));
        match self.script {
            Script::Finishes => {
                self.say(ended(Status::Finished));
                self.close(Exit::Code(0));
            }
            Script::Fails => {
                self.say(ended(Status::Failed));
                self.close(Exit::Code(42));
            }
            Script::Dies(exit) => self.close(exit),
            _ => {}
        }
    }
}

impl Running for ScriptedRun {
    fn ask_to_stop(&mut self) {
        self.note("ask");
        match self.script {
            Script::Waits => {
                self.say(ended(Status::Interrupted));
                self.close(Exit::Code(75));
            }
            Script::EndsWhenAsked => {
                self.say(ended(Status::Finished));
                self.close(Exit::Code(0));
            }
            _ => {}
        }
    }
    fn kill(&mut self) {
        self.note("kill");
        self.close(Exit::Signal(9));
    }
    fn wait(&mut self) -> io::Result<Exit> {
        self.note("wait");
        Ok(self.exit)
    }
}

impl Launcher for Scripts {
    fn launch(
        &self,
        index: usize,
        task: &Task,
        messages: &Sender<Message>,
    ) -> anyhow::Result<Box<dyn Running>> {
        let script = self.scripts.iter().find(|(id, _)| *id == task.spec.id).unwrap().1;
        std::fs::create_dir_all(&task.directory.path).unwrap();
        if script == Script::CannotStart {
            anyhow::bail!("no such program");
        }
        let attempt = task.directory.read_record(task.spec.clone()).attempts + 1;
        let mut run = ScriptedRun {
            index,
            task: task.clone(),
            script,
            exit: Exit::Code(0),
            messages: messages.clone(),
            diary: Rc::clone(&self.diary),
            attempt,
        };
        run.note("launch");
        run.begin();
        Ok(Box::new(run))
    }
}

/// Shows nothing; interrupts the sweep at the chosen events.
struct Watch {
    inbox: Sender<Message>,
    /// Interrupts when so many runs have said that they started.
    interrupt_at: Option<usize>,
    /// Interrupts once more when told that the runs are asked to stop.
    twice: bool,
    begun: usize,
    notes: Vec<String>,
}

impl Progress for Watch {
    fn planned(&mut self, _: &crate::run::progress::Sweep) {}
    fn started(&mut self, _: usize, _: &Task) {}
    fn said(&mut self, _: usize, _: &Task, event: &Event) {
        self.begun += usize::from(matches!(event, Event::Started(_)));
        if matches!(event, Event::Started(_)) && Some(self.begun) == self.interrupt_at {
            self.inbox.send(Message::Interrupted).unwrap();
        }
    }
    fn ended(&mut self, _: usize, _: &Task, _: &Ended) {}
    fn cut_off(&mut self, _: usize, task: &Task, why: &str) {
        self.notes.push(format!("{}: {why}", task.spec.id));
    }
    fn downloading(&mut self, _: &crate::hub::Download) {}
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
        if self.twice && text.starts_with("stopping") {
            self.inbox.send(Message::Interrupted).unwrap();
        }
    }
}

/// A sweep of scripted runs in a folder of its own.
struct Stage {
    folder: tempfile::TempDir,
    plan: Vec<RunSpec>,
    scripts: Scripts,
    policy: Policy,
    /// What the user was told.
    notes: RefCell<Vec<String>>,
}

impl Stage {
    fn new(scripts: &[(&'static str, Script)]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            plan: scripts.iter().map(|(id, _)| planned(id)).collect(),
            scripts: Scripts { scripts: scripts.to_vec(), ..Scripts::default() },
            policy: Policy::default(),
            notes: RefCell::default(),
        }
    }

    /// Runs what is missing and returns how it went and what was done.
    fn run(&self, jobs: usize, interrupt_at: Option<usize>, twice: bool) -> (Dispatched, Vec<String>) {
        let sweep = Store::new(self.folder.path()).sweep("x");
        sweep.write_plan(&self.plan).unwrap();
        let tasks = survey(&sweep, &self.plan, None).unwrap().missing;
        let inbox = Inbox::new().until(self.policy.deadline(Instant::now()));
        let mut watch =
            Watch { inbox: inbox.sender.clone(), interrupt_at, twice, begun: 0, notes: Vec::new() };
        let rules = Rules { jobs, policy: &self.policy };
        let dispatched = dispatch(&tasks, &rules, &self.scripts, &inbox, &mut watch);
        self.notes.borrow_mut().extend(watch.notes);
        (dispatched, self.scripts.diary.take())
    }

    fn statuses(&self) -> Vec<Option<Status>> {
        let sweep = Store::new(self.folder.path()).sweep("x");
        sweep.read_records().unwrap().iter().map(|record| record.status).collect()
    }

    fn reason(&self, id: &str) -> String {
        let task = task(self.folder.path(), planned(id));
        task.directory.read_record(task.spec).reason.unwrap_or_default()
    }
}

use Script::*;

#[test]
fn no_more_runs_work_at_a_time_than_there_are_slots_and_all_are_done_in_order() {
    let stage = Stage::new(&[("a", Finishes), ("b", Finishes), ("c", Finishes)]);
    let (done, diary) = stage.run(2, None, false);
    assert_eq!(diary, ["launch a", "launch b", "wait a", "launch c", "wait b", "wait c"]);
    assert_eq!(done.ends.len(), 3);
    assert_eq!(done.halt, None);
}

#[test]
fn a_failed_run_does_not_stop_the_others_and_is_tried_again_next_time() {
    let stage = Stage::new(&[("a", Fails), ("b", CannotStart), ("c", Finishes)]);
    stage.run(1, None, false);
    assert_eq!(stage.statuses(), [Some(Status::Failed), Some(Status::Failed), Some(Status::Finished)]);
    assert_eq!(stage.reason("b"), "no such program");
    let (_, diary) = stage.run(1, None, false);
    assert_eq!(diary, ["launch a", "wait a"]);
}

#[test]
fn a_complete_sweep_starts_nothing() {
    let stage = Stage::new(&[("a", Finishes), ("b", Finishes)]);
    stage.run(2, None, false);
    let (done, diary) = stage.run(2, None, false);
    assert!(diary.is_empty() && done.ends.is_empty() && done.halt.is_none());
}

#[test]
fn a_run_whose_process_dies_gets_an_end_that_names_the_cause() {
    let stage = Stage::new(&[("a", Dies(Exit::Signal(11))), ("b", Dies(Exit::Code(101))), ("c", Finishes)]);
    let (done, _) = stage.run(1, None, false);
    assert_eq!(stage.statuses(), [Some(Status::Failed), Some(Status::Failed), Some(Status::Finished)]);
    assert_eq!(stage.reason("a"), "killed by signal 11 (SIGSEGV)");
    assert_eq!(stage.reason("b"), "its process exited with code 101 and no word why");
    assert_eq!(done.ends.len(), 3);
}

#[test]
fn a_run_that_another_process_does_not_let_go_of_comes_last_and_is_left_to_it_without_an_end() {
    let stage = Stage::new(&[("a", GivesUp), ("b", Fails)]);
    let folder = |id| task(stage.folder.path(), planned(id)).directory;
    let _held = lease::Lease::try_take(&folder("a").path).unwrap().unwrap();
    let (done, diary) = stage.run(1, None, false);
    assert_eq!(diary, ["launch b", "wait b", "launch a", "wait a"]);
    assert_eq!(done.elsewhere, [0]);
    let notes = stage.notes.borrow().join("\n");
    let process = std::process::id();
    assert!(notes.contains(&format!("run a: another process (process {process} on ")), "{notes}");
    assert!(notes.contains("still works on it; waiting for its end, 5 min at most"), "{notes}");
    assert!(notes.contains(&format!("\na: another process (process {process} on ")), "{notes}");
    assert!(notes.contains("works on it; left to it"), "{notes}");
    assert!(!folder("a").events().exists(), "the log is the other's");
}

#[test]
fn the_end_of_an_earlier_attempt_does_not_pass_for_that_of_a_process_that_died_before_its_first_word() {
    let stage = Stage::new(&[("a", Fails)]);
    stage.run(1, None, false);
    let task = task(stage.folder.path(), planned("a"));
    let record = task.directory.read_record(task.spec.clone());
    let (ended, appended) = ending::settle(&record, &task.directory, 1, Exit::Signal(11), false);
    appended.unwrap();
    assert_eq!(ended.reason.as_deref(), Some("killed by signal 11 (SIGSEGV)"));
    assert_eq!(task.directory.read_record(task.spec.clone()).attempts, 2);
}

#[test]
fn the_first_interruption_lets_runs_save_and_starts_no_others() {
    let stage = Stage::new(&[("a", Waits), ("b", Waits), ("c", Finishes)]);
    let (done, diary) = stage.run(2, Some(2), false);
    assert_eq!(diary, ["launch a", "launch b", "ask a", "ask b", "wait a", "wait b"]);
    assert_eq!(done.halt, Some(Halt::Interrupted));
    assert_eq!(stage.statuses(), [Some(Status::Interrupted), Some(Status::Interrupted), None]);
}

#[test]
fn the_second_interruption_kills_and_leaves_the_logs_without_an_end() {
    let stage = Stage::new(&[("a", Hangs), ("b", Finishes)]);
    let (done, diary) = stage.run(1, Some(1), true);
    assert_eq!(diary, ["launch a", "ask a", "kill a", "wait a"]);
    assert_eq!(done.halt, Some(Halt::Interrupted));
    assert_eq!(stage.statuses(), [None, None]);
}

#[test]
fn an_interrupted_sweep_goes_on_with_what_had_begun() {
    let mut stage = Stage::new(&[("a", Finishes), ("b", Waits), ("c", Finishes)]);
    stage.run(1, Some(2), false);
    assert_eq!(stage.statuses(), [Some(Status::Finished), Some(Status::Interrupted), None]);
    stage.scripts.scripts[1].1 = Finishes;
    let (done, diary) = stage.run(1, None, false);
    assert_eq!(diary, ["launch b", "wait b", "launch c", "wait c"]);
    assert_eq!(done.halt, None);
    assert!(stage.statuses().iter().all(|status| *status == Some(Status::Finished)));
}

#[test]
fn an_interruption_before_the_first_run_starts_nothing() {
    let stage = Stage::new(&[("a", Finishes)]);
    let sweep = Store::new(stage.folder.path()).sweep("x");
    let tasks = survey(&sweep, &stage.plan, None).unwrap().missing;
    let inbox = Inbox::new();
    inbox.sender.send(Message::Interrupted).unwrap();
    let mut watch =
        Watch { inbox: inbox.sender.clone(), interrupt_at: None, twice: false, begun: 0, notes: Vec::new() };
    let rules = Rules { jobs: 1, policy: &stage.policy };
    let done = dispatch(&tasks, &rules, &stage.scripts, &inbox, &mut watch);
    assert!(
        done.halt == Some(Halt::Interrupted) && done.ends.is_empty() && stage.scripts.diary.take().is_empty()
    );
}

#[test]
fn an_interruption_that_comes_too_late_to_stop_anything_changes_nothing() {
    let stage = Stage::new(&[("a", EndsWhenAsked)]);
    let (done, diary) = stage.run(1, Some(1), false);
    assert_eq!(diary, ["launch a", "ask a", "wait a"]);
    assert_eq!(done.halt, None);
}

#[test]
fn what_has_not_begun_is_killed_by_the_first_interruption_for_it_has_nothing_to_save() {
    let stage = Stage::new(&[("a", Loads), ("b", Waits), ("c", Finishes)]);
    let (done, diary) = stage.run(2, Some(1), false);
    assert_eq!(diary, ["launch a", "launch b", "kill a", "ask b", "wait a", "wait b"]);
    assert_eq!(done.halt, Some(Halt::Interrupted));
    assert_eq!(stage.statuses(), [None, Some(Status::Interrupted), None]);
}

#[test]
fn a_time_budget_that_is_spent_lets_runs_save_and_starts_no_others() {
    let mut stage = Stage::new(&[("a", Waits), ("b", Finishes)]);
    stage.policy.time_budget = Some(Duration::from_millis(200));
    let (done, diary) = stage.run(1, None, false);
    assert_eq!(diary, ["launch a", "ask a", "wait a"]);
    assert_eq!(done.halt, Some(Halt::BudgetSpent));
    assert_eq!(stage.statuses(), [Some(Status::Interrupted), None]);
    // What is spent before anything starts starts nothing.
    stage.policy.time_budget = Some(Duration::ZERO);
    let (done, diary) = stage.run(1, None, false);
    assert_eq!((done.halt, diary.len()), (Some(Halt::BudgetSpent), 0));
    // And what is enough changes nothing.
    stage.policy.time_budget = Some(Duration::MAX);
    stage.scripts.scripts[0].1 = Finishes;
    let (done, _) = stage.run(1, None, false);
    assert_eq!((done.halt, done.ends.len()), (None, 2));
}

#[test]
fn a_run_that_takes_too_long_is_asked_to_stop_and_ends_as_timed_out_while_the_others_go_on() {
    let mut stage = Stage::new(&[("a", Waits), ("b", Loads), ("c", Finishes)]);
    stage.policy.run_timeout = Some(Duration::from_millis(200));
    let (done, diary) = stage.run(1, None, false);
    assert_eq!(diary, ["launch a", "ask a", "wait a", "launch b", "kill b", "wait b", "launch c", "wait c"]);
    assert_eq!(done.halt, None);
    assert_eq!(stage.statuses(), [Some(Status::TimedOut), Some(Status::TimedOut), Some(Status::Finished)]);
    assert!(stage.reason("a").starts_with("it had no result after 0 s, its limit"), "{}", stage.reason("a"));
}

#[test]
fn a_result_that_comes_just_when_the_time_is_up_is_a_result() {
    let mut stage = Stage::new(&[("a", EndsWhenAsked)]);
    stage.policy.run_timeout = Some(Duration::from_millis(200));
    stage.run(1, None, false);
    assert_eq!(stage.statuses(), [Some(Status::Finished)]);
}

#[test]
fn failures_in_a_row_leave_the_rest_waiting_and_the_next_time_the_rest_comes_first() {
    let mut stage =
        Stage::new(&[("r1", Fails), ("r2", Dies(Exit::Signal(7))), ("r3", Finishes), ("r4", Finishes)]);
    stage.policy.max_consecutive_failures = 2;
    let (done, diary) = stage.run(1, None, false);
    assert_eq!(diary, ["launch r1", "wait r1", "launch r2", "wait r2"]);
    assert_eq!(done.halt, Some(Halt::Failures));
    assert_eq!(
        stage.notes.take(),
        ["no other run starts: 2 runs in a row have failed, failed; killed by signal 7 (SIGBUS)"]
    );
    let (done, diary) = stage.run(1, None, false);
    assert_eq!(
        diary,
        ["launch r3", "wait r3", "launch r4", "wait r4", "launch r1", "wait r1", "launch r2", "wait r2"]
    );
    assert_eq!(done.halt, None, "nothing was left to start");
}

#[test]
fn a_result_between_failures_breaks_the_row_and_no_limit_stops_nothing() {
    let runs = [("a", Fails), ("b", Finishes), ("c", Fails), ("d", Fails), ("e", Finishes)];
    let mut stage = Stage::new(&runs);
    stage.policy.max_consecutive_failures = 2;
    let (done, _) = stage.run(1, None, false);
    assert_eq!((done.halt, done.ends.len()), (Some(Halt::Failures), 4));
    let mut stage = Stage::new(&runs);
    stage.policy.max_consecutive_failures = 0;
    assert_eq!(stage.run(1, None, false).0.ends.len(), 5);
}

#[test]
fn a_sweep_may_stop_at_its_first_failure_and_what_runs_goes_on_to_its_end() {
    let mut stage = Stage::new(&[("a", Fails), ("b", Finishes), ("c", Finishes)]);
    stage.policy.on_failure = OnFailure::Stop;
    let (done, diary) = stage.run(2, None, false);
    assert_eq!(diary, ["launch a", "launch b", "wait a", "wait b"]);
    assert_eq!(done.halt, Some(Halt::Failures));
    assert_eq!(stage.statuses(), [Some(Status::Failed), Some(Status::Finished), None]);
    assert_eq!(
        stage.notes.take(),
        ["no other run starts: a run has failed (`on_failure: stop`); 1 run at work goes on to its end"]
    );
}

#[test]
fn who_does_not_stop_has_as_long_again_as_its_limit_but_neither_a_moment_nor_forever() {
    let seconds = Duration::from_secs;
    let table = [
        (None, GRACE),
        (Some(Duration::from_millis(1)), LEAST_GRACE),
        (Some(seconds(60)), seconds(60)),
        (Some(seconds(3600)), GRACE),
    ];
    for (limit, wanted) in table {
        assert_eq!(grace(limit), wanted, "{limit:?}");
    }
}

#[test]
fn a_run_that_is_asked_to_stop_for_two_reasons_is_asked_once_and_has_until_the_first_moment() {
    struct Counted(Rc<RefCell<[usize; 2]>>);
    impl Running for Counted {
        fn ask_to_stop(&mut self) {
            self.0.borrow_mut()[0] += 1;
        }
        fn kill(&mut self) {
            self.0.borrow_mut()[1] += 1;
        }
        fn wait(&mut self) -> io::Result<Exit> {
            Ok(Exit::Code(0))
        }
    }
    let counts = Rc::new(RefCell::new([0, 0]));
    let (began, second) = (Instant::now(), Duration::from_secs(1));
    let mut slot = Slot {
        running: Box::new(Counted(Rc::clone(&counts))),
        attempts_before: 0,
        has_begun: true,
        deadline: Some(began),
        is_out_of_time: false,
        killed_at: None,
        was_killed: false,
    };
    slot.look_at_clock(began, Some(60 * second));
    slot.ask_to_stop(began, 20 * second);
    slot.ask_to_stop(began, 40 * second);
    slot.look_at_clock(began + 19 * second, Some(60 * second));
    assert_eq!(*counts.borrow(), [1, 0]);
    slot.look_at_clock(began + 20 * second, Some(60 * second));
    slot.look_at_clock(began + 21 * second, Some(60 * second));
    assert_eq!((*counts.borrow(), slot.next_moment()), ([1, 1], None));
}
