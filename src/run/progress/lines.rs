//! Progress as plain lines, for logs and pipes.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::transfer::Transfer;
use super::{Progress, Sweep, words};
use crate::hub::Download;
use crate::record::event::{Ended, Step};
use crate::record::{Event, Status};
use crate::run::launcher::Task;

/// Within a long epoch a run speaks this often.
const QUIET: Duration = Duration::from_secs(60);

/// Writes one line for each epoch and each end.
pub struct Lines<W: Write> {
    out: W,
    sweep: Option<Sweep>,
    clock: Clock,
    spoke: BTreeMap<usize, Instant>,
    ended: usize,
    transfer: Transfer,
}

impl<W: Write> Lines<W> {
    pub fn new(out: W) -> Self {
        let (clock, transfer) = (Clock::new(&[]), Transfer::new());
        Self { out, sweep: None, clock, spoke: BTreeMap::new(), ended: 0, transfer }
    }

    fn say(&mut self, index: usize, task: &Task, text: &str) {
        self.spoke.insert(index, Instant::now());
        let title = self.sweep.as_ref().map(|sweep| sweep.title(index, task)).unwrap_or_default();
        self.note(&format!("{title}: {text}"));
    }

    fn step(&mut self, index: usize, task: &Task, step: &Step) {
        if self.spoke.get(&index).is_some_and(|at| at.elapsed() < QUIET) {
            return;
        }
        let (done, total) = self.clock.steps(index);
        let left = words::left(self.clock.task_left(index));
        let text = format!(
            "epoch {}/{} step {done}/{total} loss {:.3}, {:.1} images/s{}",
            step.epoch, task.spec.recipe.training.epochs, step.loss, step.images_per_second, left
        );
        self.say(index, task, &text);
    }
}

impl<W: Write> Progress for Lines<W> {
    fn planned(&mut self, sweep: &Sweep) {
        self.clock = Clock::new(&sweep.weights);
        self.sweep = Some(sweep.clone());
        self.ended = 0;
    }

    fn started(&mut self, index: usize, _: &Task) {
        self.clock.started(index);
        self.spoke.insert(index, Instant::now());
    }

    fn said(&mut self, index: usize, task: &Task, event: &Event) {
        self.clock.said(index, event);
        match event {
            Event::Step(step) => self.step(index, task, step),
            Event::Evaluated(evaluated) => {
                let epochs = task.spec.recipe.training.epochs;
                let text = format!("epoch {}/{epochs} {}", evaluated.epoch, words::evaluation(evaluated));
                self.say(index, task, &text);
            }
            Event::Started(_) | Event::Checkpointed(_) | Event::Ended(_) => {}
        }
    }

    fn ended(&mut self, index: usize, task: &Task, ended: &Ended) {
        let total = self.sweep.as_ref().map_or(0, |sweep| sweep.labels.len());
        if ended.status == Status::Interrupted {
            return self.say(index, task, &words::ending(ended));
        }
        self.clock.ended(index);
        self.ended += 1;
        let left = words::left(self.clock.left().filter(|_| self.ended < total));
        self.say(index, task, &format!("{} ({}/{total} done{left})", words::ending(ended), self.ended));
    }

    fn cut_off(&mut self, index: usize, task: &Task, why: &str) {
        self.say(index, task, why);
    }

    fn downloading(&mut self, download: &Download) {
        if let Some(line) = self.transfer.hear(download) {
            self.note(&line);
        }
    }

    fn note(&mut self, text: &str) {
        // Nobody reads standard error any more: no reason to stop the runs.
        let _ = writeln!(self.out, "{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::{Evaluated, Summary};
    use crate::run::dispatch::tests::{evaluated, planned, started, step, task};

    #[test]
    fn a_run_speaks_at_each_epoch_and_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        let run = Task { position: 2, ..task(folder.path(), planned("r0123456789")) };
        let labels = vec!["lr=5e-4".to_owned(), "lr=1e-3".to_owned()];
        lines.planned(&Sweep { name: "x".to_owned(), runs: 4, complete: 2, labels, weights: vec![1.0, 1.0] });
        lines.started(0, &run);
        let best = Evaluated { train_loss: Some(1.25), val_loss: Some(1.5), ..evaluated(1, 0.5) };
        for event in [started("r0123456789"), step(1, 1), Event::Evaluated(Box::new(best.clone()))] {
            lines.said(0, &run, &event);
        }
        let summary = Summary { seconds: 61.0, best: Some(best), ..Summary::default() };
        lines.ended(0, &run, &Ended { status: Status::Finished, reason: None, summary: summary.clone() });
        let reason = Some("disk on fire\nhint: water".to_owned());
        lines.ended(1, &run, &Ended { status: Status::OutOfMemory, reason, summary: summary.clone() });
        lines.ended(1, &run, &Ended { status: Status::Interrupted, reason: None, summary });
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        run r0123456 [3/4] lr=5e-4: epoch 1/2 loss 1.250 val 1.500 score 0.500
        run r0123456 [3/4] lr=5e-4: finished in 61 s: best epoch 1, loss 1.250 val 1.500 score 0.500 (1/2 done)
        run r0123456 [3/4] lr=1e-3: out of memory: disk on fire (2/2 done)
        run r0123456 [3/4] lr=1e-3: interrupted after epoch 0
        ");
    }
}
