//! Puts a small decoder in the place of a model's own: it begins from nothing, drawn by the run's seed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};

use super::Session;
use super::execute::Loaded;
use super::material::Tokens;
use crate::model::small_decoder::{PIECES, Sizes, head_bias};
use crate::model::{Config, Part, Weights};
use crate::random::Random;

/// Replaces the decoder by one that knows the word pieces of the training captions, and makes variables of it.
pub fn put_in_place(session: &Session, loaded: &mut Loaded) -> Result<()> {
    let Loaded { pretrained, material } = loaded;
    let pieces = pieces(&material.train, &pretrained.config);
    let sizes = Sizes::beside(pretrained.config.vision.hidden_size, pieces.len());
    pretrained.config.small_decoder = Some(sizes);
    // What it makes of images before training is noise, and of this run alone.
    pretrained.before = None;
    let vision = pretrained.weights.tensors().iter().filter(|(name, _)| Part::of(name) != Part::Text);
    let mut tensors: BTreeMap<String, Tensor> =
        vision.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    tensors.extend(initial(&pretrained.config, sizes, &pieces, session.spec.seed, &session.device)?);
    pretrained.weights = Weights::from_tensors(tensors);
    Ok(pretrained.weights.unfreeze_those(|name| Part::of(name) == Part::Text && name != PIECES)?)
}

/// Puts back what it began from.
pub fn begin_anew(session: &Session, config: &Config, weights: &Weights) -> Result<()> {
    let pieces = weights.tensors().get(PIECES).context("no small decoder is there")?;
    let pieces: Vec<u32> = pieces.to_vec1::<f32>()?.into_iter().map(|id| id as u32).collect();
    let sizes = Sizes::beside(config.vision.hidden_size, pieces.len());
    for (name, tensor) in initial(config, sizes, &pieces, session.spec.seed, &session.device)? {
        if let Some(var) = weights.trainable().get(&name) {
            var.set(&tensor)?;
        }
    }
    Ok(())
}

/// The word pieces that training captions have, and those that every caption needs.
fn pieces(train: &[Tokens], config: &Config) -> Vec<u32> {
    let special = [config.tokens.start, config.tokens.end, config.tokens.pad];
    let said = train.iter().flatten().flatten().copied();
    said.chain(special).collect::<BTreeSet<u32>>().into_iter().collect()
}

/// Weights uniform within one over the root of how many values come in, as PyTorch's layers begin, and embeddings within a
/// tenth, as those of "Show, Attend and Tell". Biases are zero, but for the head's.
fn initial(
    config: &Config,
    sizes: Sizes,
    pieces: &[u32],
    seed: u64,
    device: &Device,
) -> Result<BTreeMap<String, Tensor>> {
    let width = config.vision.hidden_size;
    let draw = |(name, shape): (String, Vec<usize>)| -> Result<(String, Tensor)> {
        let count = shape.iter().product();
        let values: Vec<f32> = if name == PIECES {
            pieces.iter().map(|id| *id as f32).collect()
        } else if name.ends_with("head.bias") {
            head_bias(sizes, config.text.vocab_size)
        } else if name.ends_with(".bias") {
            vec![0.0; count]
        } else {
            let incoming = shape.last().copied().unwrap_or(1) as f64;
            let limit = if name.ends_with("embeddings.weight") { 0.1 } else { incoming.sqrt().recip() };
            let mut random = Random::new(seed, &format!("initial {name}"), &[]);
            (0..count).map(|_| ((2.0 * random.uniform() - 1.0) * limit) as f32).collect()
        };
        Ok((name, Tensor::from_vec(values, shape, device)?))
    };
    sizes.tensor_shapes(width).into_iter().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_the_pieces_of_training_captions_and_the_special_ones_in_rising_order() {
        let config = r#"{"text_config": {"bos_token_id": 30, "sep_token_id": 4, "pad_token_id": 0}}"#;
        let train = vec![vec![vec![30, 9, 7, 4]], vec![vec![30, 7, 4], vec![30, 12, 4]]];
        assert_eq!(pieces(&train, &Config::parse(config).unwrap()), [0, 4, 7, 9, 12, 30]);
    }

    #[test]
    fn a_seed_draws_the_same_weights_again_and_another_seed_others() {
        let config = Config::parse("{}").unwrap();
        let drawn = |seed| {
            let all = initial(&config, Sizes::beside(16, 3), &[1, 5, 8], seed, &Device::Cpu).unwrap();
            let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            all.iter().map(|(name, tensor)| (name.clone(), values(tensor))).collect::<BTreeMap<_, _>>()
        };
        let first = drawn(1);
        assert_eq!(first, drawn(1));
        let other = drawn(2);
        let same: Vec<&String> = first.keys().filter(|name| first[*name] == other[*name]).collect();
        assert!(same.iter().all(|name| name.ends_with(".bias") || *name == PIECES), "{same:?}");
        assert_eq!(first[PIECES], [1.0, 5.0, 8.0]);
    }
}
