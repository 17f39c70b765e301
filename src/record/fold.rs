//! What is known of a run: its log, folded into a [`RunRecord`].
//!
//! The log is the only truth; nothing else records how a run stands. An attempt that resumes from a checkpoint does
//! what came after it again, so what the log says of that is dropped when the attempt starts: in the record steps
//! and epochs only ever rise.

use super::event::{Ended, Evaluated, Event, Line, Started, Step};
use super::run::{RunRecord, RunSpec};

/// A record lists at most so many problems.
const MAX_NOTES: usize = 100;

impl RunRecord {
    /// The record of `spec` after `lines`, in the order of the log. `problems` is what reading the log
    /// already met; what the fold finds is added to it.
    pub fn fold(spec: RunSpec, lines: Vec<Line>, problems: Vec<String>) -> Self {
        let mut record = Self::planned(spec);
        record.problems = problems;
        for line in lines {
            record.apply(line);
        }
        record
    }

    /// A run that has not started.
    pub fn planned(spec: RunSpec) -> Self {
        Self {
            spec,
            status: None,
            reason: None,
            attempts: 0,
            started: None,
            steps: Vec::new(),
            curve: Vec::new(),
            summary: None,
            last_seen: None,
            problems: Vec::new(),
        }
    }

    /// What the last line alone says of a run that ended.
    pub fn ended(spec: RunSpec, attempts: u64, at: String, ended: Ended) -> Self {
        let Ended { status, reason, summary } = ended;
        let status = Some(status);
        Self { status, reason, attempts, summary: Some(summary), last_seen: Some(at), ..Self::planned(spec) }
    }

    fn apply(&mut self, line: Line) {
        if line.attempt < self.attempts {
            // Two processes wrote at once, or the log was put together by hand: the later attempt counts.
            self.note(format!("lines of attempt {} follow a later attempt's and are left out", line.attempt));
            return;
        }
        // A run that cannot load its model or data ends before it has started.
        if line.attempt > self.attempts && !matches!(line.event, Event::Started(_) | Event::Ended(_)) {
            self.note(format!("attempt {} has no `started` line", line.attempt));
            self.reopen();
        }
        self.attempts = line.attempt;
        self.last_seen = Some(line.at);
        match line.event {
            Event::Started(started) => self.start(*started),
            Event::Step(step) => self.step(step),
            Event::Evaluated(evaluated) => self.evaluate(*evaluated),
            Event::Checkpointed(_) => {}
            Event::Ended(ended) => self.end(*ended),
        }
    }

    fn start(&mut self, started: Started) {
        self.reopen();
        let resumed_from = started.resumed_from_epoch;
        self.curve.retain(|evaluated| evaluated.epoch <= resumed_from);
        match started.resumed_from_step {
            Some(resumed_from) => self.steps.retain(|step| step.step <= resumed_from),
            None => self.steps.retain(|step| step.epoch <= resumed_from),
        }
        if started.run != self.spec.id {
            self.note(format!("the log is that of run `{}`", started.run));
        }
        // An attempt that begins anew leaves nothing of those before it to be mixed with.
        let goes_on = resumed_from > 0 || started.resumed_from_step.is_some_and(|step| step > 0);
        let earlier = self.started.as_ref().filter(|_| goes_on);
        let changes = earlier.map_or_else(Vec::new, |earlier| changes(earlier, &started));
        for change in changes {
            self.note(format!("attempt {} {change} than the attempt before it", self.attempts));
        }
        self.started = Some(started);
    }

    fn step(&mut self, step: Step) {
        while self.steps.last().is_some_and(|last| last.step >= step.step) {
            self.steps.pop();
        }
        self.steps.push(step);
    }

    fn evaluate(&mut self, evaluated: Evaluated) {
        while self.curve.last().is_some_and(|last| last.epoch >= evaluated.epoch) {
            self.curve.pop();
        }
        self.curve.push(evaluated);
    }

    fn end(&mut self, ended: Ended) {
        let before = self.started.as_ref().map(|started| &started.frozen_digest);
        let after = ended.summary.frozen_digest.as_ref();
        if let (Some(before), Some(after)) = (before, after)
            && before != after
        {
            self.note("the frozen weights changed during training".to_owned());
        }
        self.status = Some(ended.status);
        self.reason = ended.reason;
        self.summary = Some(ended.summary);
    }

