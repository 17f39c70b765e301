//! What the user sees while runs are at work, on standard error: bars on a terminal, plain lines elsewhere.
//!
//! [`Progress`] is told what happens; [`bars`] and [`lines`] show it, [`clock`] works out how far it is.

mod bars;
mod clock;
mod counter;
mod lines;
mod transfer;
mod words;

use std::io::IsTerminal;

use super::launcher::Task;
use crate::hub::Download;
use crate::record::Event;
use crate::record::event::Ended;

pub use bars::Bars;
pub use counter::Counter;
pub use lines::Lines;
pub use words::{duration, size};

/// Hears of everything that happens to the tasks, which are named by their index.
pub trait Progress {
    /// What is about to be done; said again where a search goes on.
    fn planned(&mut self, sweep: &Sweep);
    fn started(&mut self, index: usize, task: &Task);
    fn said(&mut self, index: usize, task: &Task, event: &Event);
    fn ended(&mut self, index: usize, task: &Task, ended: &Ended);
    /// The run has no end from here, and why: it was killed, or is left to who works on it elsewhere.
    fn cut_off(&mut self, index: usize, task: &Task, why: &str);
    /// How far the download of a model is.
    fn downloading(&mut self, download: &Download);
    /// Something else that the user should know.
    fn note(&mut self, text: &str);
}

/// The frame that the tasks stand in.
#[derive(Debug, Clone)]
pub struct Sweep {
    pub name: String,
    /// Runs of the plan.
    pub runs: usize,
    /// Runs that had their result before.
    pub complete: usize,
    /// Labels of the tasks.
    pub labels: Vec<String>,
    /// How much work each task is, in epochs.
    pub weights: Vec<f64>,
}

impl Sweep {
    /// `run r12ab34c [3/12] layers=2 lr=5e-4`.
    fn title(&self, index: usize, task: &Task) -> String {
        let id = super::label::short_id(&task.spec.id);
        let label = self.labels.get(index).map_or("", String::as_str);
        format!("run {id} [{}/{}] {label}", task.position + 1, self.runs)
    }
}

/// The kind of progress that fits standard error.
pub fn for_standard_error() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars::new())
    } else {
        Box::new(Lines::new(std::io::stderr()))
    }
}
