//! The training loop: a recipe from top to bottom.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::balance::Balance;
use super::checkpoint::{self, State};
use super::chosen::unfreeze;
use super::comparison::Comparison;
use super::divergence::divergence;
use super::evaluate::{self, Speaker, Split};
use super::execute::{Loaded, started, test};
use super::features::{BUDGET_BYTES, Features, state_bytes};
use super::judged::Judged;
use super::keeping::Keeping;
use super::material::{Material, Pretrained, epoch_batches};
use super::optimizer::{AdamW, Multipliers};
use super::origin::Origin;
use super::partial::Partial;
use super::resume::resume;
use super::schedule::factor;
use super::views::Views;
use super::wordings::Wordings;
use super::{Emit, Session, Stopped, image_use, observed, pairs, small_decoder};
use crate::data::Example;
use crate::model::{Blip, Weights};
use crate::record::diagnostics;
use crate::record::event::{Checkpointed, Ended, Evaluated, Event, Status, Step, Summary, paused_after};
use crate::record::folder;
use crate::record::image_use::ImageUse;
use crate::record::recipe::Kind;
use crate::record::run::Prediction;

/// Why the test scores of a run are not those of its training.
const NONE_BEST: &str = "no epoch was good enough to be the best (in all of them CIDEr-D was 0 and the validation loss \
                         1 or more): the test scores and captions are those of the model before training";
/// Step events an epoch, about.
const STEPS_RECORDED: usize = 10;

/// Fine-tunes the pretrained model as the recipe says.
pub fn fine_tune(session: &Session, mut loaded: Loaded, emit: &mut Emit) -> Result<Ended> {
    let origin = Origin::of(session, &loaded)?;
    match session.spec.recipe.kind {
        Kind::SmallDecoder => small_decoder::put_in_place(session, &mut loaded)?,
        _ => unfreeze(session, &mut loaded.pretrained)?,
    }
    let Loaded { pretrained, material, .. } = &loaded;
    let frozen_digest = pretrained.weights.frozen_fingerprint()?;
    let mut bench = Bench::new(session, pretrained, material, origin)?;
    let (mut state, resumed) = resume(&mut bench)?;
    let total = bench.total_steps;
    let first = started(session, (pretrained, material), &bench.origin, &frozen_digest, total, resumed);
    emit(Event::Started(Box::new(first)))?;

    let (mut status, mut reason) = match train(&mut bench, &mut state, emit) {
        Err(error) if error.is::<Stopped>() => {
            bench.save_to_stop(&state).context("cannot save a checkpoint before stopping")?;
            let reason = format!("stopped at step {}; running it again continues from there", state.step);
            (Status::Interrupted, Some(reason))
        }
        end => end?,
    };
    ensure!(
        pretrained.weights.frozen_fingerprint()? == frozen_digest,
        "frozen weights changed during training: a defect of this program"
    );
    if let Some(scale) = state.loss_scale.filter(|scale| scale.skipped > 0) {
        session.say(&format!(
            "{} of {} steps were skipped, as their gradients overflowed in f16; losses are now scaled by {}",
            scale.skipped, state.step, scale.factor
        ));
    }
    let mut tested = (None, None);
    if status.is_complete() {
        if state.progress.best.is_none() {
            reason = Some(reason.into_iter().chain([NONE_BEST.to_owned()]).collect::<Vec<_>>().join("; "));
        }
        match test_best(&mut bench, &state) {
            Err(error) if error.is::<Stopped>() => {
                bench.save_to_stop(&state)?;
                status = Status::Interrupted;
                reason = Some("stopped before the test images were captioned".to_owned());
            }
            scores => tested = scores?,
        }
    }
    let summary = Summary {
        epochs: state.epoch - 1,
        steps: state.step,
        skipped_steps: state.skipped(),
        seconds: bench.seconds(),
        initial: state.initial,
        best: state.progress.best,
        last: state.last,
        test: tested.0,
        train: tested.1,
        frozen_digest: Some(frozen_digest),
        peak_memory_bytes: None,
        images_encoded: bench.images_encoded(),
        ..Summary::default()
    };
    Ok(Ended { status, reason, summary })
}

