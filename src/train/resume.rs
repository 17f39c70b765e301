//! Where a run stands when it is started, and what it may go on from.

use std::path::PathBuf;

use anyhow::{Context, Result};
use thiserror::Error;

use super::checkpoint::{self, Found, State};
use super::execute::Resumed;
use super::fine_tune::Bench;
use super::loss_scale::LossScale;
use super::origin::Changed;

/// The checkpoint is of a run on other inputs.
#[derive(Debug, Error)]
#[error(
    "cannot go on from {}: {changed}\nhint: put back what the run began with, or remove {} to run it anew",
    checkpoint.display(), run.display()
)]
struct Refused {
    checkpoint: PathBuf,
    run: PathBuf,
    changed: Changed,
}

/// The state of the last checkpoint, put into weights and optimizer; the beginning where there is none, or a damaged one.
/// Nothing of an earlier attempt is left then.
///
/// # Errors
/// A checkpoint that was made of other inputs, or may be whole and cannot be read.
pub(super) fn resume(bench: &mut Bench) -> Result<(State, Resumed)> {
    let folder = bench.session.directory.last();
    let why = match checkpoint::read_state(&folder, bench.steps_per_epoch, bench.total_steps)? {
        Found::Nothing => None,
        Found::Damaged(why) => Some(why),
        Found::Whole(saved) => {
            saved.origin.check(&bench.origin, bench.session).map_err(|changed| Refused {
                checkpoint: folder.clone(),
                run: bench.session.directory.path.clone(),
                changed,
            })?;
            match bench.restore(&folder, &saved.state) {
                Ok(()) => {
                    bench.partial.take_up(saved.state.step)?;
                    let mut notes = saved.origin.notes(&bench.origin);
                    notes.extend(saved.begun_by.map(|run| {
                        let epochs = saved.state.epoch - 1;
                        format!("its first {epochs} epochs are those of {run}, which differs in its patience alone")
                    }));
                    let resumed = Resumed { epochs: saved.state.epoch - 1, steps: saved.state.step, notes };
                    return Ok((saved.state, resumed));
                }
                Err(error) if checkpoint::is_damage(&error) => Some(format!("{error:#}")),
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot go on from {}", folder.display()));
                }
            }
        }
    };
    bench.session.directory.remove_results()?;
    bench.partial.take_up(0)?;
    let notes =
        why.into_iter().map(|why| format!("the run begins anew, as its checkpoint is damaged: {why}"));
    let precision = bench.session.spec.recipe.training.precision;
    let state = State { loss_scale: LossScale::of(precision), ..State::beginning() };
    Ok((state, Resumed { notes: notes.collect(), ..Resumed::default() }))
}