    /// A new attempt takes back how the last one ended.
    fn reopen(&mut self) {
        self.status = None;
        self.reason = None;
        self.summary = None;
    }

    /// Adds a problem once, however many lines have it. A log that is wrong everywhere does not fill the memory with
    /// what is wrong, nor take time with the square of it.
    fn note(&mut self, problem: String) {
        const MORE: &str = "there is more that does not fit together";
        if self.problems.len() < MAX_NOTES && !self.problems.contains(&problem) {
            let is_last = self.problems.len() + 1 == MAX_NOTES;
            self.problems.push(if is_last { MORE.to_owned() } else { problem });
        }
    }
}

/// What an attempt went on with although the one before it had another.
fn changes(earlier: &Started, started: &Started) -> Vec<String> {
    let other_weights = earlier.model_digest != started.model_digest;
    [
        (earlier.program != started.program, "was made by another version of this program"),
        (earlier.device != started.device, "was made on another device"),
        (other_weights, "found other model weights"),
        (!other_weights && earlier.data_digest != started.data_digest, "found other data"),
    ]
    .into_iter()
    .filter(|(is_other, _)| *is_other)
    .map(|(_, words)| words.to_owned())
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::event::{Checkpointed, Status, Summary, Trainable};
    use crate::record::run::tests::any_run;

    const STEPS_PER_EPOCH: usize = 2;

    /// From a whole epoch.
    fn started(resumed_from_epoch: usize) -> Event {
        started_from(resumed_from_epoch, resumed_from_epoch * STEPS_PER_EPOCH)
    }

    fn started_from(resumed_from_epoch: usize, step: usize) -> Event {
        Event::Started(Box::new(Started {
            run: "r1".into(),
            sweep: "unfreeze".into(),
            program: "0.1.0".into(),
            device: "cpu".into(),
            threads: 1,
            model_digest: "model".into(),
            data_digest: "data".into(),
            train_examples: 2,
            validation_examples: 1,
            test_examples: 1,
            steps_per_epoch: STEPS_PER_EPOCH,
            total_steps: 8,
            trainable: Trainable::default(),
            frozen_digest: "frozen".into(),
            resumed_from_epoch,
            resumed_from_step: Some(step),
            notes: Vec::new(),
        }))
    }

    fn step(epoch: usize, step: usize) -> Event {
        let loss = 1.0 / (step as f64 + 1.0);
        Event::Step(Step {
            epoch,
            step,
            loss,
            learning_rate: 1e-5,
            gradient_norm: 1.0,
            images_per_second: 1.0,
            ..Step::default()
        })
    }

    fn evaluated(epoch: usize) -> Event {
        let score = Some(epoch as f64);
        Event::Evaluated(Box::new(Evaluated {
            epoch,
            step: epoch * STEPS_PER_EPOCH,
            score,
            ..Evaluated::default()
        }))
    }

    fn ended(status: Status) -> Event {
        let summary = Summary { frozen_digest: Some("frozen".into()), ..Summary::default() };
        Event::Ended(Box::new(Ended { status, reason: Some("why".into()), summary }))
    }

    /// What an undisturbed run of `epochs` epochs says after it began or was resumed.
    fn work(first_epoch: usize, epochs: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for epoch in first_epoch..=epochs {
            if epoch > 0 {
                let last_step = epoch * STEPS_PER_EPOCH;
                events
                    .extend((last_step - STEPS_PER_EPOCH + 1..=last_step).map(|number| step(epoch, number)));
            }
            events.push(evaluated(epoch));
            events.push(Event::Checkpointed(Checkpointed { epoch, step: 0, checkpoint: "last".into() }));
        }
        events
    }

    fn lines(attempt: u64, events: impl IntoIterator<Item = Event>) -> Vec<Line> {
        let line = |event| Line { at: format!("attempt {attempt}"), attempt, event };
        events.into_iter().map(line).collect()
    }

    fn fold(attempts: Vec<Vec<Line>>) -> RunRecord {
        RunRecord::fold(any_run("r1"), attempts.concat(), vec![])
    }

    fn epochs_of(record: &RunRecord) -> Vec<usize> {
        record.curve.iter().map(|evaluated| evaluated.epoch).collect()
    }

    fn steps_of(record: &RunRecord) -> Vec<usize> {
        record.steps.iter().map(|step| step.step).collect()
    }

    #[test]
    fn an_empty_log_is_a_run_that_has_not_started() {
        assert_eq!(fold(vec![]), RunRecord::planned(any_run("r1")));
    }

    #[test]
    fn an_undisturbed_run_is_recorded_whole() {
        let events = [vec![started(0)], work(0, 2), vec![ended(Status::Finished)]].concat();
        let record = fold(vec![lines(1, events)]);
        assert_eq!((epochs_of(&record), steps_of(&record)), (vec![0, 1, 2], vec![1, 2, 3, 4]));
        assert_eq!((record.status, record.attempts), (Some(Status::Finished), 1));
        assert_eq!(record.reason.as_deref(), Some("why"));
        assert_eq!(record.last_seen.as_deref(), Some("attempt 1"));
        assert!(record.summary.is_some() && record.started.is_some() && record.problems.is_empty());
    }

    #[test]
    fn a_log_without_an_end_has_no_status() {
        let record = fold(vec![lines(1, [started(0), evaluated(0)])]);
        assert_eq!((record.status, record.attempts), (None, 1));
    }

    #[test]
    fn a_later_attempt_drops_what_it_does_again_and_takes_back_the_end() {
        let first = [vec![started(0)], work(0, 3), vec![step(4, 7), ended(Status::Interrupted)]].concat();
        let record = fold(vec![lines(1, first.clone()), lines(2, [started(2)])]);
        assert_eq!((epochs_of(&record), steps_of(&record)), (vec![0, 1, 2], vec![1, 2, 3, 4]));
        assert_eq!((record.status, record.summary, record.attempts), (None, None, 2));
        let again = [vec![started(2)], work(3, 4), vec![ended(Status::Finished)]].concat();
        let record = fold(vec![lines(1, first), lines(2, again)]);
        assert_eq!(epochs_of(&record), [0, 1, 2, 3, 4]);
        assert_eq!(steps_of(&record), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(record.status, Some(Status::Finished));
    }

    #[test]
    fn an_attempt_that_begins_anew_repeats_epoch_0_without_doubling_it() {
        let begin = |epochs| [vec![started(0)], work(0, epochs)].concat();
        let record = fold(vec![lines(1, begin(3)), lines(2, begin(1))]);
        assert_eq!((epochs_of(&record), steps_of(&record)), (vec![0, 1], vec![1, 2]));
    }

    #[test]
    fn an_attempt_whose_start_was_lost_still_replaces_what_it_repeats() {
        let record = fold(vec![lines(1, [vec![started(0)], work(0, 3)].concat()), lines(2, work(2, 2))]);
        assert_eq!((epochs_of(&record), steps_of(&record)), (vec![0, 1, 2], vec![1, 2, 3, 4]));
        assert_eq!(record.problems, ["attempt 2 has no `started` line"]);
        assert_eq!(record.attempts, 2);
    }

    #[test]
    fn lines_of_an_attempt_that_was_overtaken_are_left_out_and_said_once() {
        let late = lines(1, [evaluated(7), evaluated(8)]);
        let record = fold(vec![lines(2, [started(0), evaluated(0)]), late]);
        assert_eq!(epochs_of(&record), [0]);
        assert_eq!(record.problems, ["lines of attempt 1 follow a later attempt's and are left out"]);
    }

    #[test]
    fn a_log_that_is_wrong_in_every_line_is_told_of_in_few() {
        let wrong = (1..200_000).map(|attempt| Line { at: String::new(), attempt, event: evaluated(0) });
        let start = std::time::Instant::now();
        let record = RunRecord::fold(any_run("r1"), wrong.collect(), vec![]);
        assert_eq!(record.problems.len(), MAX_NOTES);
        assert_eq!(record.problems[0], "attempt 1 has no `started` line");
        assert_eq!(record.problems[MAX_NOTES - 1], "there is more that does not fit together");
        assert_eq!(record.attempts, 199_999);
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }

    #[test]
    fn another_runs_log_and_what_changed_between_its_attempts_are_said() {
        let change = |change: fn(&mut Started)| {
            let Event::Started(mut started) = started(1) else { unreachable!() };
            change(&mut started);
            fold(vec![lines(1, [self::started(0)]), lines(2, [Event::Started(started)])]).problems
        };
        assert_eq!(change(|started| started.run = "r2".into()), ["the log is that of run `r2`"]);
        let problem = "attempt 2 found other model weights than the attempt before it";
        assert_eq!(change(|started| started.model_digest = "other".into()), [problem]);
        let problem = "attempt 2 found other data than the attempt before it";
        assert_eq!(change(|started| started.data_digest = "other".into()), [problem]);
        let problem = "attempt 2 was made by another version of this program than the attempt before it";
        assert_eq!(change(|started| started.program = "9.9.9".into()), [problem]);
        let problem = "attempt 2 was made on another device than the attempt before it";
        assert_eq!(change(|started| started.device = "cuda:0".into()), [problem]);
        let anew = |started: &mut Started| {
            started.data_digest = "other".into();
            (started.resumed_from_epoch, started.resumed_from_step) = (0, Some(0));
        };
        assert_eq!(change(anew), [""; 0], "nothing of the attempt before is left");
    }

    #[test]
    fn an_attempt_that_goes_on_within_an_epoch_keeps_the_steps_before_its_checkpoint() {
        let first = [vec![started(0)], work(0, 2), vec![step(3, 5), step(3, 6)]].concat();
        let record = fold(vec![lines(1, first.clone()), lines(2, [started_from(2, 5)])]);
        assert_eq!((epochs_of(&record), steps_of(&record)), (vec![0, 1, 2], vec![1, 2, 3, 4, 5]));
        // Logs of earlier versions went on from whole epochs.
        let Event::Started(mut old) = started(2) else { unreachable!() };
        old.resumed_from_step = None;
        let record = fold(vec![lines(1, first), lines(2, [Event::Started(old)])]);
        assert_eq!(steps_of(&record), [1, 2, 3, 4]);
    }

    #[test]
    fn frozen_weights_that_changed_are_said() {
        let summary = Summary { frozen_digest: Some("changed".into()), ..Summary::default() };
        let ended = Event::Ended(Box::new(Ended { status: Status::Finished, reason: None, summary }));
        let record = fold(vec![lines(1, [started(0), ended])]);
        assert_eq!(record.problems, ["the frozen weights changed during training"]);
    }

    proptest! {
        /// However often a run is cut off, and wherever, its record in the end is that of the undisturbed run.
        #[test]
        fn a_run_cut_off_anywhere_and_resumed_is_recorded_as_if_undisturbed(
            epochs in 1_usize..5,
            cuts in prop::collection::vec(0_usize..40, 0..5),
        ) {
            let undisturbed = [vec![started(0)], work(0, epochs), vec![ended(Status::Finished)]].concat();
            let mut log = Vec::new();
            let mut checkpoint = None;
            let last_attempt = cuts.len() as u64 + 1;
            for (attempt, cut) in (1..).zip(cuts.into_iter().map(Some).chain([None])) {
                let resumed_from = checkpoint.unwrap_or(0);
                let first_epoch = checkpoint.map_or(0, |epoch: usize| epoch + 1);
                let rest = [vec![started(resumed_from)], work(first_epoch, epochs), vec![ended(Status::Finished)]];
                let mut events = rest.concat();
                // A cut leaves at least the end missing: a run that ended is not started again.
                events.truncate(cut.map_or(events.len(), |cut| cut % events.len()));
                for event in &events {
                    if let Event::Checkpointed(checkpointed) = event {
                        checkpoint = Some(checkpointed.epoch);
                    }
                }
                log.extend(lines(attempt, events));
            }
            let record = RunRecord::fold(any_run("r1"), log, vec![]);
            let control = fold(vec![lines(1, undisturbed)]);
            prop_assert_eq!(record.curve, control.curve);
            prop_assert_eq!(record.steps, control.steps);
            prop_assert_eq!(record.status, control.status);
            prop_assert_eq!(record.summary, control.summary);
            prop_assert_eq!(record.attempts, last_attempt);
            prop_assert!(record.problems.is_empty());
        }

        #[test]
        fn in_any_order_of_events_steps_and_epochs_only_rise(
            events in prop::collection::vec((1_u64..4, 0_usize..4, 0_usize..5), 0..40),
        ) {
            let event = |(attempt, kind, number)| {
                let event = match kind {
                    0 => started(number),
                    1 => step(number, number),
                    2 => evaluated(number),
                    _ => ended(Status::Failed),
                };
                Line { at: String::new(), attempt, event }
            };
            let record = RunRecord::fold(any_run("r1"), events.into_iter().map(event).collect(), vec![]);
            prop_assert!(epochs_of(&record).is_sorted_by(|a, b| a < b));
            prop_assert!(steps_of(&record).is_sorted_by(|a, b| a < b));
        }
    }
}
