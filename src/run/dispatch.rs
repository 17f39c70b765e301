//! Keeps the slots full until every task has ended, or the user, the clock or the failures say stop.
//!
//! One thread owns all state and hears everything as a [`Message`]; there is nothing to lock. What a run came to is
//! read from its journal once its process is gone. Time is looked at when something is heard, and nothing is waited
//! for longer than until the next moment that matters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use super::ending;
use super::heirs::predecessors;
use super::inbox::Inbox;
use super::launcher::{Exit, Launcher, Message, Running, Task};
use super::lease;
use super::policy::{Halt, OnFailure, Policy, Streak, timed_out};
use super::progress::{Progress, duration};
use super::resources;
use crate::record::Status;
use crate::record::event::{Ended, Event, Summary};
use crate::record::store::StoreError;

/// Who was asked to stop and still works after this time is killed. A checkpoint of a large model on a slow disk takes a
/// while, and so does a batch of captions on a CPU.
const GRACE: Duration = Duration::from_secs(300);
/// Even where all that a run may take is less.
const LEAST_GRACE: Duration = Duration::from_secs(10);

/// How long a run may take to stop whose time of so long is up: as long again, within reason. A run that hangs should not
/// outlast by much the time that it was given.
fn grace(limit: Option<Duration>) -> Duration {
    limit.map_or(GRACE, |limit| limit.clamp(LEAST_GRACE, GRACE))
}

/// What the dispatcher is bound to.
#[derive(Debug, Clone)]
pub struct Rules<'a> {
    /// Runs at a time.
    pub jobs: usize,
    pub policy: &'a Policy,
}

/// What came of the tasks.
#[derive(Debug, Default)]
pub struct Dispatched {
    /// The tasks that ended, by index, in the order in which they did.
    pub ends: Vec<(usize, Ended)>,
    /// Ends that could not be recorded, by the run's id: its log does not have them.
    pub unrecorded: BTreeMap<String, Ended>,
    /// Tasks, by index, that are left to another process, which was at work on their run for longer than was waited for it.
    pub elsewhere: Vec<usize>,
    /// Why it was over before all tasks had ended.
    pub halt: Option<Halt>,
}

impl Dispatched {
    /// Over before anything was started.
    pub fn stopped(halt: Halt) -> Self {
        Self { halt: Some(halt), ..Self::default() }
    }
}

/// How far stopping has gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stopping {
    No,
    /// Nothing new starts; what runs goes on to its end.
    NothingNew,
    /// Nothing new starts; what runs saves a checkpoint and ends.
    Asked,
    /// What ran was killed.
    Killed,
}

struct Slot {
    running: Box<dyn Running>,
    /// Attempts in the journal before this one.
    attempts_before: u64,
    /// It has said something: before, it has nothing to save.
    has_begun: bool,
    /// When it has taken too long.
    deadline: Option<Instant>,
    is_out_of_time: bool,
    /// When it is killed, once it was asked to stop.
    killed_at: Option<Instant>,
    /// It was killed from here.
    was_killed: bool,
}

impl Slot {
    /// Asks the run to stop within a grace. What has not begun is killed: there is nothing it could save, and loading may
    /// take long.
    fn ask_to_stop(&mut self, now: Instant, grace: Duration) {
        if !self.has_begun {
            return self.kill();
        }
        if self.killed_at.is_none() {
            self.running.ask_to_stop();
        }
        // Asked for two reasons, the run has until the first moment.
        self.killed_at = self.killed_at.into_iter().chain(now.checked_add(grace)).min();
    }

    fn kill(&mut self) {
        if !self.was_killed {
            self.was_killed = true;
            self.running.kill();
        }
    }

    /// Stops or kills the run where its time has come, which was `limit`.
    fn look_at_clock(&mut self, now: Instant, limit: Option<Duration>) {
        if !self.is_out_of_time && self.deadline.is_some_and(|at| at <= now) {
            self.is_out_of_time = true;
            self.ask_to_stop(now, grace(limit));
        }
        if self.killed_at.is_some_and(|at| at <= now) {
            self.kill();
        }
    }

