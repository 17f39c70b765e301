//! A made-up sweep on disk, as real runs write it, for tests and for looking at the page.
//!
//! Curves follow formulas with seeded noise: runs that learn, overfit, diverge, fail, stop half-way or never
//! start, and the three reference runs.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::example_fates::{Fate, TEST, VALIDATION, audit, fates, fates_with_seeds};
use super::example_pictures::{caption_of, draw_images, file_name};
use super::gather::{SweepData, gather};
use crate::analysis::lexicon::Lexicon;
use crate::random::Random;
use crate::record::config::write_config;
use crate::record::event::{Ended, Evaluated, Event, Line, Started, Status, Step, Summary, Trainable};
use crate::record::journal::encode;
use crate::record::recipe::*;
use crate::record::run::{PerImage, Prediction};
use crate::record::{RunDir, RunSpec, Store};

/// Numbers of the test images; those of validation come before them.
const TEST_IMAGES: Range<usize> = 1000..1000 + TEST;
const STEPS_PER_EPOCH: usize = 24;

/// Writes the sweep `unfreeze` with its pictures under `root/runs`.
pub fn write_example_runs(root: &Path) -> anyhow::Result<()> {
    write_fates(root, fates)
}

/// A sweep of the same name: two combinations of settings with three seeds each, one with a single seed.
pub fn write_runs_with_seeds(root: &Path) -> anyhow::Result<()> {
    write_fates(root, fates_with_seeds)
}

fn write_fates(root: &Path, fates: fn(&Path) -> Vec<Fate>) -> anyhow::Result<()> {
    let images = root.join("images");
    draw_images(&images, TEST_IMAGES)?;
    fs::write(root.join("images_train.json"), serde_json::to_vec(&training_captions())?)?;
    let sweep = Store::new(&root.join("runs")).sweep("unfreeze");
    let fates = fates(&images);
    sweep.write_plan(&fates.iter().map(|fate| fate.spec.clone()).collect::<Vec<_>>())?;
    sweep.write_audit(&audit(&fates))?;
    for fate in &fates {
        if fate.started {
            write_run(&sweep.run(&fate.spec.id), fate)?;
        }
    }
    Ok(())
}

/// Reads the sweep that was written under `root`.
pub fn gather_example(root: &Path) -> SweepData {
    let sweep = Store::new(&root.join("runs")).sweep("unfreeze");
    gather(&sweep, "unfreeze".to_owned(), &Lexicon::clothing().unwrap())
}

/// Leaves out a test image of each of the first two runs that have any, another one of each.
pub fn forget_a_test_image_each(data: &mut SweepData) {
    let is_of = |row: &PerImage, image: usize| row.split == "test" && row.image == file_name(image);
    let first = TEST_IMAGES.start;
    let fine_tuned = data.runs.iter_mut().filter(|run| {
        let is_ranked = run.record.spec.recipe.kind == Kind::FineTuned;
        is_ranked && run.per_image.iter().any(|row| is_of(row, first))
    });
    for (run, image) in fine_tuned.take(2).zip(first..) {
        run.per_image.retain(|row| !is_of(row, image));
    }
}

/// Makes the runs' logs those of a version that measured neither training images nor calibration.
pub fn forget_what_old_logs_lack(root: &Path) -> anyhow::Result<()> {
    let sweep = Store::new(&root.join("runs")).sweep("unfreeze");
    for log in sweep.read_plan()?.iter().map(|spec| sweep.run(&spec.id).events()).filter(|log| log.is_file())
    {
        let mut lines = String::new();
        for line in fs::read_to_string(&log)?.lines() {
            let mut line: Value = serde_json::from_str(line)?;
            forget(&mut line);
            lines.push_str(&format!("{line}\n"));
        }
        fs::write(&log, lines)?;
    }
    Ok(())
}

fn forget(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|name, _| !["train_nll", "ece", "confidence", "accuracy"].contains(&name.as_str()));
        fields.values_mut().for_each(forget);
    }
}