/// All that training works with.
pub(super) struct Bench<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) pretrained: &'a Pretrained,
    pub(super) material: &'a Material,
    /// What its checkpoints are made of.
    pub(super) origin: Origin,
    pub(super) model: Blip,
    /// The weights that the run is judged by, where they are not those that train.
    pub(super) judged: Option<Judged>,
    /// Shares the values that the run is judged by and records no graph.
    pub(super) observer: Blip,
    pub(super) optimizer: AdamW,
    pub(super) train: Split<'a>,
    pub(super) validation: Split<'a>,
    pub(super) test: Split<'a>,
    /// How training images are seen, where they are changed.
    pub(super) views: Option<Views>,
    /// How training captions are worded, where they are changed.
    pub(super) wordings: Option<Wordings<'a>>,
    balance: Option<Balance>,
    pub(super) steps_per_epoch: usize,
    pub(super) total_steps: usize,
    pub(super) epochs: usize,
    pub(super) keeping: Keeping,
    pub(super) partial: Partial,
}

impl<'a> Bench<'a> {
    fn new(
        session: &'a Session,
        pretrained: &'a Pretrained,
        material: &'a Material,
        origin: Origin,
    ) -> Result<Self> {
        let training = &session.spec.recipe.training;
        let (config, weights, dataset) = (&pretrained.config, &pretrained.weights, &material.dataset);
        let boundary = config.vision.num_hidden_layers - training.unfrozen_vision_layers;
        let features = |examples: &'a [Example]| {
            Features::new(examples, pretrained, &session.device, boundary, BUDGET_BYTES / 3)
        };
        let split =
            |name, examples: &'a [Example], tokens| Split::whole(name, examples, tokens, features(examples));
        let multipliers = Multipliers {
            text: training.text_lr_multiplier,
            vision: training.vision_lr_multiplier,
            other: 1.0,
        };
        // These are the images that it trains on.
        let steps_per_epoch = training.steps_per_epoch(dataset.train.len());
        let depth = config.vision.num_hidden_layers;
        let optimizer = AdamW::new(weights, training.weight_decay, multipliers)
            .with_layer_decay(training.layer_lr_decay, depth)
            // In updates, as the schedule is: a step that is skipped in f16 is none.
            .with_starts(depth, |above| (training.unfreezes_in(above) - 1).saturating_mul(steps_per_epoch));
        let optimizer =
            if training.decay_norms_and_biases { optimizer } else { optimizer.sparing_norms_and_biases() };
        let judged = Judged::of(weights, training.ema_decay)?;
        let looked_at = judged.as_ref().map_or(weights, Judged::weights);
        Ok(Self {
            session,
            pretrained,
            material,
            model: Blip::new(config, weights)?,
            observer: Blip::from_builder(config, looked_at.detached())?,
            judged,
            optimizer,
            train: observed::training_split(session, material, features(&dataset.train)),
            validation: split("validation", &dataset.validation, &material.validation),
            test: split("test", &dataset.test, &material.test),
            views: Views::of(session, material, BUDGET_BYTES / 3 / state_bytes(config)),
            wordings: Wordings::of(session, material, pretrained)?,
            balance: Balance::of(training, dataset.train.iter().map(|example| example.image.as_str()))?,
            steps_per_epoch,
            total_steps: training.total_steps(dataset.train.len()),
            epochs: training.epochs_over(dataset.train.len()),
            keeping: Keeping::new(session.checkpoint_every),
            partial: Partial::new(session, &origin),
            origin,
        })
    }

    /// The weights that the run is judged by and saves.
    pub(super) fn weights(&self) -> &Weights {
        self.judged.as_ref().map_or(&self.pretrained.weights, Judged::weights)
    }

    /// Brings them up to date.
    pub(super) fn refresh(&self) -> Result<()> {
        self.judged.as_ref().map_or(Ok(()), |judged| judged.refresh(&self.pretrained.weights))
    }

    /// Whether training is over: after the last epoch, or out of patience. Such a run may yet have to be tested.
    pub(super) fn has_trained(&self, state: &State) -> bool {
        let stopping = &self.session.spec.recipe.early_stopping;
        state.epoch > self.epochs || state.progress.is_out_of_patience(stopping)
    }

    /// The model, which is that of `epoch`, as it captions.
    pub(super) fn speaker(&mut self, epoch: usize) -> Speaker<'_> {
        let Self { observer, pretrained, partial, .. } = self;
        Speaker::new(observer, epoch, pretrained, partial)
    }
}

