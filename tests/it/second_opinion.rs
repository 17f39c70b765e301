//! candle-transformers' own BLIP, which cannot be trained, must agree with ours in the forward pass.

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::blip;
use sweep::data::collate;
use sweep::model::Unfrozen;

use crate::gradients::{fixtures, tiny};

#[test]
fn candle_transformers_gives_the_same_embeddings_and_logits() {
    let (config, weights, model) = tiny("tiny", Unfrozen::Last { vision_layers: 0, text: false });
    let mut tensors: std::collections::HashMap<String, Tensor> =
        weights.tensors().clone().into_iter().collect();
    let head = "text_decoder.cls.predictions";
    let embeddings = tensors["text_decoder.bert.embeddings.word_embeddings.weight"].clone();
    tensors.insert(format!("{head}.decoder.weight"), embeddings);
    tensors.insert(format!("{head}.decoder.bias"), tensors[&format!("{head}.bias")].clone());
    let theirs_config = blip::Config {
        text_config: config.text.clone(),
        vision_config: config.vision.clone(),
        projection_dim: 8,
        image_text_hidden_size: 8,
    };
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let mut theirs = blip::BlipForConditionalGeneration::new(&theirs_config, vb).unwrap();

    let stored =
        candle_core::safetensors::load(fixtures().join("gradients/tiny_k3.safetensors"), &Device::Cpu)
            .unwrap();
    let pixels = stored["pixel_values"].narrow(0, 0, 1).unwrap();
    let their_embeds = theirs.vision_model().forward(&pixels).unwrap();
    let our_embeds = model.vision_model.finish(&model.vision_model.encode(&pixels, 3).unwrap(), 3).unwrap();
    assert!(largest_difference(&our_embeds, &their_embeds) < 1e-4);

    let ids: [u32; 6] = [44, 5, 17, 9, 30, 3];
    let ours = model.logits(&our_embeds, &collate(&[&ids], 0)).unwrap();
    let their_ids = Tensor::new(&ids[..5], &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let their_logits = theirs.text_decoder().forward(&their_ids, &their_embeds).unwrap().squeeze(0).unwrap();
    assert!(largest_difference(&ours, &their_logits) < 1e-3);
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}
