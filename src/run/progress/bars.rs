//! Progress as bars, for terminals: one for the sweep, one for each run at work.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::clock::Clock;
use super::transfer::Transfer;
use super::{Progress, Sweep, words};
use crate::hub::Download;
use crate::record::Event;
use crate::record::event::{Ended, Evaluated};
use crate::run::launcher::Task;

/// Redraws at most this often; steps of a small model come faster than anyone reads.
const TICK: Duration = Duration::from_millis(200);

/// Draws the sweep's bar below those of its runs.
pub struct Bars {
    area: MultiProgress,
    whole: ProgressBar,
    runs: BTreeMap<usize, RunBar>,
    sweep: Option<Sweep>,
    clock: Clock,
    failed: usize,
    transfer: Transfer,
    /// That of the file being downloaded.
    download: Option<ProgressBar>,
}

struct RunBar {
    bar: ProgressBar,
    /// What the last epoch came to, which stays in sight during the next one.
    validation: String,
}

impl Bars {
    pub fn new() -> Self {
        Self {
            area: MultiProgress::new(),
            whole: ProgressBar::hidden(),
            runs: BTreeMap::new(),
            sweep: None,
            clock: Clock::new(&[]),
            failed: 0,
            transfer: Transfer::new(),
            download: None,
        }
    }

    fn title(&self, index: usize, task: &Task) -> String {
        self.sweep.as_ref().map(|sweep| sweep.title(index, task)).unwrap_or_default()
    }

    /// The title as wide as the widest one, so that the bars stand below each other.
    fn aligned_title(&self, index: usize, task: &Task) -> String {
        let Some(sweep) = &self.sweep else { return String::new() };
        let length = |label: &String| label.chars().count();
        let widest = sweep.labels.iter().map(length).max().unwrap_or(0);
        let own = sweep.labels.get(index).map_or(0, length);
        format!("{}{}", sweep.title(index, task), " ".repeat(widest - own))
    }

    fn close(&mut self, index: usize, line: &str) {
        if let Some(run) = self.runs.remove(&index) {
            run.bar.finish_and_clear();
            self.area.remove(&run.bar);
        }
        self.note(line);
        self.whole.inc(1);
        self.show_whole();
    }

    fn show_whole(&self) {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        self.whole.set_message(format!("{failed}{}", words::left(self.clock.left())));
    }

    fn end_download(&mut self) {
        if let Some(bar) = self.download.take() {
            bar.finish_and_clear();
            self.area.remove(&bar);
        }
    }

    fn show_evaluation(&mut self, index: usize, task: &Task, evaluated: &Evaluated) {
        let Some(run) = self.runs.get_mut(&index) else { return };
        let epochs = task.spec.recipe.training.epochs;
        run.validation = format!("; {}", words::validation(evaluated));
        run.bar.set_position(evaluated.step as u64);
        run.bar.set_message(format!("epoch {}/{epochs} {}", evaluated.epoch, words::evaluation(evaluated)));
        self.show_whole();
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bars {
    fn planned(&mut self, sweep: &Sweep) {
        self.end_download();
        self.clock = Clock::new(&sweep.weights);
        self.area.remove(&self.whole);
        self.whole = self.area.add(ProgressBar::new(sweep.runs as u64));
        self.whole.set_style(style("{prefix} {wide_bar} {pos}/{len} runs{msg}"));
        self.whole.set_prefix(sweep.name.clone());
        self.whole.set_position(sweep.complete as u64);
        self.whole.enable_steady_tick(TICK);
        self.sweep = Some(sweep.clone());
    }

    fn started(&mut self, index: usize, task: &Task) {
        self.clock.started(index);
        let bar = self.area.insert_before(&self.whole, ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {prefix}  {wide_msg}"));
        bar.set_prefix(self.aligned_title(index, task));
        bar.set_message("starting");
        bar.enable_steady_tick(TICK);
        self.runs.insert(index, RunBar { bar, validation: String::new() });
    }

    fn said(&mut self, index: usize, task: &Task, event: &Event) {
        self.clock.said(index, event);
        match event {
            Event::Started(started) => {
                let Some(run) = self.runs.get(&index) else { return };
                run.bar.set_length(started.total_steps as u64);
                run.bar.set_style(style("{spinner} {prefix} {bar:20} {pos}/{len}  {wide_msg}"));
            }
            Event::Step(step) => {
                let left = words::left(self.clock.task_left(index));
                let Some(run) = self.runs.get(&index) else { return };
                run.bar.set_position(step.step as u64);
                run.bar.set_message(format!(
                    "epoch {}/{} loss {:.3} {:.0} images/s{left}{}",
                    step.epoch,
                    task.spec.recipe.training.epochs,
                    step.loss,
                    step.images_per_second,
                    run.validation
                ));
            }
            Event::Evaluated(evaluated) => self.show_evaluation(index, task, evaluated),
            Event::Checkpointed(_) | Event::Ended(_) => {}
        }
    }

    fn ended(&mut self, index: usize, task: &Task, ended: &Ended) {
        if ended.status != crate::record::Status::Interrupted {
            self.clock.ended(index);
        }
        if !ended.status.is_complete() && ended.status != crate::record::Status::Interrupted {
            self.failed += 1;
        }
        let line = format!("{}: {}", self.title(index, task), words::ending(ended));
        self.close(index, &line);
    }

    fn cut_off(&mut self, index: usize, task: &Task, why: &str) {
        let line = format!("{}: {why}", self.title(index, task));
        self.close(index, &line);
    }

    fn downloading(&mut self, download: &Download) {
        let line = self.transfer.hear(download);
        if let (Some(line), Download::Waiting | Download::Retrying(_)) = (line, download) {
            self.note(&line);
        }
        let bar = self.download.get_or_insert_with(|| {
            let bar = self.area.add(ProgressBar::new(0));
            bar.set_style(style("{msg} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec}, {eta} left"));
            bar
        });
        if let Download::File { .. } = download {
            bar.set_message(self.transfer.name.clone());
            bar.set_length(self.transfer.bytes);
            bar.reset_eta();
        }
        bar.set_position(self.transfer.done);
    }

    fn note(&mut self, text: &str) {
        let _ = self.area.println(text);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.end_download();
        self.whole.finish_and_clear();
    }
}

/// A bar's look. The templates are constants; a wrong one falls back to the plainest look.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}