/// How training ended, and why if that needs words.
type End = (Status, Option<String>);

/// Trains from `state` to the last epoch, to the end of patience or to a loss that is no number.
fn train(bench: &mut Bench, state: &mut State, emit: &mut Emit) -> Result<End> {
    let session = bench.session;
    let recipe = &session.spec.recipe;
    let mut since = Instant::now();
    if state.initial.is_none() {
        let (evaluated, _) = validate(bench, 0)?;
        let evaluated = Evaluated { seconds: since.elapsed().as_secs_f64(), ..evaluated };
        state.initial = Some(evaluated.clone());
        emit(Event::Evaluated(Box::new(evaluated)))?;
        bench.keep_evaluated(state, false, emit)?;
    }
    while !bench.has_trained(state) {
        since = Instant::now();
        if let Some(divergence) = train_epoch(bench, state, emit)? {
            return Ok((Status::Diverged, Some(divergence)));
        }
        let epoch = state.epoch;
        if epoch < bench.epochs && !epoch.is_multiple_of(recipe.evaluation.eval_every.max(1)) {
            state.begin_next_epoch();
            bench.save_if_due(state, emit)?;
            continue;
        }
        bench.save_before_evaluation(state, emit)?;
        bench.refresh()?;
        let (evaluated, predictions) = validate(bench, epoch)?;
        let evaluated = Evaluated {
            step: state.step,
            train_loss: Some(state.loss_sum / state.batch.max(1) as f64),
            seconds: since.elapsed().as_secs_f64(),
            ..evaluated
        };
        emit(Event::Evaluated(Box::new(evaluated.clone())))?;
        let verdict = state.progress.observe(&evaluated, &recipe.early_stopping);
        state.begin_next_epoch();
        state.last = Some(evaluated);
        if verdict.is_best {
            bench.save_best(state.step, &predictions)?;
            emit(Event::Checkpointed(Checkpointed {
                epoch,
                step: state.step,
                checkpoint: "best".to_owned(),
            }))?;
        }
        // A checkpoint that knows of an older best epoch than `best/` holds could be gone on from to another end, where
        // a device does not repeat its sums to the bit.
        let pauses = session.until_epoch.is_some_and(|until| epoch >= until)
            && epoch < bench.epochs
            && !verdict.should_stop;
        bench.keep_evaluated(state, verdict.is_best || pauses, emit)?;
        if pauses {
            return Ok((Status::Interrupted, Some(paused_after(epoch))));
        }
    }
    bench.finish_last(state, emit)?;
    if let Some(heir) = session.heir
        && let Err(error) = bench.hand_on(state, heir)
    {
        // It trains by itself then.
        session.say(&format!("warning: {error:#}"));
        let _ = folder::remove(&heir.directory.last());
    }
    if state.progress.is_out_of_patience(&recipe.early_stopping) {
        let evaluated = if recipe.evaluation.eval_every > 1 { "evaluated " } else { "" };
        let reason = format!("no new best in {} {evaluated}epochs", recipe.early_stopping.patience);
        return Ok((Status::EarlyStopped, Some(reason)));
    }
    Ok((Status::Finished, None))
}

