//! The seam between the executor and what it starts: runs are launched, talk, and exit.
//!
//! The product launches processes (`process`); tests launch scripts that take no time.

use std::io;
use std::sync::mpsc::Sender;

use crate::record::{Line, RunDir, RunSpec};

/// A run to be done and where it is recorded.
#[derive(Debug, Clone)]
pub struct Task {
    pub spec: RunSpec,
    pub directory: RunDir,
    /// Position in the plan, from 0.
    pub position: usize,
    /// It waits after this epoch, if it has more.
    pub until_epoch: Option<usize>,
}

/// What the dispatcher hears. Tasks are named by their index in its list.
#[derive(Debug)]
pub enum Message {
    /// The run appended this line to its journal.
    Said { task: usize, line: Line },
    /// The run says nothing more: it ends, or has ended.
    Closed { task: usize },
    /// The user wants to stop. The second time he wants it at once.
    Interrupted,
}

/// Starts runs.
pub trait Launcher {
    /// Starts a run, which sends what it says to `messages`, [`Message::Closed`] last.
    fn launch(
        &self,
        index: usize,
        task: &Task,
        messages: &Sender<Message>,
    ) -> anyhow::Result<Box<dyn Running>>;
}

/// A run at work.
pub trait Running {
    /// Asks it to save a checkpoint and end. Asking twice is asking once.
    fn ask_to_stop(&mut self);
    /// Ends it now.
    fn kill(&mut self);
    /// How it ended. Called after [`Message::Closed`], so it need not wait for long.
    fn wait(&mut self) -> io::Result<Exit>;
}

/// How a process ended: with a code, or by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// Exit codes of a worker; the contract with whatever starts it.
pub mod exit_code {
    /// The run has its result.
    pub const DONE: i32 = 0;
    /// The run failed and would fail again.
    pub const FAILED: i32 = 42;
    /// The run stopped with a checkpoint: run it again. As `EX_TEMPFAIL` of sysexits.h.
    pub const INTERRUPTED: i32 = 75;
}
