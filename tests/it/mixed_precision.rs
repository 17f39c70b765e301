//! Runs in f16: their gradients are those of f32 but for rounding, and steps whose gradients overflow are skipped, counted and
//! made up for in the schedule, also where the run is cut off.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use sweep::data::{TokenBatch, collate};
use sweep::model::Weights;
use sweep::model::blip::targets;
use sweep::model::ops::{Dropout, Precision};
use sweep::random::Random;
use sweep::record::Status;
use sweep::record::recipe::Training;
use sweep::train::loss_scale::LossScale;

use crate::cuts::{ALWAYS, Bed, HOURLY, cut_and_compare_on};
use crate::gradients::relative;
use crate::threads::unfrozen;

/// The loss and the gradients of the built-in model on drawn pictures and words, with the loss times a factor.
fn gradients(precision: Precision, factor: f64) -> (f64, Weights, GradStore) {
    let (weights, model) = unfrozen(precision);
    let (config, depth) = (&model.config, model.vision_model.depth());
    let captions = captions(config.tokens.pad);
    let mut random = Random::new(1, "pictures", &[]);
    let side = config.vision.image_size;
    let pixels: Vec<f32> = (0..4 * 3 * side * side).map(|_| random.normal() as f32).collect();
    let pixels = Tensor::from_vec(pixels, (4, 3, side, side), &Device::Cpu).unwrap();
    let hidden = model.vision_model.encode(&pixels, depth - 2).unwrap();
    let forward = || {
        let embeds = model.vision_model.finish_training(&hidden, depth - 2, &Dropout::NONE)?;
        let logits = model.training_logits(&embeds, &captions, &Dropout::NONE)?;
        model.scaled(&model.mean_loss(&logits, &targets(&captions, false), 0.0)?, factor)
    };
    let (loss, gradients) = model.gradients::<candle_core::Error>(forward).unwrap();
    (f64::from(loss.to_scalar::<f32>().unwrap()) / factor, weights, gradients)
}

fn captions(pad: u32) -> TokenBatch {
    let mut random = Random::new(1, "words", &[]);
    let rows: Vec<Vec<u32>> =
        (0..4).map(|i| (0..20 + 5 * i).map(|_| 5 + random.below(300) as u32).collect()).collect();
    collate(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), pad)
}

/// The largest difference of a tensor's gradient from that in f32, relative to the latter. Biases of keys have none but rounding.
fn worst(precision: Precision, factor: f64) -> f64 {
    let (exact_loss, weights, exact) = gradients(Precision::F32, 1.0);
    let (loss, rounded_weights, rounded) = gradients(precision, factor);
    assert!((loss - exact_loss).abs() < 0.001 * exact_loss, "{loss} in place of {exact_loss}");
    let tensors = weights.trainable().iter().filter(|(name, _)| !name.ends_with("key.bias"));
    let differences = tensors.map(|(name, var)| {
        let mine = (rounded.get(&rounded_weights.trainable()[name]).unwrap() / factor).unwrap();
        // Of queries, keys and values side by side only those of keys, which are a third, are nothing.
        relative(&mine, exact.get(var).unwrap())
    });
    differences.fold(0.0, f64::max)
}

#[test]
fn gradients_in_f16_are_those_of_f32_within_half_a_percent_where_losses_are_scaled() {
    let scale = LossScale::of(Precision::F16).unwrap();
    let scaled = worst(Precision::F16, scale.factor.into());
    assert!(scaled > 1e-5 && scaled < 0.005, "{scaled}");
    // A scale that leaves gradients where f16 has no digits shows what it is for.
    let lost = worst(Precision::F16, 2f64.powi(-10));
    assert!(lost > 10.0 * scaled, "{lost} where nothing is scaled up, {scaled} where losses are");
}

/// A toy whose gradients overflow at first: what the head multiplies is three hundred times as large.
fn overflowing(change: impl Fn(&mut Training)) -> Bed {
    let mut bed = Bed::new();
    let path = bed.workdir.path().join("model/model.safetensors");
    let mut tensors: HashMap<String, Tensor> = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let name = "text_decoder.cls.predictions.transform.LayerNorm.weight";
    let larger = (&tensors[name] * 300.0).unwrap();
    tensors.insert(name.to_owned(), larger);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let training = &mut bed.run.recipe.training;
    training.precision = Precision::F16;
    training.learning_rate = 1e-3;
    change(training);
    bed.run.recipe.early_stopping.patience = 0;
    bed
}

