//! How far the tasks are, and how long the rest will take.

use std::time::{Duration, Instant};

use crate::record::Event;

/// The share of the work that is done, from what the tasks say.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    weights: Vec<f64>,
    tasks: Vec<TaskClock>,
}

/// One task: where it began (a resumed run begins in the middle) and how far it is.
#[derive(Debug, Clone, Default)]
struct TaskClock {
    began: Option<Instant>,
    total_steps: usize,
    first_step: Option<usize>,
    step: usize,
    ended: bool,
}

impl Clock {
    /// `weights` says how much work each task is, in any unit.
    pub fn new(weights: &[f64]) -> Self {
        Self {
            began: Instant::now(),
            weights: weights.to_vec(),
            tasks: vec![TaskClock::default(); weights.len()],
        }
    }

    pub fn started(&mut self, index: usize) {
        if let Some(task) = self.tasks.get_mut(index) {
            task.began = Some(Instant::now());
        }
    }

    pub fn ended(&mut self, index: usize) {
        if let Some(task) = self.tasks.get_mut(index) {
            task.ended = true;
        }
    }

    pub fn said(&mut self, index: usize, event: &Event) {
        let Some(task) = self.tasks.get_mut(index) else { return };
        let step = match event {
            Event::Started(started) => {
                task.total_steps = started.total_steps;
                return;
            }
            Event::Step(step) => step.step,
            Event::Evaluated(evaluated) => evaluated.step,
            Event::Checkpointed(_) | Event::Ended(_) => return,
        };
        task.first_step.get_or_insert(step);
        task.step = step;
    }

    /// Steps done and in all.
    pub fn steps(&self, index: usize) -> (usize, usize) {
        self.tasks.get(index).map_or((0, 0), |task| (task.step, task.total_steps))
    }

    /// Time that a task still takes if it goes on as fast and nothing stops it early.
    pub fn task_left(&self, index: usize) -> Option<Duration> {
        let task = self.tasks.get(index)?;
        let done = task.step.checked_sub(task.first_step?)?;
        left(task.began?.elapsed(), done as f64, task.total_steps.checked_sub(task.step)? as f64)
    }

    /// Time that all tasks still take.
    pub fn left(&self) -> Option<Duration> {
        let done = self.done();
        left(self.began.elapsed(), done, self.weights.iter().sum::<f64>() - done)
    }

    /// Work done, in the unit of the weights.
    fn done(&self) -> f64 {
        let of_task = |(task, weight): (&TaskClock, &f64)| {
            let share = if task.ended { 1.0 } else { task.step as f64 / task.total_steps.max(1) as f64 };
            share.min(1.0) * weight
        };
        self.tasks.iter().zip(&self.weights).map(of_task).sum()
    }
}

/// `None` while nothing is done.
fn left(elapsed: Duration, done: f64, to_do: f64) -> Option<Duration> {
    let seconds = elapsed.as_secs_f64() * to_do / done;
    if done > 0.0 { Duration::try_from_secs_f64(seconds).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::dispatch::tests::{started, step};

    #[test]
    fn the_work_done_is_weighted_and_counts_what_runs() {
        let mut clock = Clock::new(&[1.0, 3.0]);
        assert_eq!((clock.done(), clock.left()), (0.0, None));
        clock.ended(0);
        clock.started(1);
        clock.said(1, &started("r1"));
        clock.said(1, &step(1, 2));
        assert_eq!((clock.done(), clock.steps(1)), (2.5, (2, 4)));
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_done_did() {
        assert_eq!(left(Duration::from_secs(10), 1.0, 3.0), Some(Duration::from_secs(30)));
        assert_eq!(left(Duration::from_secs(10), 0.0, 3.0), None);
        assert_eq!(left(Duration::from_secs(10), 3.0, 0.0), Some(Duration::ZERO));
    }
}
