//! What a run puts on the disk while it trains: `best/`, and `last/` to go on from.
//!
//! Weights and moments are large and the rest of the state is small, so that an evaluation's outcome is added to a
//! checkpoint that was saved before it. While an evaluation is under way its captions are kept beside ([`Partial`]).
//!
//! [`Partial`]: super::partial::Partial

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::Var;

use super::Emit;
use super::checkpoint::{self, GoingOn, Saved, State, Training, WeightsFrom};
use super::fine_tune::Bench;
use super::judged::Judged;
use super::loss_scale::LossScale;
use super::pace::Pace;
use super::provenance::Provenance;
use super::small_decoder;
use crate::record::event::{Checkpointed, Event};
use crate::record::recipe::Kind;
use crate::record::run::Prediction;

/// How the disk stands to the run.
pub(super) struct Keeping {
    pace: Pace,
    /// Optimizer steps of the weights in `last/`, once this attempt knows.
    step: Option<usize>,
    /// Optimizer steps of the weights that this attempt last saved as the best.
    best: Option<usize>,
    began: Instant,
    /// What the attempts before this one took.
    earlier: Spent,
}

/// What attempts took.
#[derive(Default)]
struct Spent {
    seconds: f64,
    images_encoded: usize,
}

impl Keeping {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            pace: Pace::new(every),
            step: None,
            best: None,
            began: Instant::now(),
            earlier: Spent::default(),
        }
    }
}

