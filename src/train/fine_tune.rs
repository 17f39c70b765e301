//! The training loop: a recipe from top to bottom.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use candle_core::backprop::GradStore;

use super::checkpoint::{self, State};
use super::early_stopping::Progress;
use super::evaluate::{self, Split};
use super::execute::{Loaded, started, test};
use super::features::{BUDGET_BYTES, Features};
use super::material::epoch_batches;
use super::optimizer::{AdamW, Multipliers, clip_scale};
use super::schedule::linear_with_warmup;
use super::{Emit, Session, Stopped};
use crate::model::blip::{mean_loss, targets};
use crate::model::{Blip, Unfrozen, Weights};
use crate::record::event::{Checkpointed, Ended, Evaluated, Event, Status, Step, Summary};
use crate::record::run::Prediction;

/// Step events an epoch, about.
const STEPS_RECORDED: usize = 10;

/// Fine-tunes the pretrained model as the recipe says.
pub fn fine_tune(session: &Session, loaded: Loaded, emit: &mut Emit) -> Result<Ended> {
    let (recipe, Loaded { mut pretrained, material }) = (&session.spec.recipe, loaded);
    let training = &recipe.training;
    let depth = pretrained.config.vision.num_hidden_layers;
    let unfrozen = training.unfrozen_vision_layers.min(depth);
    let model_digest = pretrained.weights.digest()?;
    pretrained
        .weights
        .unfreeze(Unfrozen::Last { vision_layers: unfrozen, text: training.train_text_decoder }, depth)?;
    let weights = &pretrained.weights;
    ensure!(
        !weights.trainable().is_empty(),
        "nothing trains: no vision layer is unfrozen and the text decoder is frozen"
    );
    let frozen_digest = weights.frozen_digest()?;

    // The second model shares the first one's values and records no graph.
    let model = Blip::new(&pretrained.config, weights)?;
    let observer = Blip::from_builder(&pretrained.config, weights.detached())?;
    let multipliers =
        Multipliers { text: training.text_lr_multiplier, vision: training.vision_lr_multiplier, other: 1.0 };
    let mut optimizer = AdamW::new(weights, training.weight_decay, multipliers);

    let features = |examples| {
        let (processor, config) = (&pretrained.processor, &pretrained.config);
        Features::new(examples, processor, config, &session.device, depth - unfrozen, BUDGET_BYTES / 3)
    };
    let dataset = &material.dataset;
    let mut train_features = features(&dataset.train);
    let mut validation = Split {
        name: "validation",
        examples: &dataset.validation,
        tokens: &material.validation,
        features: features(&dataset.validation),
    };
    let mut test_split = Split {
        name: "test",
        examples: &dataset.test,
        tokens: &material.test,
        features: features(&dataset.test),
    };

    let steps_per_epoch = dataset.train.len().div_ceil(training.batch_size.max(1));
    let total_steps = steps_per_epoch * training.epochs;
    let mut state = resume(session, weights, &mut optimizer)?;
    let began = Instant::now();
    let earlier = state.seconds;
    emit(Event::Started(Box::new(started(
        session,
        &pretrained,
        &material,
        &model_digest,
        &frozen_digest,
        total_steps,
        state.epoch - 1,
    )?)))?;

    let mut status = Status::Finished;
    let mut reason = None;
    let mut last_evaluation = Instant::now();
    let outcome = (|| -> Result<()> {
        if state.initial.is_none() {
            let (evaluated, _) = validate(session, &observer, &mut validation, &material, &pretrained, 0)?;
            let evaluated = Evaluated { seconds: last_evaluation.elapsed().as_secs_f64(), ..evaluated };
            state.initial = Some(evaluated.clone());
            emit(Event::Evaluated(Box::new(evaluated)))?;
            last_evaluation = Instant::now();
        }
        while state.epoch <= training.epochs {
            let epoch = state.epoch;
            let batches = epoch_batches(
                dataset.train.len(),
                training.batch_size,
                training.shuffle,
                session.spec.seed,
                epoch,
            );
            while let Some(indices) = batches.get(state.batch) {
                session.go_on()?;
                let step_began = Instant::now();
                let captions = material.training_batch(indices, session.spec.seed, epoch);
                let image_embeds = train_features.embeddings(&model, indices)?;
                let logits = model.logits(&image_embeds, &captions)?;
                let wanted = targets(&captions, !training.mask_padding);
                let loss = mean_loss(&logits, &wanted, training.label_smoothing)?;
                let grads = loss.backward()?;
                let loss = loss.to_scalar::<f32>()? as f64;
                let factor = linear_with_warmup(state.step, training.warmup_steps, total_steps);
                let rate = training.learning_rate * factor;
                let norm = update(&mut optimizer, &grads, rate, training.max_grad_norm)?;
                state.step += 1;
                state.batch += 1;
                state.loss_sum += loss;
                if !(loss.is_finite() && norm.is_finite()) {
                    let what = if loss.is_finite() { "gradient norm" } else { "loss" };
                    status = Status::Diverged;
                    reason =
                        Some(format!("the {what} was not a number at step {} (epoch {epoch})", state.step));
                    return Ok(());
                }
                let every = (steps_per_epoch / STEPS_RECORDED).max(1);
                if state.batch % every == 0 || state.batch == batches.len() {
                    emit(Event::Step(Step {
                        epoch,
                        step: state.step,
                        loss,
                        learning_rate: rate * training.text_lr_multiplier,
                        gradient_norm: norm,
                        images_per_second: indices.len() as f64
                            / step_began.elapsed().as_secs_f64().max(1e-9),
                    }))?;
                }
            }

            let (evaluated, predictions) =
                validate(session, &observer, &mut validation, &material, &pretrained, epoch)?;
            let evaluated = Evaluated {
                step: state.step,
                train_loss: Some(state.loss_sum / steps_per_epoch as f64),
                seconds: last_evaluation.elapsed().as_secs_f64(),
                ..evaluated
            };
            last_evaluation = Instant::now();
            emit(Event::Evaluated(Box::new(evaluated.clone())))?;
            let verdict = state.progress.observe(&evaluated, &recipe.early_stopping);
            state = State {
                epoch: epoch + 1,
                batch: 0,
                loss_sum: 0.0,
                last: Some(evaluated),
                seconds: earlier + began.elapsed().as_secs_f64(),
                ..state.clone()
            };
            let (folder, source) = (session.directory, &session.inputs.model);
            if verdict.is_best {
                checkpoint::save_model(&folder.best(), source, weights, &recipe.generation)?;
                session.directory.write_predictions(&predictions)?;
                emit(Event::Checkpointed(Checkpointed {
                    epoch,
                    step: state.step,
                    checkpoint: "best".to_owned(),
                }))?;
            }
            checkpoint::save_resumable(
                &folder.last(),
                source,
                weights,
                &recipe.generation,
                &state,
                &optimizer,
            )?;
            emit(Event::Checkpointed(Checkpointed {
                epoch,
                step: state.step,
                checkpoint: "last".to_owned(),
            }))?;
            if verdict.should_stop {
                status = Status::EarlyStopped;
                let patience = recipe.early_stopping.patience;
                reason = Some(format!("no new best in {patience} epochs"));
                return Ok(());
            }
        }
        Ok(())
    })();

    let mut summary = Summary {
        epochs: state.epoch - 1,
        steps: state.step,
        initial: state.initial.clone(),
        best: state.progress.best.clone(),
        last: state.last.clone(),
        ..Summary::default()
    };
    match outcome {
        Err(error) if error.is::<Stopped>() => {
            state.seconds = earlier + began.elapsed().as_secs_f64();
            save_interrupted(session, weights, &state, &optimizer)?;
            status = Status::Interrupted;
            reason = Some(format!("stopped at step {}; running it again continues from there", state.step));
        }
        other => other?,
    }
    summary.frozen_digest = Some(weights.frozen_digest()?);
    ensure!(
        summary.frozen_digest.as_deref() == Some(frozen_digest.as_str()),
        "frozen weights changed during training: a defect of this program"
    );
    if status.is_complete() {
        if summary.best.is_some() {
            checkpoint::restore_weights(&session.directory.best(), weights, &session.device)?;
            let epoch = summary.best.as_ref().map_or(0, |best| best.epoch);
            match test(session, &observer, &mut test_split, &material, &pretrained, epoch) {
                Err(error) if error.is::<Stopped>() => {
                    status = Status::Interrupted;
                    reason = Some("stopped before the test images were captioned".to_owned());
                }
                other => summary.test = other?,
            }
        }
        if status.is_complete() {
            checkpoint::drop_state(&session.directory.last())?;
        }
    }
    summary.seconds = earlier + began.elapsed().as_secs_f64();
    summary.images_encoded =
        train_features.encoded + validation.features.encoded + test_split.features.encoded;
    Ok(Ended { status, reason, summary })
}