/// How good a run is at an epoch, from 0 (zero-shot) to about 1.
fn skill(spec: &RunSpec, epoch: usize) -> f64 {
    let training = &spec.recipe.training;
    match spec.recipe.kind {
        Kind::ZeroShot | Kind::MatchedLength => 0.0,
        Kind::ConstantCaption => 0.80,
        Kind::NearestImage | Kind::SmallDecoder => 0.83,
        Kind::FineTuned | Kind::ShuffledCaptions => {
            let speed = (training.learning_rate / 1e-3).powf(0.7);
            let reach = 0.95
                + 0.012 * training.unfrozen_vision_layers as f64 * training.vision_lr_multiplier.powf(0.3)
                - 0.05 * (training.learning_rate / 1.5e-3).ln().max(0.0);
            let learnt = reach * (1.0 - (-(epoch as f64) * 0.6 * speed).exp());
            let late = (epoch as f64 - 8.0 / speed).max(0.0);
            learnt - 0.004 * speed * late + luck(spec.seed)
        }
    }
}

/// What a seed makes better or worse; the first one nothing.
fn luck(seed: u64) -> f64 {
    if seed == 0 { 0.0 } else { 0.01 * Random::new(seed, "luck", &[]).normal() }
}

/// The scores of one image's caption: METEOR, ROUGE-L, CIDEr-D.
fn image_scores(spec: &RunSpec, epoch: usize, image: usize) -> [f64; 3] {
    let difficulty = Random::new(1, "difficulty", &[image as u64]).normal();
    let seed = u64::from_str_radix(spec.id.get(3..).unwrap_or("0"), 16).unwrap_or(0);
    let noise = Random::new(seed, "noise", &[image as u64, epoch as u64]).normal();
    let good = (skill(spec, epoch) - 0.06 * difficulty + 0.05 * noise).clamp(0.0, 1.2);
    [0.05 + 0.62 * good, 0.14 + 0.47 * good, 2.1 * good * good].map(|score: f64| score.max(0.0))
}

fn evaluated(spec: &RunSpec, epoch: usize) -> Evaluated {
    let scores: Vec<[f64; 3]> = (0..VALIDATION).map(|image| image_scores(spec, epoch, image)).collect();
    let [meteor, rouge_l, cider_d] = means(&scores);
    let trains = spec.recipe.kind == Kind::FineTuned;
    let (train_loss, val_loss) = losses(spec, epoch);
    let has_loss = matches!(spec.recipe.kind, Kind::FineTuned | Kind::ZeroShot);
    Evaluated {
        epoch,
        step: epoch * STEPS_PER_EPOCH,
        train_loss: (trains && epoch > 0).then_some(train_loss),
        val_loss: has_loss.then_some(val_loss),
        val_nll: has_loss.then_some(val_loss),
        meteor: Some(meteor),
        rouge_l: Some(rouge_l),
        cider_d: Some(cider_d),
        bleu_4: Some(0.4 * meteor),
        score: Some(crate::score::mean_score(0.1, meteor, rouge_l, cider_d)),
        train_nll: has_loss.then_some(train_loss),
        ece: has_loss.then_some(0.03 + 0.05 * val_loss.fract()),
        confidence: has_loss.then_some((-train_loss).exp()),
        accuracy: has_loss.then_some((-val_loss).exp()),
        seconds: 1.1 + 0.2 * spec.recipe.training.unfrozen_vision_layers as f64,
        ..Evaluated::default()
    }
}

fn losses(spec: &RunSpec, epoch: usize) -> (f64, f64) {
    let training = &spec.recipe.training;
    let speed =
        (training.learning_rate / 1e-3).powf(0.6) * (1.0 + 0.05 * training.unfrozen_vision_layers as f64);
    let time = epoch as f64 * speed;
    let train = 0.08 + 3.2 * (-time * 0.55).exp() + 0.5 * (-time * 0.09).exp();
    let rise = 0.011 * (time - 6.0).max(0.0).powf(1.3);
    (train, 0.40 + 3.4 * (-time * 0.6).exp() + rise)
}

