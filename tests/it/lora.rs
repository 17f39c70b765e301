//! Low-rank adapters against peft: gradients, twelve updates and merged weights (fixtures: `tests/reference/lora.py`).

use std::collections::HashMap;
use std::fs;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use serde::Deserialize;
use sweep::data::collate;
use sweep::model::blip::targets;
use sweep::model::{Blip, Config, Weights};
use sweep::record::recipe::Training;
use sweep::spec::Preset;
use sweep::train::chosen::Chosen;
use sweep::train::judged::Judged;
use sweep::train::optimizer::{AdamW, Multipliers};

use crate::gradients::{fixtures, relative};

#[derive(Deserialize)]
struct Fixture {
    model: String,
    learning_rate: f64,
    weight_decay: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    case: String,
    lora_rank: usize,
    lora_alpha: f64,
    lora_targets: serde_json::Value,
    unfrozen_vision_layers: usize,
    trainable_text: serde_json::Value,
    trainable_text_layers: usize,
    modules: Vec<String>,
    captions: Vec<Vec<u32>>,
    losses: Vec<f64>,
}

impl Case {
    fn training(&self) -> Training {
        Training {
            lora_rank: self.lora_rank,
            lora_alpha: self.lora_alpha,
            lora_targets: serde_json::from_value(self.lora_targets.clone()).unwrap(),
            unfrozen_vision_layers: self.unfrozen_vision_layers,
            trainable_text: serde_json::from_value(self.trainable_text.clone()).unwrap(),
            trainable_text_layers: self.trainable_text_layers,
            ..Preset::Corrected.recipe().training
        }
    }
}

/// The model of the fixtures with the adapters of a case, which begin by `seed`.
fn adapted(model: &str, case: &Case, seed: u64) -> (Config, Weights) {
    let folder = fixtures().join(model);
    let config = Config::load(&folder).unwrap();
    let mut weights = Weights::load(&folder, &Device::Cpu).unwrap();
    let (training, chosen) = (case.training(), Chosen::by(&case.training(), &config));
    weights.adapt(|name| chosen.adapts(name), training.lora_rank, training.lora_alpha, seed).unwrap();
    (config, weights)
}

/// A step of three of the captions: the loss and its gradients.
fn gradients(config: &Config, model: &Blip, case: &Case, pixels: &Tensor, step: usize) -> (f64, GradStore) {
    let rows: Vec<usize> = (0..3).map(|i| (3 * step + i) % case.captions.len()).collect();
    let mut captions: Vec<Vec<u32>> = rows.iter().map(|row| case.captions[*row].clone()).collect();
    captions.iter_mut().for_each(|caption| caption[0] = config.tokens.start);
    let batch = collate(&captions.iter().map(Vec::as_slice).collect::<Vec<_>>(), config.tokens.pad);
    let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
    let pixels = pixels.index_select(&Tensor::new(rows, &Device::Cpu).unwrap(), 0).unwrap();
    let vision = &model.vision_model;
    let boundary = vision.depth() - case.unfrozen_vision_layers;
    let forward = || {
        let image_embeds = vision.finish(&vision.encode(&pixels, boundary)?, boundary)?;
        model.mean_loss(&model.logits(&image_embeds, &batch)?, &targets(&batch, false), 0.0)
    };
    let (loss, grads) = model.gradients::<candle_core::Error>(forward).unwrap();
    (loss.to_scalar::<f32>().unwrap() as f64, grads)
}