/// The rest of the epoch in progress. Returns what diverged, if anything did.
fn train_epoch(bench: &mut Bench, state: &mut State, emit: &mut Emit) -> Result<Option<String>> {
    let session = bench.session;
    let (training, seed) = (&session.spec.recipe.training, session.spec.seed);
    let examples = bench.material.train.len();
    let drawn = match &bench.balance {
        Some(balance) => balance.draw(seed, state.epoch),
        None => (0..examples).collect(),
    };
    let batches = epoch_batches(drawn, training.examples_per_step(), training.shuffle, seed, state.epoch);
    let every = (bench.steps_per_epoch / STEPS_RECORDED).max(1);
    let all: Vec<usize> = (0..examples).collect();
    if bench.views.as_ref().is_none_or(Views::has_plain) {
        bench.train.features.prepare(session, &bench.model, &all)?;
    }
    let total = bench.total_steps;
    let left = total.saturating_sub(state.step).saturating_add(state.batch);
    let batches = &batches[..batches.len().min(left)];
    while let Some(indices) = batches.get(state.batch) {
        session.go_on()?;
        let began = Instant::now();
        let factor = factor(training.lr_scheduler_type, state.updates(), training.warmup(total), total);
        let rate = training.learning_rate * factor;
        let (loss, gradient_norm) = bench.step(indices, state, rate)?;
        let loss_scale = state.loss_scale.map(|scale| scale.factor.into());
        state.step += 1;
        state.batch += 1;
        state.loss_sum += loss;
        if let Some(divergence) = divergence(state, loss, gradient_norm) {
            return Ok(Some(divergence));
        }
        // What is skipped is recorded in any case.
        if state.batch.is_multiple_of(every) || state.batch == batches.len() || !gradient_norm.is_finite() {
            emit(Event::Step(Step {
                epoch: state.epoch,
                step: state.step,
                loss,
                learning_rate: rate * training.text_lr_multiplier,
                gradient_norm,
                images_per_second: indices.len() as f64 / began.elapsed().as_secs_f64().max(1e-9),
                loss_scale,
                skipped_steps: state.skipped(),
            }))?;
        }
        if state.batch < batches.len() {
            bench.save_if_due(state, emit)?;
        }
    }
    Ok(None)
}

/// Evaluates on the validation split, and for diagnostics on the observed training images, and keeps a row an image.
fn validate(bench: &mut Bench, epoch: usize) -> Result<(Evaluated, Vec<Prediction>)> {
    let Bench { session, observer, train, validation, material, pretrained, partial, .. } = bench;
    let recipe = &session.spec.recipe;
    let mut speaker = Speaker::new(observer, epoch, pretrained, partial);
    let _still = observer.hold_still();
    let losses = evaluate::losses(session, &speaker, validation, material)?;
    let predictions = evaluate::captions(session, &mut speaker, validation, recipe.evaluation.samples)?;
    let scores = evaluate::scores(recipe, &predictions);
    let directory = session.directory;
    directory.append_per_image(&evaluate::per_image(epoch, validation, Some(&losses), Some(&scores)))?;
    let evaluated = Evaluated { epoch, ..evaluate::evaluated(recipe, Some(&losses), &scores) };
    if !recipe.evaluation.diagnostics {
        return Ok((evaluated, predictions));
    }
    let seen = evaluate::losses(session, &speaker, train, material)?;
    directory.append_per_image(&evaluate::per_image(epoch, train, Some(&seen), None))?;
    Ok((Evaluated { train_nll: Some(seen.nll), ..evaluated }, predictions))
}

/// Scores of a split, by name; absent where it has no images.
type SplitScores = Option<BTreeMap<String, f64>>;

/// Scores on the test split and on observed training images with the weights of the best epoch. Where no epoch was the
/// best, the model before training is tested, as the original script did where it had saved none, and its captions are
/// the run's.
fn test_best(bench: &mut Bench, state: &State) -> Result<(SplitScores, SplitScores)> {
    let (session, best) = (bench.session, state.progress.best.as_ref());
    let epoch = best.map_or(0, |best| best.epoch);
    let diagnoses = session.spec.recipe.evaluation.diagnostics;
    let of_last = last_knows_more(state).filter(|_| diagnoses);
    let of_last = of_last.map(|last| use_of_images(bench, last)).transpose()?;
    // A small decoder has nothing to compare itself with.
    let compares = diagnoses && session.spec.recipe.kind.fine_tunes();
    let comparison = if compares { Some(Comparison::before(bench)?) } else { None };
    let has_moved = comparison.as_ref().is_some_and(|comparison| comparison.has_put_back);
    put_best_in_place(bench, state, has_moved)?;
    if let Some(comparison) = comparison {
        comparison.after(bench, epoch)?;
    }
    // The weights stay as they are from here on.
    let _still = bench.observer.hold_still();
    if diagnoses {
        let found = of_last.map_or_else(|| use_of_images(bench, epoch), Ok)?;
        session.directory.write_diagnostic(&found)?;
    }
    if compares {
        pairs::measure(bench)?;
    }
    let Bench { observer, train, validation, test: test_split, material, pretrained, partial, .. } = bench;
    let mut speaker = Speaker::new(observer, epoch, pretrained, partial);
    if best.is_none() {
        let samples = session.spec.recipe.evaluation.samples;
        let said = evaluate::captions(session, &mut speaker, validation, samples)?;
        session.directory.write_predictions(&said)?;
    }
    let tested = test(session, &mut speaker, test_split, material)?;
    let seen = match diagnoses {
        true => observed::caption_training(session, &mut speaker, train, material)?,
        false => None,
    };
    Ok((tested, seen))
}