fn means(rows: &[[f64; 3]]) -> [f64; 3] {
    std::array::from_fn(|column| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64)
}

fn write_run(dir: &RunDir, fate: &Fate) -> anyhow::Result<()> {
    let spec = &fate.spec;
    write_config(dir, spec)?;
    let curve: Vec<Evaluated> = (0..=fate.epochs).map(|epoch| evaluated(spec, epoch)).collect();
    let curve = if fate.status == Some(Status::OutOfMemory) { Vec::new() } else { curve };
    let best = best_of(spec, &curve);
    let mut events = vec![Event::Started(Box::new(started(spec)))];
    for evaluated in &curve {
        if evaluated.epoch > 0 {
            events.push(Event::Step(step(spec, evaluated)));
        }
        events.push(Event::Evaluated(Box::new(evaluated.clone())));
    }
    let best_epoch = best.as_ref().map_or(0, |best| best.epoch);
    if let Some(status) = fate.status {
        let test: Vec<[f64; 3]> = TEST_IMAGES.map(|image| image_scores(spec, best_epoch, image)).collect();
        let summary = summary(spec, &curve, best, status.is_complete().then(|| means(&test)));
        events.push(Event::Ended(Box::new(Ended {
            status,
            reason: fate.reason.map(str::to_owned),
            summary,
        })));
    }
    let mut log = String::new();
    for event in events {
        let at = "2026-01-09T12:00:00.000Z".to_owned();
        log.push_str(&encode(&Line { at, attempt: 1, event })?);
        log.push('\n');
    }
    fs::write(dir.events(), log)?;
    write_rows(dir, fate, best_epoch, curve.len())
}

fn best_of(spec: &RunSpec, curve: &[Evaluated]) -> Option<Evaluated> {
    let first = usize::from(spec.recipe.kind == Kind::FineTuned);
    let score = |evaluated: &&Evaluated| evaluated.score.unwrap_or(0.0);
    curve
        .iter()
        .filter(|evaluated| evaluated.epoch >= first)
        .max_by(|a, b| score(a).total_cmp(&score(b)))
        .cloned()
}

fn started(spec: &RunSpec) -> Started {
    let layers = spec.recipe.training.unfrozen_vision_layers;
    let trains = spec.recipe.kind == Kind::FineTuned;
    Started {
        run: spec.id.clone(),
        sweep: spec.sweep.clone(),
        program: "0.1.0".to_owned(),
        device: "cpu".to_owned(),
        threads: 1,
        model_digest: "9f2c71d0a4be5512".repeat(4),
        data_digest: "51aa0e37c9d8640f".repeat(4),
        train_examples: 192,
        validation_examples: VALIDATION,
        test_examples: TEST,
        steps_per_epoch: STEPS_PER_EPOCH,
        total_steps: STEPS_PER_EPOCH * 20,
        trainable: Trainable {
            vision_layers: layers * 198_272,
            vision_other: 0,
            text: if trains { 895_320 } else { 0 },
            frozen: (6 - layers) * 198_272 + 33_408,
            tensors: if trains { 91 + 16 * layers } else { 0 },
        },
        frozen_digest: format!("{:016x}", 0x77ab_3310_u64 + layers as u64).repeat(4),
        resumed_from_epoch: 0,
        resumed_from_step: Some(0),
        notes: Vec::new(),
    }
}

fn step(spec: &RunSpec, evaluated: &Evaluated) -> Step {
    Step {
        epoch: evaluated.epoch,
        step: evaluated.step,
        loss: evaluated.train_loss.unwrap_or_default(),
        learning_rate: spec.recipe.training.learning_rate,
        gradient_norm: 1.5,
        images_per_second: 240.0,
        ..Step::default()
    }
}

/// BLEU-4 of what the run says of the test images.
fn test_bleu(spec: &RunSpec) -> f64 {
    let said: Vec<Prediction> = TEST_IMAGES.map(|image| prediction(spec, image)).collect();
    let items: Vec<_> = said
        .iter()
        .map(|row| crate::score::Item { caption: &row.caption, references: &row.references })
        .collect();
    crate::score::score(spec.recipe.evaluation.convention, &items).bleu[3]
}