impl Bench<'_> {
    /// Wall-clock seconds of all attempts so far.
    pub(super) fn seconds(&self) -> f64 {
        self.keeping.earlier.seconds + self.keeping.began.elapsed().as_secs_f64()
    }

    /// Images that the frozen layers encoded in all attempts so far.
    pub(super) fn images_encoded(&self) -> usize {
        let splits = [&self.train, &self.validation, &self.test];
        let changed = self.views.as_ref().map_or(0, |views| views.encoded);
        let before = self.keeping.earlier.images_encoded + changed;
        splits.iter().fold(before, |sum, split| sum + split.features.encoded)
    }

    /// Takes over what a checkpoint holds: all of it or nothing.
    pub(super) fn restore(&mut self, folder: &Path, state: &State) -> Result<()> {
        let (apart, device) = (self.apart(), &self.session.device);
        let weights = self.judged.as_ref().map_or(&self.pretrained.weights, Judged::weights);
        let precision = self.session.spec.recipe.training.precision;
        ensure!(
            state.loss_scale.is_some() == LossScale::of(precision).is_some(),
            "{} is of a run in another precision",
            folder.display()
        );
        if self.has_trained(state) {
            checkpoint::restore_weights(folder, weights, device)?;
        } else {
            checkpoint::restore(folder, weights, &mut self.optimizer, &apart, state.updates(), device)?;
        }
        self.keeping.step = Some(state.step);
        self.keeping.earlier = Spent { seconds: state.seconds, images_encoded: state.images_encoded };
        Ok(())
    }

    /// Puts the weights from before training into the model. They are read anew, and must be those of then.
    pub(super) fn restore_pretrained(&self) -> Result<()> {
        if self.session.spec.recipe.kind == Kind::SmallDecoder {
            return small_decoder::begin_anew(self.session, &self.pretrained.config, self.weights());
        }
        let (folder, weights) = (&self.session.inputs.model, self.weights());
        checkpoint::restore_weights(folder, weights, &self.session.device)?;
        ensure!(
            weights.digest()? == self.origin.model_digest,
            "{}: the weights changed while the run was at work\nhint: put back what the run began with, or remove {} to \
             run it anew",
            folder.display(),
            self.session.directory.path.display()
        );
        Ok(())
    }

    /// Saves the model as the best one, with what it said.
    pub(super) fn save_best(&mut self, step: usize, predictions: &[Prediction]) -> Result<()> {
        let session = self.session;
        let (folder, source) = (session.directory.best(), &session.inputs.model);
        let weights = WeightsFrom::Memory(self.weights());
        checkpoint::save_model(&folder, source, weights, self.provenance())?;
        self.keeping.best = Some(step);
        Ok(session.directory.write_predictions(predictions)?)
    }

    /// Saves a checkpoint within an epoch if it is time to.
    pub(super) fn save_if_due(&mut self, state: &State, emit: &mut Emit) -> Result<()> {
        if !self.keeping.pace.is_due() {
            return Ok(());
        }
        self.save(state)?;
        emit(checkpointed(state.epoch, state))
    }

    /// Saves a checkpoint before an evaluation that is likely to last beyond the time for one, and tells the captions
    /// whether they have a checkpoint to belong to.
    pub(super) fn save_before_evaluation(&mut self, state: &State, emit: &mut Emit) -> Result<()> {
        // All evaluations caption the same images; that of the model before training is measured alone.
        let seconds = state.initial.as_ref().map_or(0.0, |initial| initial.seconds);
        let likely = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if self.keeping.step != Some(state.step) && self.keeping.pace.will_be_due_in(likely) {
            self.save(state)?;
            emit(checkpointed(state.epoch, state))?;
        }
        self.partial.begin(self.keeping.step.filter(|step| *step == state.step));
        Ok(())
    }

    /// Keeps what an evaluation came to: always where `must`, else if it costs little or it is time to.
    pub(super) fn keep_evaluated(&mut self, state: &State, must: bool, emit: &mut Emit) -> Result<()> {
        let is_kept = must || self.keeping.step == Some(state.step) || self.keeping.pace.is_due();
        if is_kept {
            self.save(state)?;
            emit(checkpointed(state.epoch - 1, state))?;
        }
        self.partial.clear()
    }

    /// When training is over, `last/` is the last epoch's model. What is said from here on belongs to it.
    pub(super) fn finish_last(&mut self, state: &State, emit: &mut Emit) -> Result<()> {
        if self.keeping.step != Some(state.step) {
            self.save(state)?;
            emit(checkpointed(state.epoch - 1, state))?;
        }
        self.partial.begin(Some(state.step));
        Ok(())
    }

    /// Saves all there is to go on from.
    pub(super) fn save_to_stop(&mut self, state: &State) -> Result<()> {
        // Before the first step there is nothing but captions.
        if state.step > 0 || state.initial.is_some() {
            self.save(state)?;
        }
        self.partial.begin(Some(state.step));
        self.partial.keep()
    }

    /// Saves `last/`. Where it has the weights already, only what else there is to the state.
    fn save(&mut self, state: &State) -> Result<()> {
        let began = Instant::now();
        let session = self.session;
        session.directory.sync_rows()?;
        let (seconds, images_encoded) = (self.seconds(), self.images_encoded());
        let state = State { seconds, images_encoded, ..state.clone() };
        let saved = Saved::new(&self.origin, &state);
        let folder = session.directory.last();
        if self.keeping.step == Some(state.step) {
            checkpoint::replace_state(&folder, &saved)?;
            self.keeping.pace.restart();
            return Ok(());
        }
        self.refresh()?;
        let training = Training { optimizer: &self.optimizer, apart: &self.apart() };
        let going_on = GoingOn { saved: &saved, training: (!self.has_trained(&state)).then_some(training) };
        let (source, best) = (&session.inputs.model, session.directory.best());
        let is_best = self.keeping.best == Some(state.step);
        let weights = if is_best { WeightsFrom::Saved(&best) } else { WeightsFrom::Memory(self.weights()) };
        checkpoint::save_resumable(&folder, source, weights, self.provenance(), going_on)?;
        self.keeping.step = Some(state.step);
        self.keeping.pace.saved(began.elapsed());
        Ok(())
    }

    /// What training goes on with that is in no tensor of a model's file.
    pub(super) fn apart(&self) -> BTreeMap<String, Var> {
        let weights = &self.pretrained.weights;
        self.judged.as_ref().map_or_else(BTreeMap::new, |judged| judged.apart(weights))
    }

    fn provenance(&self) -> Provenance<'_> {
        Provenance { spec: self.session.spec, longest_caption: self.material.longest_caption }
    }
}

fn checkpointed(epoch: usize, state: &State) -> Event {
    Event::Checkpointed(Checkpointed { epoch, step: state.step, checkpoint: "last".to_owned() })
}
