//! A captioner of BLIP-base's size that has learnt nothing, and images of noise.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde_json::{Value, json};
use sweep::model::{Config, Weights};
use sweep::random::Random;

const SEED: u64 = 11;

/// Writes the model into `folder` in the Hugging Face layout.
pub fn write_random(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let config = configuration().to_string();
    let shapes = Config::parse(&config).map_err(anyhow::Error::msg)?.tensor_shapes();
    let tensors: candle_core::Result<BTreeMap<String, Tensor>> =
        shapes.into_par_iter().map(|(name, shape)| Ok((name.clone(), random(&name, &shape)?))).collect();
    std::fs::write(folder.join("model.safetensors"), Weights::from_tensors(tensors?).to_bytes(DType::F32)?)?;
    Ok(std::fs::write(folder.join("config.json"), config)?)
}

fn configuration() -> Value {
    let shared = json!({"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "hidden_act": "gelu", "attention_dropout": 0.0});
    let with = |more: Value| {
        let mut part = shared.clone();
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        part
    };
    json!({
        "architectures": ["BlipForConditionalGeneration"], "model_type": "blip", "tie_word_embeddings": true,
        "image_text_hidden_size": 256, "projection_dim": 512,
        "vision_config": with(json!({"image_size": 384, "patch_size": 16, "layer_norm_eps": 1e-5})),
        "text_config": with(json!({"vocab_size": 30524, "max_position_embeddings": 512, "layer_norm_eps": 1e-12,
            "encoder_hidden_size": 768, "bos_token_id": 30522, "eos_token_id": 2, "sep_token_id": 102,
            "pad_token_id": 0, "is_decoder": true, "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0})),
    })
}

/// Weights as training begins with: scales of 1, biases of 0, all else normal with a deviation of 0.02.
fn random(name: &str, shape: &[usize]) -> candle_core::Result<Tensor> {
    if name.ends_with("bias") {
        return Tensor::zeros(shape, DType::F32, &Device::Cpu);
    }
    if name.to_lowercase().contains("norm") {
        return Tensor::ones(shape, DType::F32, &Device::Cpu);
    }
    let mut random = Random::new(SEED, name, &[]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal() as f32 * 0.02).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Images (images, 3, side, side) of noise, which are left in `folder` for who else wants them.
pub fn pixels(folder: &Path, images: usize, side: usize) -> Result<Tensor> {
    let mut random = Random::new(SEED, "pixels", &[]);
    let values: Vec<f32> = (0..images * 3 * side * side).map(|_| random.normal() as f32).collect();
    let pixels = Tensor::from_vec(values, (images, 3, side, side), &Device::Cpu)?;
    let named = HashMap::from([("pixel_values", pixels.clone())]);
    candle_core::safetensors::save(&named, folder.join("pixels.safetensors"))?;
    Ok(pixels)
}