fn summary(spec: &RunSpec, curve: &[Evaluated], best: Option<Evaluated>, test: Option<[f64; 3]>) -> Summary {
    let test = test.map(|[meteor, rouge_l, cider_d]| {
        let score = crate::score::mean_score(0.1, meteor, rouge_l, cider_d);
        let scores = [
            ("score", score),
            ("meteor", meteor),
            ("rouge_l", rouge_l),
            ("cider_d", cider_d),
            ("bleu_4", test_bleu(spec)),
        ];
        scores.map(|(name, value)| (name.to_owned(), value)).into()
    });
    Summary {
        epochs: curve.len().saturating_sub(1),
        steps: curve.last().map_or(0, |last| last.step),
        seconds: curve.iter().map(|evaluated| evaluated.seconds).sum(),
        initial: curve.first().cloned(),
        best,
        last: curve.last().cloned(),
        test,
        frozen_digest: Some(started(spec).frozen_digest),
        peak_memory_bytes: Some(312_000_000),
        images_encoded: 368,
        ..Summary::default()
    }
}

/// Training images; their captions are fewer than those there are, so that others have captions of their own.
fn training_images() -> impl Iterator<Item = usize> {
    (0..576).filter(|image| image % 36 < 15)
}

fn training_captions() -> BTreeMap<String, String> {
    training_images().map(|image| (file_name(image), caption_of(image))).collect()
}

fn write_rows(dir: &RunDir, fate: &Fate, best_epoch: usize, epochs: usize) -> anyhow::Result<()> {
    let spec = &fate.spec;
    let mut rows = Vec::new();
    for epoch in 0..epochs {
        let (_, loss) = losses(spec, epoch);
        rows.extend((0..VALIDATION).map(|image| row(spec, epoch, "validation", image, loss)));
    }
    dir.append_per_image(&rows)?;
    if fate.status.is_none_or(|status| !status.is_complete()) {
        return Ok(());
    }
    let (_, loss) = losses(spec, best_epoch);
    let rows: Vec<PerImage> = TEST_IMAGES.map(|image| row(spec, best_epoch, "test", image, loss)).collect();
    dir.append_per_image(&rows)?;
    let of_training = |image| Prediction { split: "train".to_owned(), ..prediction(spec, image) };
    let predictions: Vec<Prediction> = TEST_IMAGES
        .map(|image| prediction(spec, image))
        .chain(training_images().take(32).map(of_training))
        .collect();
    dir.write_predictions(&predictions)?;
    Ok(())
}

fn row(spec: &RunSpec, epoch: usize, split: &str, image: usize, loss: f64) -> PerImage {
    let [meteor, rouge_l, cider_d] = image_scores(spec, epoch, image);
    let noise = Random::new(2, "loss", &[image as u64]).normal();
    PerImage {
        epoch,
        image: file_name(image),
        split: split.to_owned(),
        loss: Some(loss + 0.05 * noise),
        meteor: Some(meteor),
        rouge_l: Some(rouge_l),
        cider_d: Some(cider_d),
    }
}

fn prediction(spec: &RunSpec, image: usize) -> Prediction {
    let reference = caption_of(image);
    let caption = match spec.recipe.kind {
        Kind::ZeroShot | Kind::MatchedLength => "a brown car and a black tree on the snow".to_owned(),
        Kind::ConstantCaption => caption_of(3),
        Kind::NearestImage | Kind::SmallDecoder => caption_of(image + 6),
        Kind::FineTuned if image.is_multiple_of(3) => caption_of(image + 1),
        Kind::FineTuned | Kind::ShuffledCaptions => reference.clone(),
    };
    Prediction {
        image: file_name(image),
        split: "test".to_owned(),
        caption,
        references: vec![reference],
        token_ids: vec![],
        score: None,
    }
}