/// Clips and applies the gradients; returns their norm before clipping. Nothing is applied if that is no number.
fn update(optimizer: &mut AdamW, grads: &GradStore, rate: f64, max_norm: f64) -> Result<f64> {
    let norm = optimizer.gradient_norm(grads)?;
    if norm.is_finite() {
        optimizer.step(grads, rate, clip_scale(norm, max_norm))?;
    }
    Ok(norm)
}

/// The state of the last checkpoint, put into weights and optimizer; the beginning where there is none.
fn resume(session: &Session, weights: &Weights, optimizer: &mut AdamW) -> Result<State> {
    let folder = session.directory.last();
    let Some(state) = checkpoint::read_state(&folder)? else {
        return Ok(State {
            epoch: 1,
            batch: 0,
            step: 0,
            loss_sum: 0.0,
            progress: Progress::default(),
            initial: None,
            last: None,
            seconds: 0.0,
        });
    };
    let context = || format!("cannot go on from {}", folder.display());
    checkpoint::restore_weights(&folder, weights, &session.device).with_context(context)?;
    checkpoint::restore_moments(&folder, optimizer, state.step).with_context(context)?;
    Ok(state)
}

fn save_interrupted(session: &Session, weights: &Weights, state: &State, optimizer: &AdamW) -> Result<()> {
    let (last, model) = (session.directory.last(), &session.inputs.model);
    checkpoint::save_resumable(&last, model, weights, &session.spec.recipe.generation, state, optimizer)
        .context("cannot save a checkpoint before stopping")
}

/// Evaluates on the validation split and keeps a row an image.
fn validate(
    session: &Session,
    model: &Blip,
    split: &mut Split,
    material: &super::material::Material,
    pretrained: &super::material::Pretrained,
    epoch: usize,
) -> Result<(Evaluated, Vec<Prediction>)> {
    let recipe = &session.spec.recipe;
    let losses = evaluate::losses(session, model, split, material)?;
    let predictions =
        evaluate::captions(session, model, split, &pretrained.tokenizer, recipe.evaluation.samples)?;
    let scores = evaluate::scores(recipe, &predictions);
    session.directory.append_per_image(&evaluate::per_image(epoch, split, Some(&losses), &scores))?;
    Ok((Evaluated { epoch, ..evaluate::evaluated(recipe, Some(&losses), &scores) }, predictions))
}
