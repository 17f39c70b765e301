//! Everything that comes before the first run and needs no device: what `sweep submit` does of `sweep run`.

use super::execute::{Options, freeze, record_call, take};
use super::inputs;
use super::lease::Lease;
use super::signals;
use super::survey::{Survey, survey};
use super::told::look_around;
use crate::hub::HubError;
use crate::record::{RunSpec, Store, SweepDir};
use crate::run::download::fetch_models;
use crate::run::progress::Progress;

/// A plan that is frozen on disk and whose inputs were found to be good.
#[derive(Debug)]
pub struct Prepared {
    pub sweep: SweepDir,
    pub survey: Survey,
    /// Nobody else runs or submits the sweep as long as it is held.
    pub lease: Lease,
}

/// Checks the inputs of what is missing, downloads models, and freezes the plan, which `may_freeze` may refuse.
///
/// Nothing is computed: the machine may be one on which many people work.
pub fn prepare(
    name: &str,
    plan: &[RunSpec],
    options: &Options,
    progress: &mut dyn Progress,
    ready: &mut dyn FnMut(&SweepDir, &mut dyn Progress),
    may_freeze: impl FnOnce(&SweepDir) -> anyhow::Result<()>,
) -> anyhow::Result<Prepared> {
    let sweep = Store::new(&options.runs).sweep(name);
    let lease = take(&sweep)?;
    let survey = survey(&sweep, plan, options.policy.retry)?;
    look_around(&sweep, plan, options, &survey, progress);
    may_freeze(&sweep)?;
    let inbox = signals::inbox()?;
    let checked = inbox.with_nothing_to_lose(|| inputs::check(&survey.missing, &options.runs))?;
    for warning in &checked.warnings {
        progress.note(&format!("warning: {warning}"));
    }
    match fetch_models(&checked.to_fetch, progress, &|| inbox.was_interrupted()) {
        Err(HubError::Stopped) => anyhow::bail!("interrupted before anything was submitted"),
        fetched => fetched?,
    }
    freeze(&sweep, plan, &survey)?;
    record_call(&sweep, options, None, progress);
    inbox.with_nothing_to_lose(|| ready(&sweep, progress));
    Ok(Prepared { sweep, survey, lease })
}
