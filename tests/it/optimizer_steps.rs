//! Twelve optimizer steps against PyTorch's AdamW, schedule and clipping (fixtures: `tests/reference/model.py`).

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};
use serde::Deserialize;
use sweep::data::collate;
use sweep::model::blip::targets;
use sweep::model::{Blip, Unfrozen};
use sweep::train::optimizer::{AdamW, Group, Multipliers, clip_scale};
use sweep::train::schedule::linear_with_warmup;

use crate::gradients::{fixtures, read_json, tiny};

#[derive(Deserialize)]
struct Steps {
    model: String,
    learning_rate: f64,
    text_lr_multiplier: f64,
    vision_lr_multiplier: f64,
    weight_decay: f64,
    warmup_steps: usize,
    total_steps: usize,
    max_grad_norm: f64,
    captions: Vec<Vec<u32>>,
    batches: Vec<Vec<usize>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    run: String,
    unfrozen_vision_layers: usize,
    train_text_decoder: bool,
    start_token: String,
    mask_padding: bool,
    label_smoothing: f64,
    steps: Vec<Step>,
    final_tensors: Vec<String>,
    final_sums: BTreeMap<String, Sums>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    grad_norm: f64,
}

#[derive(Deserialize)]
struct Sums {
    norm: f64,
}

fn norm(xs: &Tensor) -> f64 {
    (xs.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap() as f64).sqrt()
}

#[test]
fn losses_gradient_norms_and_final_weights_equal_those_of_pytorch() {
    let fixture: Steps = read_json("tiny_steps.json");
    let stored =
        candle_core::safetensors::load(fixtures().join("tiny_steps.safetensors"), &Device::Cpu).unwrap();
    for run in &fixture.runs {
        let unfrozen =
            Unfrozen::Last { vision_layers: run.unfrozen_vision_layers, text: run.train_text_decoder };
        let (config, weights, model) = tiny(&fixture.model, unfrozen);
        let multipliers = Multipliers {
            text: fixture.text_lr_multiplier,
            vision: fixture.vision_lr_multiplier,
            other: 1.0,
        };
        let mut optimizer = AdamW::new(&weights, fixture.weight_decay, multipliers);
        for (i, (indices, wanted)) in fixture.batches.iter().zip(&run.steps).enumerate() {
            let mut rows: Vec<Vec<u32>> = indices.iter().map(|i| fixture.captions[*i].clone()).collect();
            if run.start_token == "dec" {
                rows.iter_mut().for_each(|row| row[0] = config.tokens.start);
            }
            let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
            let captions = collate(&rows, config.tokens.pad);
            let indices: Vec<u32> = indices.iter().map(|i| *i as u32).collect();
            let pixels =
                stored["pixel_values"].index_select(&Tensor::new(indices, &Device::Cpu).unwrap(), 0).unwrap();
            let forward = || {
                let image_embeds = model.vision_model.finish(&model.vision_model.encode(&pixels, 0)?, 0)?;
                let logits = model.logits(&image_embeds, &captions)?;
                model.mean_loss(&logits, &targets(&captions, !run.mask_padding), run.label_smoothing)
            };
            let (loss, grads) = model.gradients::<candle_core::Error>(forward).unwrap();
            let norm = optimizer.gradient_norm(&grads).unwrap();
            let rate =
                fixture.learning_rate * linear_with_warmup(i, fixture.warmup_steps, fixture.total_steps);
            optimizer.step(&grads, rate, clip_scale(norm, fixture.max_grad_norm)).unwrap();

            let loss = loss.to_scalar::<f32>().unwrap() as f64;
            assert!(
                (loss / wanted.loss - 1.0).abs() < 2e-5,
                "{} step {i}: loss {loss}, not {}",
                run.run,
                wanted.loss
            );
            let close = (norm / wanted.grad_norm - 1.0).abs() < 1e-4;
            assert!(close, "{} step {i}: gradient norm {norm}, not {}", run.run, wanted.grad_norm);
        }
        for name in &run.final_tensors {
            let theirs = &stored[&format!("{}.final.{name}", run.run)];
            let difference = norm(&(&weights.tensors()[name] - theirs).unwrap()) / norm(theirs);
            assert!(difference < 2e-4, "{}: {name} differs by {difference}", run.run);
        }
        for (name, sums) in &run.final_sums {
            let ours = norm(&weights.tensors()[name]);
            assert!((ours - sums.norm).abs() <= 2e-4 * sums.norm, "{}: norm of {name} is {ours}", run.run);
        }
    }
}

#[test]
fn every_trainable_tensor_is_in_one_group_and_every_frozen_one_keeps_its_bits() {
    let (_, weights, model) = tiny("tiny", Unfrozen::Last { vision_layers: 1, text: true });
    let mut optimizer = AdamW::new(&weights, 0.05, Multipliers { text: 1.0, vision: 0.1, other: 1.0 });
    let groups = [Group::Text, Group::VisionLayers, Group::Other].map(|group| optimizer.names(group));
    let grouped: Vec<&str> = groups.concat();
    assert_eq!(grouped.iter().collect::<BTreeSet<_>>().len(), grouped.len(), "a tensor is in two groups");
    let trainable: BTreeSet<&str> = weights.trainable().keys().map(String::as_str).collect();
    assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), trainable);
    assert!(groups[1].iter().all(|name| name.starts_with("vision_model.encoder.layers.2.")));
    assert_eq!((groups[0].len(), groups[1].len(), groups[2].len()), (61, 12, 0));

    let before = weights.frozen_fingerprint().unwrap();
    let copy = |name: &str| weights.tensors()[name].copy().unwrap();
    let text_bias = "text_decoder.cls.predictions.bias";
    let old = copy(text_bias);
    let pixels = Tensor::ones((2, 3, 16, 16), candle_core::DType::F32, &Device::Cpu).unwrap();
    step(&model, &pixels, &mut optimizer);
    assert_eq!(weights.frozen_fingerprint().unwrap(), before);
    assert!(norm(&(copy(text_bias) - old).unwrap()) > 0.0, "a trainable tensor did not change");
}

fn step(model: &Blip, pixels: &Tensor, optimizer: &mut AdamW) {
    let captions = collate(&[&[44, 7, 9, 3], &[44, 8, 3]], 0);
    let forward = || {
        let image_embeds = model.vision_model.finish(&model.vision_model.encode(pixels, 2)?, 2)?;
        model.mean_loss(&model.logits(&image_embeds, &captions)?, &targets(&captions, true), 0.0)
    };
    let (_, grads) = model.gradients::<candle_core::Error>(forward).unwrap();
    optimizer.step(&grads, 1e-3, 1.0).unwrap();
}