#[test]
fn steps_whose_gradients_overflow_are_skipped_and_counted_and_none_of_the_schedules() {
    let mut bed = overflowing(|training| training.epochs = 4);
    bed.cache = Some((bed.workdir.path().join("cache"), 1 << 30));
    let folder = bed.folder("whole");
    let ended = bed.finish(&folder, HOURLY);
    assert_eq!(ended.status, Status::Finished, "{:?}", ended.reason);
    let skipped = ended.summary.skipped_steps.unwrap();
    assert!(skipped > 0 && skipped < 6, "{skipped} of 12");
    let record = folder.read_record(bed.run.clone());
    // Three steps an epoch, all of which are recorded.
    assert_eq!(record.steps.iter().map(|step| step.step).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    let (mut so_far, mut scale, mut updates) = (0, 65536.0, 0);
    for step in &record.steps {
        assert_eq!(step.loss_scale, Some(scale), "{step:?}");
        // One step of warm-up, and down to 0 at the twelfth.
        let rate = 1e-3 * if updates == 0 { 0.0 } else { f64::from(12 - updates) / 11.0 };
        assert!((step.learning_rate - rate).abs() < 1e-12, "{step:?} at {rate}");
        assert!(step.loss.is_finite());
        if step.gradient_norm.is_finite() {
            updates += 1;
        } else {
            (so_far, scale) = (so_far + 1, scale / 2.0);
        }
        assert_eq!(step.skipped_steps, Some(so_far), "{step:?}");
    }
    assert_eq!(so_far, skipped);
    let said = bed.said.borrow().join("\n");
    let wanted = format!("{skipped} of 12 steps were skipped, as their gradients overflowed in f16");
    assert!(said.contains(&wanted), "{said}");
}

/// As `precision` says in the table of settings.
#[test]
fn a_layer_that_joins_later_waits_for_as_many_updates_as_its_epochs_have_steps_and_skipped_ones_are_none() {
    let name = "vision_model.encoder.layers.0.mlp.fc1.weight";
    let mut seen = Vec::new();
    for steps in 3..10 {
        let bed = overflowing(|training| {
            training.unfrozen_vision_layers = 2;
            (training.unfreeze_from_epoch, training.unfreeze_every) = (1, 1);
            (training.epochs, training.max_steps) = (4, steps);
        });
        let folder = bed.folder("run");
        let skipped = bed.finish(&folder, HOURLY).summary.skipped_steps.unwrap();
        let weight = |folder: &std::path::Path| {
            let path = folder.join("model.safetensors");
            let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
            tensors[name].flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let has_begun = weight(&folder.last()) != weight(&bed.workdir.path().join("model"));
        // Three steps an epoch.
        assert_eq!(has_begun, steps - skipped > 3, "{steps} steps, {skipped} of them skipped");
        seen.push((steps > 3, has_begun));
    }
    assert!(seen.contains(&(true, false)) && seen.contains(&(true, true)), "{seen:?}");
}

#[test]
fn a_run_that_skips_steps_cut_off_anywhere_comes_to_the_same_to_the_last_bit() {
    for accumulated in [1, 2] {
        let bed = overflowing(|training| {
            training.gradient_accumulation_steps = accumulated;
            training.batch_size = 2 / accumulated;
        });
        for every in [ALWAYS, HOURLY] {
            assert!(cut_and_compare_on(&bed, every, 6) >= 6);
        }
        let skipped = bed.finish(&bed.folder("counted"), HOURLY).summary.skipped_steps;
        assert!(skipped.is_some_and(|skipped| skipped > 0), "{skipped:?}");
    }
}

#[test]
fn a_checkpoint_that_does_not_know_how_losses_are_scaled_is_damaged() {
    let bed = overflowing(|_| ());
    let (whole, folder) = (bed.folder("whole"), bed.folder("cut"));
    bed.finish(&whole, ALWAYS);
    bed.attempt(&folder, ALWAYS, crate::cuts::Cut::KilledAfter(6));
    let path = folder.last().join("training_state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let scale = state["state"].as_object_mut().unwrap().remove("loss_scale").unwrap();
    assert!(scale["factor"].is_number(), "{scale}");
    std::fs::write(&path, state.to_string()).unwrap();
    bed.finish(&folder, ALWAYS);
    let record = folder.read_record(bed.run.clone());
    let notes = record.started.unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("is of a run in another precision")), "{notes:?}");
    let [again, at_once] =
        [&folder, &whole].map(|folder| bed.results(folder)["best/model.safetensors"].clone());
    assert_eq!(again, at_once, "it began anew");
}
