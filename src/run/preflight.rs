//! One step of the heaviest run before any run starts: what fails at once should fail now, and what it takes is measured.

use std::io::Read;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use thiserror::Error;

use super::inbox::Inbox;
use super::launcher::Task;
use super::process::{Processes, in_own_group};
use crate::train::Preflight;

/// How often a child at work is looked at.
const POLL: Duration = Duration::from_millis(20);

/// The trial step failed.
#[derive(Debug, Error)]
#[error(
    "run {run} ({label}) fails in its first step:\n{words}\nhint: `--no-preflight` starts the sweep all the same"
)]
pub struct PreflightError {
    run: String,
    label: String,
    /// The end of what the child said.
    words: String,
    /// The child found an input to be at fault, and not itself.
    pub is_bad_input: bool,
}

/// How the trial went.
pub enum Trial {
    Measured(Preflight),
    /// The user stopped it.
    Interrupted,
}

/// The run that takes the most memory and time, by its settings; `None` where none is trained.
pub fn heaviest(tasks: &[Task]) -> Option<&Task> {
    let weight = |task: &&Task| {
        let training = &task.spec.recipe.training;
        (training.unfrozen_vision_layers, training.batch_size * training.max_length)
    };
    tasks.iter().filter(|task| task.spec.recipe.kind.fine_tunes()).max_by_key(weight)
}

/// Makes a step of a run in a process of its own, so that its memory is measured alone and returned.
pub fn try_one_step(task: &Task, processes: &Processes, inbox: &Inbox) -> anyhow::Result<Trial> {
    let mut command = processes.command(task)?;
    command.args(["--preflight", "--supervised"]);
    // Its input closes with the parent's end, however that comes: it is left behind by none.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    in_own_group(&mut command);
    let mut child = command.spawn().context("cannot start a worker process")?;
    let output = read_all(child.stdout.take());
    let errors = read_all(child.stderr.take());
    loop {
        if let Some(status) = child.try_wait()? {
            let output = output.join().unwrap_or_default();
            if status.success() {
                let line = output.lines().next_back().unwrap_or_default();
                return Ok(Trial::Measured(
                    serde_json::from_str(line).context("a worker's answer cannot be understood")?,
                ));
            }
            // Who tells the child to end may tell this process at the same time; that is no failure then.
            thread::sleep(POLL);
            if inbox.was_interrupted() {
                return Ok(Trial::Interrupted);
            }
            let words = errors.join().unwrap_or_default().trim_end().to_owned();
            // An error that the child could name is one of the model, the settings or the device; a crash is ours.
            let is_bad_input = matches!(status.code(), Some(1 | 2));
            let label = super::label::label(&task.spec, false);
            return Err(PreflightError { run: task.spec.id.clone(), label, words, is_bad_input }.into());
        }
        if inbox.was_interrupted() {
            stop(&mut child);
            return Ok(Trial::Interrupted);
        }
        thread::sleep(POLL);
    }
}

fn stop(child: &mut Child) {
    // An error means that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads in a thread of its own: a child that nobody listens to stops when the pipe is full.
fn read_all(source: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut source) = source {
            let _ = source.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
