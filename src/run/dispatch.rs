//! Keeps the slots full until every task has ended or the user wants to stop.
//!
//! One thread owns all state and hears everything as a [`Message`]; there is nothing to lock. What a run came to is
//! read from its journal once its process is gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{self, Receiver, Sender};

use super::ending;
use super::launcher::{Exit, Launcher, Message, Running, Task};
use super::progress::Progress;
use super::resources;
use crate::record::Status;
use crate::record::event::{Ended, Summary};
use crate::record::store::StoreError;

/// Where the dispatcher hears from runs and from the user.
pub struct Inbox {
    pub sender: Sender<Message>,
    pub receiver: Receiver<Message>,
}

impl Inbox {
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver }
    }

    /// Whether the user has asked to stop, outside of the dispatcher. Forgets what else was there.
    pub fn was_interrupted(&self) -> bool {
        self.receiver.try_iter().any(|message| matches!(message, Message::Interrupted))
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

/// What came of the tasks.
#[derive(Debug, Default)]
pub struct Dispatched {
    /// The tasks that ended, by index, in the order in which they did.
    pub ends: Vec<(usize, Ended)>,
    /// Ends that could not be recorded, by the run's id: its log does not have them.
    pub unrecorded: BTreeMap<String, Ended>,
    /// The user stopped it before all tasks had been done.
    pub interrupted: bool,
}

impl Dispatched {
    /// The user stopped it before anything was started.
    pub fn stopped() -> Self {
        Self { interrupted: true, ..Self::default() }
    }
}

/// How far stopping has gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopping {
    No,
    /// Nothing new starts; what runs saves a checkpoint and ends.
    Asked,
    /// What ran was killed.
    Killed,
}

struct Slot {
    running: Box<dyn Running>,
    /// Attempts in the journal before this one.
    attempts_before: u64,
}

struct Dispatcher<'a> {
    tasks: &'a [Task],
    launcher: &'a dyn Launcher,
    sender: &'a Sender<Message>,
    progress: &'a mut dyn Progress,
    jobs: usize,
    waiting: VecDeque<usize>,
    running: BTreeMap<usize, Slot>,
    stopping: Stopping,
    oom_kills: Option<u64>,
    done: Dispatched,
}

/// Does the tasks, at most `jobs` at a time, in their order. A task that fails does not stop the others.
pub fn dispatch(
    tasks: &[Task],
    jobs: usize,
    launcher: &dyn Launcher,
    inbox: &Inbox,
    progress: &mut dyn Progress,
) -> Dispatched {
    let mut dispatcher = Dispatcher {
        tasks,
        launcher,
        sender: &inbox.sender,
        progress,
        jobs: jobs.max(1),
        waiting: (0..tasks.len()).collect(),
        running: BTreeMap::new(),
        stopping: Stopping::No,
        oom_kills: resources::oom_kills(),
        done: Dispatched::default(),
    };
    // A wish to stop that arrived during the checks is heard before anything starts.
    while let Ok(message) = inbox.receiver.try_recv() {
        dispatcher.hear(message);
    }
    loop {
        dispatcher.fill_slots();
        if dispatcher.running.is_empty() {
            return dispatcher.finish();
        }
        // The inbox holds a sender itself, so it never closes.
        if let Ok(message) = inbox.receiver.recv() {
            dispatcher.hear(message);
        }
    }
}

impl Dispatcher<'_> {
    fn hear(&mut self, message: Message) {
        match message {
            Message::Said { task, line } => self.progress.said(task, &self.tasks[task], &line.event),
            Message::Closed { task } => self.close(task),
            Message::Interrupted => self.stop(),
        }
    }

    fn fill_slots(&mut self) {
        while self.stopping == Stopping::No && self.running.len() < self.jobs {
            let Some(index) = self.waiting.pop_front() else { return };
            self.start(index);
        }
    }

    fn start(&mut self, index: usize) {
        let task = &self.tasks[index];
        self.progress.started(index, task);
        let record = match task.directory.try_read_record(task.spec.clone()) {
            Ok(record) => record,
            Err(error) => return self.end_unread(index, &error),
        };
        match self.launcher.launch(index, task, self.sender) {
            Ok(running) => {
                let slot = Slot { running, attempts_before: record.attempts };
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
        if self.stopping == Stopping::Killed
            && (record.status.is_none() || record.attempts <= slot.attempts_before)
        {
            // Its log stays without an end, which is how a run looks that was cut off.
            self.progress.cut_off(index, task);
            return;
        }
        let oom_kills = resources::oom_kills();
        let ran_out_of_memory = oom_kills > self.oom_kills;
        self.oom_kills = oom_kills;
        let settled = ending::settle(&record, &task.directory, slot.attempts_before, exit, ran_out_of_memory);
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
        // A run that stopped although nobody here asked it to (someone told its process) is missing all the same.
        self.done.interrupted |= ended.status == Status::Interrupted;
        self.progress.ended(index, &self.tasks[index], &ended);
        self.done.ends.push((index, ended));
    }

    fn stop(&mut self) {
        self.done.interrupted = true;
        match self.stopping {
            Stopping::No => {
                self.stopping = Stopping::Asked;
                let count = self.running.len();
                if count > 0 {
                    let runs = if count == 1 { "run" } else { "runs" };
                    self.progress.note(&format!(
                        "stopping: {count} {runs} save a checkpoint and end; once more kills them"
                    ));
                }
                self.running.values_mut().for_each(|slot| slot.running.ask_to_stop());
            }
            Stopping::Asked | Stopping::Killed => {
                self.stopping = Stopping::Killed;
                self.running.values_mut().for_each(|slot| slot.running.kill());
            }
        }
    }

    /// Stopped after the last task had ended is not stopped at all.
    fn finish(mut self) -> Dispatched {
        let all_ended = self.done.ends.len() == self.tasks.len();
        let some_interrupted = self.done.ends.iter().any(|(_, ended)| ended.status == Status::Interrupted);
        self.done.interrupted &= !all_ended || some_interrupted;
        self.done
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
pub(crate) mod tests;
