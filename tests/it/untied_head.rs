//! An output head with tensors of its own.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use sweep::data::collate;
use sweep::model::blip::targets;
use sweep::model::{Blip, Config, Unfrozen, Weights};

use crate::gradients::tiny;

const WORDS: &str = "text_decoder.bert.embeddings.word_embeddings.weight";
const BIAS: &str = "text_decoder.cls.predictions.bias";
const OWN_WORDS: &str = "text_decoder.cls.predictions.decoder.weight";
const OWN_BIAS: &str = "text_decoder.cls.predictions.decoder.bias";

/// The loss on a caption, and the gradients of what trains.
fn backward(config: &Config, tensors: &BTreeMap<String, Tensor>) -> (f32, BTreeMap<String, Tensor>) {
    let mut weights = Weights::from_tensors(tensors.clone());
    weights.unfreeze(Unfrozen::Last { vision_layers: 0, text: true }, 3).unwrap();
    let model = Blip::new(config, &weights).unwrap();
    let side = config.vision.image_size;
    let pixels: Vec<f32> = (0..3 * side * side).map(|i| (i as f32 * 0.7).sin()).collect();
    let pixels = Tensor::from_vec(pixels, (1, 3, side, side), &Device::Cpu).unwrap();
    let captions = collate(&[&[44, 5, 17, 9, 5, 30, 3]], 0);
    let forward = || {
        let image_embeds = model.vision_model.finish(&model.vision_model.encode(&pixels, 3)?, 3)?;
        model.mean_loss(&model.logits(&image_embeds, &captions)?, &targets(&captions, false), 0.0)
    };
    let (loss, gradients) = model.gradients::<candle_core::Error>(forward).unwrap();
    let of = |(name, var): (&String, &candle_core::Var)| {
        (name.clone(), gradients.get(var.as_tensor()).unwrap_or_else(|| panic!("{name}")).clone())
    };
    (loss.to_scalar().unwrap(), weights.trainable().iter().map(of).collect())
}

fn largest(xs: &Tensor) -> f32 {
    xs.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

#[test]
fn an_untied_head_shares_out_the_gradient_of_a_tied_one() {
    let (config, weights, _) = tiny("tiny", Unfrozen::Last { vision_layers: 0, text: false });
    let tied = weights.tensors().clone();
    let mut untied = tied.clone();
    untied.insert(OWN_WORDS.to_owned(), tied[WORDS].copy().unwrap());
    untied.insert(OWN_BIAS.to_owned(), tied[BIAS].copy().unwrap());
    let (loss, one) = backward(&config, &tied);
    let (same_loss, two) = backward(&config, &untied);
    assert_eq!(loss, same_loss);
    assert!(!two.contains_key(BIAS), "the head's own bias has taken its place");
    let shared_out = (&two[WORDS] + &two[OWN_WORDS]).unwrap();
    assert!(largest(&(&shared_out - &one[WORDS]).unwrap()) < 1e-6 * largest(&one[WORDS]).max(1.0));
    assert!(largest(&two[WORDS]) > 1e-4 && largest(&two[OWN_WORDS]) > 1e-4);
    assert!(largest(&(&two[OWN_BIAS] - &one[BIAS]).unwrap()) < 1e-6);

    // The head's own values decide, whatever the words' embeddings are.
    untied.insert(OWN_WORDS.to_owned(), (&tied[WORDS] * 2.0).unwrap());
    assert_ne!(backward(&config, &untied).0, loss);
}