#[test]
fn adapters_train_as_those_of_peft_and_come_to_the_same_merged_weights() {
    let folder = fixtures().parent().unwrap().join("lora");
    let fixture: Fixture = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    assert!(fixture.cases.len() >= 4);
    for case in &fixture.cases {
        let path = folder.join(format!("{}.safetensors", case.case));
        let stored: HashMap<String, Tensor> = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        let (config, weights) = adapted(&fixture.model, case, 0);
        let mut modules = case.modules.clone();
        modules.sort();
        assert_eq!(weights.adapters().keys().collect::<Vec<_>>(), modules.iter().collect::<Vec<_>>());
        for (name, var) in weights.trainable() {
            var.set(&stored[&format!("init.{name}")]).unwrap();
        }
        let model = Blip::new(&config, &weights).unwrap();
        let judged = Judged::of(&weights, 0.0).unwrap().unwrap();
        let frozen = weights.frozen_fingerprint().unwrap();
        let multipliers = Multipliers { text: 1.0, vision: 1.0, other: 1.0 };
        let mut optimizer = AdamW::new(&weights, fixture.weight_decay, multipliers);
        let of_adapters: usize = weights.trainable().values().map(|var| var.elem_count()).sum();
        assert_eq!((optimizer.count(), weights.trainable().len()), (of_adapters, 2 * modules.len()));
        for (step, wanted) in case.losses.iter().enumerate() {
            let (loss, grads) = gradients(&config, &model, case, &stored["pixel_values"], step);
            assert!((loss / wanted - 1.0).abs() < 1e-4, "{} step {step}: {loss}, not {wanted}", case.case);
            for (name, var) in weights.trainable().iter().filter(|_| step == 0) {
                let off = relative(grads.get(var).unwrap(), &stored[&format!("grad.{name}")]);
                // Nobody asks for the gradient of a key's bias here: all are of matrices.
                assert!(off < 1e-4, "{}: the gradient of {name} is off by {off}", case.case);
            }
            optimizer.step(&grads, fixture.learning_rate, 1.0).unwrap();
        }
        assert_eq!(weights.frozen_fingerprint().unwrap(), frozen, "{}: a frozen weight changed", case.case);
        judged.refresh(&weights).unwrap();
        for (name, var) in weights.trainable() {
            let off = relative(var, &stored[&format!("final.{name}")]);
            assert!(off < 1e-4, "{}: {name} is off by {off}", case.case);
        }
        for (name, tensor) in judged.weights().tensors() {
            match stored.get(&format!("merged.{name}")) {
                Some(wanted) => {
                    let off = relative(tensor, wanted);
                    assert!(off < 1e-4, "{}: {name} is off by {off}", case.case);
                    assert!(relative(tensor, &weights.tensors()[name]) > 1e-2, "{name} is not adapted");
                }
                None => assert_eq!(relative(tensor, &weights.tensors()[name]), 0.0, "{name}"),
            }
        }
        merged_says_the_same(&config, &model, judged.weights(), case, &stored["pixel_values"]);
    }
}

/// The merged model, without adapters, has the loss of the one with them.
fn merged_says_the_same(config: &Config, adapted: &Blip, merged: &Weights, case: &Case, pixels: &Tensor) {
    assert!(merged.adapters().is_empty());
    let plain = Blip::from_builder(config, merged.detached()).unwrap();
    let [with, without] = [adapted, &plain].map(|model| gradients(config, model, case, pixels, 0).0);
    assert!((with / without - 1.0).abs() < 1e-5, "{}: {with} and {without}", case.case);
}

#[test]
fn an_adapter_begins_as_nothing_by_the_seed_and_the_name_of_its_layer_alone() {
    let folder = fixtures().parent().unwrap().join("lora");
    let fixture: Fixture = serde_json::from_slice(&fs::read(folder.join("cases.json")).unwrap()).unwrap();
    let (attention, all) = (&fixture.cases[0], &fixture.cases[1]);
    let down = |case: &Case, seed: u64| {
        let (_, weights) = adapted(&fixture.model, case, seed);
        let layer = "vision_model.encoder.layers.2.self_attn.qkv";
        let pair = &weights.adapters()[layer];
        assert!(pair.up.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|value| *value == 0.0));
        let values = pair.down.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let bound = 1.0 / (weights.tensors()[&format!("{layer}.weight")].dims()[1] as f32).sqrt();
        assert!(values.iter().all(|value| value.abs() <= bound));
        assert!(values.iter().any(|value| value.abs() > 0.8 * bound));
        values
    };
    let (first, other) = (down(attention, 1), down(all, 1));
    assert_eq!(first[..other.len()], other, "of another rank, among other layers");
    assert_ne!(first, down(attention, 2));
}