    /// The next moment at which [`Slot::look_at_clock`] would do something.
    fn next_moment(&self) -> Option<Instant> {
        let deadline = self.deadline.filter(|_| !self.is_out_of_time);
        let killed_at = self.killed_at.filter(|_| !self.was_killed);
        deadline.into_iter().chain(killed_at).min()
    }
}

struct Dispatcher<'a> {
    tasks: &'a [Task],
    rules: &'a Rules<'a>,
    launcher: &'a dyn Launcher,
    sender: &'a Sender<Message>,
    /// When the sweep's time is spent.
    deadline: Option<Instant>,
    progress: &'a mut dyn Progress,
    /// Tasks to do in all.
    wanted: usize,
    waiting: VecDeque<usize>,
    /// Of a task the one that it goes on from.
    predecessors: BTreeMap<usize, usize>,
    running: BTreeMap<usize, Slot>,
    stopping: Stopping,
    streak: Streak,
    oom_kills: Option<u64>,
    done: Dispatched,
}

/// Does the tasks within the rules, in their order.
pub fn dispatch(
    tasks: &[Task],
    rules: &Rules,
    launcher: &dyn Launcher,
    inbox: &Inbox,
    progress: &mut dyn Progress,
) -> Dispatched {
    dispatch_some(tasks, (0..tasks.len()).collect(), rules, launcher, inbox, progress)
}

/// The same for some of the tasks, by index.
pub fn dispatch_some(
    tasks: &[Task],
    wanted: Vec<usize>,
    rules: &Rules,
    launcher: &dyn Launcher,
    inbox: &Inbox,
    progress: &mut dyn Progress,
) -> Dispatched {
    let mut dispatcher = Dispatcher {
        tasks,
        rules,
        launcher,
        sender: &inbox.sender,
        deadline: inbox.deadline,
        progress,
        wanted: wanted.len(),
        waiting: wanted.into(),
        predecessors: predecessors(tasks),
        running: BTreeMap::new(),
        stopping: Stopping::No,
        streak: Streak::default(),
        oom_kills: resources::oom_kills(),
        done: Dispatched::default(),
    };
    // A wish to stop that arrived during the checks is heard before anything starts.
    while let Ok(message) = inbox.receiver.try_recv() {
        dispatcher.hear(message);
    }
    loop {
        dispatcher.look_at_clock(Instant::now());
        dispatcher.fill_slots();
        if dispatcher.running.is_empty() {
            return dispatcher.finish();
        }
        if let Some(message) = dispatcher.wait(&inbox.receiver) {
            dispatcher.hear(message);
        }
    }
}

