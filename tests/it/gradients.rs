//! Forward, loss and every gradient against transformers and PyTorch (fixtures: `tests/reference/model.py`).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use sweep::data::TokenBatch;
use sweep::model::blip::targets;
use sweep::model::ops::Dropout;
use sweep::model::{Blip, Config, Unfrozen, Weights};

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model")
}

pub fn read_json<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = fixtures().join(name);
    serde_json::from_slice(&std::fs::read(&path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A tiny random model of the fixtures, with some of it unfrozen.
pub fn tiny(name: &str, unfrozen: Unfrozen) -> (Config, Weights, Blip) {
    let folder = fixtures().join(name);
    let config = Config::load(&folder).unwrap();
    let mut weights = Weights::load(&folder, &Device::Cpu).unwrap();
    weights.unfreeze(unfrozen, config.vision.num_hidden_layers).unwrap();
    let model = Blip::new(&config, &weights).unwrap();
    (config, weights, model)
}

#[derive(Deserialize)]
struct Case {
    case: String,
    model: String,
    unfrozen_vision_layers: usize,
    train_text_decoder: bool,
    mask_padding: bool,
    label_smoothing: f64,
    loss: f64,
}

pub fn batch(stored: &HashMap<String, Tensor>) -> TokenBatch {
    let (rows, columns) = stored["input_ids"].dims2().unwrap();
    let flat = |name: &str| stored[name].flatten_all().unwrap().to_vec1::<i64>().unwrap();
    let mask = flat("attention_mask");
    TokenBatch {
        ids: flat("input_ids").into_iter().map(|id| id as u32).collect(),
        lengths: mask.chunks(columns).map(|row| row.iter().sum::<i64>() as usize).collect(),
        rows,
        columns,
        given: 1,
    }
}

fn norm(xs: &Tensor) -> f64 {
    xs.to_dtype(DType::F64).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt()
}

pub fn relative(ours: &Tensor, theirs: &Tensor) -> f64 {
    norm(&(ours - theirs).unwrap()) / norm(theirs)
}

#[test]
fn logits_loss_and_every_gradient_equal_those_of_pytorch() {
    let cases: Vec<Case> = read_json("gradients.json");
    assert!(cases.len() >= 12);
    let mut worst = (0.0, String::new());
    for case in &cases {
        let unfrozen =
            Unfrozen::Last { vision_layers: case.unfrozen_vision_layers, text: case.train_text_decoder };
        let (_, weights, model) = tiny(&case.model, unfrozen);
        let path = fixtures().join(format!("gradients/{}.safetensors", case.case));
        let stored = candle_core::safetensors::load(path, &Device::Cpu).unwrap();

        let captions = batch(&stored);
        let forward = || {
            let hidden = model.vision_model.encode(&stored["pixel_values"], 1)?;
            let image_embeds = model.vision_model.finish(&hidden, 1)?;
            assert!(
                relative(&image_embeds, &stored["image_embeds"]) < 1e-5,
                "{}: image embeddings",
                case.case
            );
            let logits = model.logits(&image_embeds, &captions)?;
            let wanted = stored["logits"].narrow(1, 0, captions.columns - 1)?.flatten(0, 1)?;
            assert!(relative(&logits, &wanted) < 1e-5, "{}: logits", case.case);
            model.mean_loss(&logits, &targets(&captions, !case.mask_padding), case.label_smoothing)
        };
        let (loss, grads) = model.gradients::<candle_core::Error>(forward).unwrap();
        let value = loss.to_scalar::<f32>().unwrap() as f64;
        assert!((value / case.loss - 1.0).abs() < 1e-6, "{}: loss {value}, not {}", case.case, case.loss);

        let wanted: BTreeMap<&str, &Tensor> =
            stored.iter().filter_map(|(name, grad)| Some((name.strip_prefix("grad.")?, grad))).collect();
        let ours: Vec<&str> = weights.trainable().keys().map(String::as_str).collect();
        assert_eq!(ours, wanted.keys().copied().collect::<Vec<_>>(), "{}: what trains", case.case);
        let all = wanted.values().map(|grad| norm(grad).powi(2)).sum::<f64>().sqrt();
        for (name, var) in weights.trainable() {
            let ours = grads.get(var).unwrap_or_else(|| panic!("{}: no gradient reached {name}", case.case));
            let theirs = wanted[name.as_str()];
            let difference = norm(&(ours - theirs).unwrap());
            let allowed = 1e-4 * norm(theirs) + 1e-7 * all;
            assert!(
                difference <= allowed,
                "{}: {name} differs by {difference}, allowed {allowed}",
                case.case
            );
            // Key biases shift all scores of a query alike: their gradient is 0 in exact arithmetic.
            assert!(name.ends_with("key.bias") || norm(ours) > 1e-6, "{}: {name} has no gradient", case.case);
            if difference / allowed > worst.0 {
                worst = (difference / allowed, format!("{} {name}", case.case));
            }
        }
    }
    eprintln!("worst gradient: {:.3} of what is allowed, {}", worst.0, worst.1);
}

#[test]
fn layers_that_are_computed_again_give_the_same_gradients_to_the_bit() {
    let stored =
        candle_core::safetensors::load(fixtures().join("gradients/tiny_k3.safetensors"), &Device::Cpu)
            .unwrap();
    let captions = batch(&stored);
    for (vision_layers, text, rate) in [(3, true, 0.1), (2, true, 0.0), (1, false, 0.1), (0, true, 0.2)] {
        let (mut config, weights, _) = tiny("tiny", Unfrozen::Last { vision_layers, text });
        let dropout = Dropout { rate, seed: 3, step: 5 };
        let mut of = |recomputes| {
            config.gradient_checkpointing = recomputes;
            let model = Blip::new(&config, &weights).unwrap();
            let hidden = model.vision_model.encode(&stored["pixel_values"], 3 - vision_layers).unwrap();
            let forward = || {
                let image_embeds =
                    model.vision_model.finish_training(&hidden, 3 - vision_layers, &dropout)?;
                let logits = model.training_logits(&image_embeds, &captions, &dropout)?;
                model.mean_loss(&logits, &targets(&captions, false), 0.1)
            };
            let (loss, grads) = model.gradients::<candle_core::Error>(forward).unwrap();
            let bits = |tensor: &Tensor| {
                let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let gradients: Vec<_> =
                weights.trainable().values().map(|var| bits(grads.get(var).unwrap())).collect();
            (bits(&loss), gradients)
        };
        assert!(of(true) == of(false), "{vision_layers} vision layers, {text}, dropout {rate}");
    }
}

#[test]
fn the_image_encoder_gives_the_same_state_from_every_boundary() {
    let stored =
        candle_core::safetensors::load(fixtures().join("gradients/tiny_k3.safetensors"), &Device::Cpu)
            .unwrap();
    let (_, _, model) = tiny("tiny", Unfrozen::Last { vision_layers: 0, text: false });
    for boundary in 0..=model.vision_model.depth() {
        let hidden = model.vision_model.encode(&stored["pixel_values"], boundary).unwrap();
        let wanted = &stored[&format!("vision_hidden.{boundary}")];
        assert!(relative(&hidden, wanted) < 1e-5, "below layer {boundary}");
        let finished = model.vision_model.finish(&hidden, boundary).unwrap();
        assert!(relative(&finished, &stored["image_embeds"]) < 1e-5, "from layer {boundary}");
    }
}

#[derive(Deserialize)]
struct Defaults {
    name: String,
    given: serde_json::Value,
    filled: HashMap<String, serde_json::Value>,
}

#[test]
fn keys_missing_from_a_configuration_take_the_values_of_transformers() {
    let rows: Vec<Defaults> = read_json("config_defaults.json");
    assert!(rows.len() > 5);
    for row in rows {
        let config =
            Config::parse(&row.given.to_string()).unwrap_or_else(|error| panic!("{}: {error}", row.name));
        let (text, vision) = (&row.filled["text_config"], &row.filled["vision_config"]);
        let ours = serde_json::json!({
            "text": [
                config.text.vocab_size, config.text.hidden_size, config.text.encoder_hidden_size,
                config.text.intermediate_size, config.text.num_hidden_layers, config.text.num_attention_heads,
                config.text.max_position_embeddings, config.tokens.start, config.tokens.end, config.tokens.pad,
            ],
            "vision": [
                config.vision.hidden_size, config.vision.intermediate_size, config.vision.num_hidden_layers,
                config.vision.num_attention_heads, config.vision.image_size, config.vision.patch_size,
            ],
        });
        let pick = |part: &serde_json::Value, keys: &[&str]| {
            keys.iter().map(|key| part[*key].clone()).collect::<Vec<_>>()
        };
        let theirs = serde_json::json!({
            "text": pick(text, &[
                "vocab_size", "hidden_size", "encoder_hidden_size", "intermediate_size", "num_hidden_layers",
                "num_attention_heads", "max_position_embeddings", "bos_token_id", "sep_token_id", "pad_token_id",
            ]),
            "vision": pick(vision, &[
                "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
                "patch_size",
            ]),
        });
        assert_eq!(ours, theirs, "{}", row.name);
        assert_eq!(Some(config.text.layer_norm_eps), text["layer_norm_eps"].as_f64(), "{}", row.name);
        assert_eq!(Some(config.vision.layer_norm_eps), vision["layer_norm_eps"].as_f64(), "{}", row.name);
    }
}