/// Puts the weights of the best epoch into the model, or those from before training where none was the best.
fn put_best_in_place(bench: &Bench, state: &State, has_moved: bool) -> Result<()> {
    let session = bench.session;
    match state.progress.best {
        None => bench.restore_pretrained(),
        Some(_) if has_best_in_place(state, has_moved) => Ok(()),
        Some(_) => checkpoint::restore_weights(&session.directory.best(), bench.weights(), &session.device),
    }
}

/// Whether the model still has the weights of the best epoch: it has those of the last, unless it `has_moved` since.
fn has_best_in_place(state: &State, has_moved: bool) -> bool {
    let [best, last] = [&state.progress.best, &state.last].map(|at| at.as_ref().map(|at| at.epoch));
    !has_moved && best.is_some() && best == last
}

/// The last epoch, where its loss on validation images is lower than that of the epoch that is tested: what was chosen
/// early by its captions has yet to learn what pictures tell.
fn last_knows_more(state: &State) -> Option<usize> {
    let tested = state.progress.best.as_ref().or(state.initial.as_ref())?;
    let last = state.last.as_ref()?;
    (last.val_nll? < tested.val_nll?).then_some(last.epoch)
}

/// What the model, which is that of `epoch`, makes of pictures; of training images as many are looked at as there may be.
fn use_of_images(bench: &mut Bench, epoch: usize) -> Result<ImageUse> {
    let Bench { session, observer, train, validation, test, material, .. } = bench;
    let paired = observed::training_images(session, train.examples.len(), image_use::MOST);
    let measure = |split: &mut Split, examples: &[usize]| {
        image_use::measure(session, observer, split, examples, material)
    };
    Ok(ImageUse {
        v: diagnostics::VERSION,
        epoch,
        validation: measure(validation, &validation.observed.clone())?,
        train: measure(train, &paired)?,
        test: measure(test, &test.observed.clone())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_again_unless_the_last_epoch_was_the_best_and_the_model_was_left_alone() {
        let at = |epoch| Some(Evaluated { epoch, ..Evaluated::default() });
        let state = |best: Option<Evaluated>, last: Option<Evaluated>| {
            let mut state = State { last, ..State::beginning() };
            state.progress.best = best;
            state
        };
        let of = |best, last, has_moved| has_best_in_place(&state(best, last), has_moved);
        assert!(of(at(3), at(3), false));
        assert!(!of(at(3), at(3), true), "other weights were put in since");
        assert!(!of(at(2), at(3), false), "an earlier epoch was the best");
        assert!(!of(None, None, false), "there is none");
    }

    #[test]
    fn pictures_are_judged_by_the_last_epoch_only_where_it_knows_more_of_unseen_captions() {
        let at = |epoch, nll: f64| Some(Evaluated { epoch, val_nll: Some(nll), ..Evaluated::default() });
        let state = |best: Option<Evaluated>, last: Option<Evaluated>| {
            let mut state = State { initial: at(0, 9.0), last, ..State::beginning() };
            state.progress.best = best;
            last_knows_more(&state)
        };
        assert_eq!(state(at(4, 0.9), at(8, 0.6)), Some(8), "chosen early");
        assert_eq!(state(at(4, 0.6), at(8, 0.9)), None, "overfitted since");
        assert_eq!(state(at(8, 0.6), at(8, 0.6)), None, "the last is the best");
        assert_eq!(state(None, at(8, 0.6)), Some(8), "none was the best");
        assert_eq!(state(None, at(8, f64::NAN)), None);
        assert_eq!(state(None, None), None);
    }
}
