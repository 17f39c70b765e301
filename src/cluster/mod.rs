//! Beyond one machine: hands a frozen plan to the scheduler that the user's cluster has, and never becomes one itself.
//!
//! [`submit`](submit::submit) writes the plan as `sweep run` does and hands over one job array for what is missing. Each task
//! of it is `sweep worker --plan`, which finds its runs by its index ([`task`]) and works on them as `sweep run` would.
//! What a script says is pure ([`slurm`], [`hyperqueue`], [`kubernetes`], over [`array`] and [`command`]), and so is what a
//! scheduler's answer means ([`scheduler`]). Files stay the truth; the scheduler is asked only about what has no end there.

pub mod array;
mod ask;
pub mod cancel;
pub mod command;
pub mod hyperqueue;
pub mod kubernetes;
mod refusal;
pub mod scheduler;
pub mod slurm;
pub mod state;
pub mod submit;
pub mod task;

use thiserror::Error;

/// A cluster that does not do what it is asked, or cannot be.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ClusterError(pub String);