impl Dispatcher<'_> {
    /// The next message; `None` where a moment that matters comes first.
    fn wait(&self, receiver: &Receiver<Message>) -> Option<Message> {
        let moments = self.running.values().filter_map(Slot::next_moment);
        let deadline = self.deadline.filter(|_| self.stopping < Stopping::Asked);
        // The inbox holds a sender itself, so it never closes.
        match moments.chain(deadline).min() {
            None => receiver.recv().ok(),
            Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())).ok(),
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Said { task, line } => {
                if let (Some(slot), Event::Started(_)) = (self.running.get_mut(&task), &line.event) {
                    slot.has_begun = true;
                }
                self.progress.said(task, &self.tasks[task], &line.event);
            }
            Message::Closed { task } => self.close(task),
            Message::Interrupted => self.interrupt(),
        }
    }

    fn look_at_clock(&mut self, now: Instant) {
        if self.stopping < Stopping::Asked && self.deadline.is_some_and(|at| at <= now) {
            let budget = self.rules.policy.time_budget.map(duration).unwrap_or_default();
            self.ask_all_to_stop(Halt::BudgetSpent, &format!("the time budget of {budget} is spent"), now);
        }
        let limit = self.rules.policy.run_timeout;
        self.running.values_mut().for_each(|slot| slot.look_at_clock(now, limit));
    }

    fn fill_slots(&mut self) {
        while self.stopping == Stopping::No && self.running.len() < self.rules.jobs.max(1) {
            let may_start = |index: &usize| self.may_start(*index);
            let is_free =
                |index: &usize| may_start(index) && !lease::is_held(&self.tasks[*index].directory.path);
            // Whoever is at work on a run may well be done with it once the others are.
            let place =
                self.waiting.iter().position(is_free).or_else(|| self.waiting.iter().position(may_start));
            let Some(place) = place else { return };
            if let Some(index) = self.waiting.remove(place) {
                self.start(index);
            }
        }
    }

    /// Whether the task that this one goes on from has ended, or is not among those to do.
    fn may_start(&self, index: usize) -> bool {
        self.predecessors
            .get(&index)
            .is_none_or(|before| !self.running.contains_key(before) && !self.waiting.contains(before))
    }

    fn start(&mut self, index: usize) {
        let task = &self.tasks[index];
        if lease::is_held(&task.directory.path) {
            let (id, holder) = (&task.spec.id, holder_of(task));
            let patience = duration(lease::PATIENCE);
            self.progress.note(&format!(
                "run {id}: {holder} still works on it; waiting for its end, {patience} at most"
            ));
        }
        self.progress.started(index, task);
        let record = match task.directory.try_read_record(task.spec.clone()) {
            Ok(record) => record,
            Err(error) => return self.end_unread(index, &error),
        };
        match self.launcher.launch(index, task, self.sender) {
            Ok(running) => {
                let slot = Slot {
                    running,
                    attempts_before: record.attempts,
                    has_begun: false,
                    deadline: self
                        .rules
                        .policy
                        .run_timeout
                        .and_then(|limit| Instant::now().checked_add(limit)),
                    is_out_of_time: false,
                    killed_at: None,
                    was_killed: false,
                };
                self.running.insert(index, slot);
            }
            Err(error) => {
                let settled = ending::never_started(&record, &task.directory, &error);
                self.settle(index, settled);
            }
        }
    }

    fn close(&mut self, index: usize) {
        let Some(mut slot) = self.running.remove(&index) else { return };
        // A process whose end cannot be learned has at least stopped talking.
        let exit = slot.running.wait().unwrap_or(Exit::Code(1));
        let task = &self.tasks[index];
        let record = match task.directory.try_read_record(task.spec.clone()) {
            Ok(record) => record,
            Err(error) => return self.end_unread(index, &error),
        };
        let said_itself = record.status.filter(|_| record.attempts > slot.attempts_before);
        let is_complete = record.status.is_some_and(Status::is_complete);
        let oom_kills = resources::oom_kills();
        let ran_out_of_memory = oom_kills > self.oom_kills;
        self.oom_kills = oom_kills;
        let settled = match said_itself {
            _ if !slot.has_begun && !is_complete && lease::is_held(&task.directory.path) => {
                self.done.elsewhere.push(index);
                return self.progress.cut_off(
                    index,
                    task,
                    &format!("{} works on it; left to it", holder_of(task)),
                );
            }
            Some(Status::Interrupted) | None if slot.is_out_of_time && !is_complete => {
                let reason = timed_out(self.rules.policy.run_timeout.unwrap_or_default());
                ending::name(&record, &task.directory, slot.attempts_before, Status::TimedOut, reason)
            }
            None if slot.was_killed && !is_complete => {
                // Its log stays without an end, which is how a run looks that was cut off.
                return self.progress.cut_off(index, task, "killed");
            }
            _ => ending::settle(&record, &task.directory, slot.attempts_before, exit, ran_out_of_memory),
        };
        self.settle(index, settled);
    }

    fn settle(&mut self, index: usize, (ended, appended): (Ended, anyhow::Result<()>)) {
        if let Err(error) = appended {
            let id = &self.tasks[index].spec.id;
            self.progress.note(&format!("run {id}: its end could not be recorded: {error:#}"));
            self.done.unrecorded.insert(id.clone(), ended.clone());
        }
        self.end(index, ended);
    }

    /// Ends a task whose log cannot be read. Nothing is added to the log: for all that is known the run is finished.
    fn end_unread(&mut self, index: usize, error: &StoreError) {
        let ended =
            Ended { status: Status::Failed, reason: Some(error.to_string()), summary: Summary::default() };
        self.done.unrecorded.insert(self.tasks[index].spec.id.clone(), ended.clone());
        self.end(index, ended);
    }

    fn end(&mut self, index: usize, ended: Ended) {
        let task = &self.tasks[index];
        self.progress.ended(index, task, &ended);
        if ended.is_paused() {
            // It has done what was asked of it.
        } else if ended.status == Status::Interrupted {
            // A run that stopped although nobody here asked it to (someone told its process) is missing all the same.
            self.done.halt.get_or_insert(Halt::Interrupted);
        } else if !ended.status.is_complete() && self.rules.policy.on_failure == OnFailure::Stop {
            self.start_nothing_new("a run has failed (`on_failure: stop`)");
        }
        self.streak.hear(&task.spec.id, &ended);
        if let Some(verdict) = self.streak.verdict(self.rules.policy.max_consecutive_failures) {
            self.start_nothing_new(&verdict);
        }
        self.done.ends.push((index, ended));
    }

    /// Leaves what waits waiting, after failures.
    fn start_nothing_new(&mut self, why: &str) {
        if self.stopping > Stopping::No || self.waiting.is_empty() {
            return;
        }
        self.stopping = Stopping::NothingNew;
        self.done.halt.get_or_insert(Halt::Failures);
        let goes_on = match self.running.len() {
            0 => String::new(),
            1 => "; 1 run at work goes on to its end".to_owned(),
            count => format!("; {count} runs at work go on to their ends"),
        };
        self.progress.note(&format!("no other run starts: {why}{goes_on}"));
    }

    fn interrupt(&mut self) {
        if self.stopping < Stopping::Asked {
            self.ask_all_to_stop(Halt::Interrupted, "stopping", Instant::now());
        } else {
            self.stopping = Stopping::Killed;
            self.running.values_mut().for_each(Slot::kill);
        }
    }

    fn ask_all_to_stop(&mut self, halt: Halt, why: &str, now: Instant) {
        self.stopping = Stopping::Asked;
        self.done.halt = Some(halt);
        let saving = self.running.values().filter(|slot| slot.has_begun).count();
        match saving {
            0 => {}
            1 => self.progress.note(&format!("{why}: 1 run saves a checkpoint and ends; Ctrl-C kills it")),
            count => {
                self.progress
                    .note(&format!("{why}: {count} runs save a checkpoint and end; Ctrl-C kills them"));
            }
        }
        let limit = self.rules.policy.time_budget.filter(|_| halt == Halt::BudgetSpent);
        self.running.values_mut().for_each(|slot| slot.ask_to_stop(now, grace(limit)));
    }

    /// Stopped after the last task had ended is not stopped at all.
    fn finish(mut self) -> Dispatched {
        let is_interrupted = |(_, ended): &(usize, Ended)| ended.status == Status::Interrupted;
        if self.done.ends.len() == self.wanted && !self.done.ends.iter().any(is_interrupted) {
            self.done.halt = None;
        }
        self.done
    }
}

/// Who works on a run that is not at work here.
fn holder_of(task: &Task) -> String {
    let holder = lease::holder(&task.directory.path);
    holder.map_or_else(|| "another process".to_owned(), |holder| format!("another process ({holder})"))
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
pub(crate) mod tests;
