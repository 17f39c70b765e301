//! What a run hands on to another that differs from it in having more patience: all its epochs.

use std::fs;

use anyhow::{Context, Result};

use super::checkpoint::{self, GoingOn, Saved, State, Training, WeightsFrom};
use super::fine_tune::Bench;
use super::origin::{self, Origin};
use super::provenance::Provenance;
use crate::record::store::{RunDir, write_atomic};
use crate::record::{RunSpec, journal};

/// The run that goes on where this one stops. Its folder is this process's.
#[derive(Clone, Copy)]
pub struct Heir<'a> {
    pub spec: &'a RunSpec,
    pub directory: &'a RunDir,
}

impl Bench<'_> {
    /// Puts all there is to go on from into the heir's folder, when `last/` has just been saved and nothing was tested yet.
    /// The heir finds what it would have come to itself, as if it had been interrupted after this run's last epoch.
    pub(super) fn hand_on(&self, state: &State, heir: Heir) -> Result<()> {
        let (own, session) = (self.session.directory, self.session);
        let (from, to) = (&session.spec.id, &heir.spec.id);
        let within = || format!("cannot hand on to the run {to}");
        // First what says that there are epochs: without their checkpoint the heir begins anew.
        journal::hand_on(&own.events(), &heir.directory.events(), to)?;
        own.sync_rows()?;
        for (rows, copy) in
            [(own.per_image(), heir.directory.per_image()), (own.predictions(), heir.directory.predictions())]
        {
            if rows.is_file() {
                write_atomic(&copy, &fs::read(&rows).with_context(within)?)?;
            }
        }
        let provenance = || Provenance { spec: heir.spec, longest_caption: self.material.longest_caption };
        let source = &session.inputs.model;
        if state.progress.best.is_some() {
            let best = &own.best();
            checkpoint::save_model(&heir.directory.best(), source, WeightsFrom::Saved(best), provenance())?;
        }
        let origin = Origin { settings: origin::settings(heir.spec)?, ..self.origin.clone() };
        // Its epochs cost the heir nothing.
        let state = State { seconds: 0.0, images_encoded: 0, ..state.clone() };
        let saved = Saved::new(&origin, &state).begun_by(from);
        let apart = self.apart();
        let training = Training { optimizer: &self.optimizer, apart: &apart };
        let is_over = state.epoch > self.epochs;
        let going_on = GoingOn { saved: &saved, training: (!is_over).then_some(training) };
        let last = &own.last();
        checkpoint::save_resumable(
            &heir.directory.last(),
            source,
            WeightsFrom::Saved(last),
            provenance(),
            going_on,
        )
    }
}
