//! A small caption decoder: a gated recurrent unit that looks at the patches by additive attention, as in "Show, Attend and Tell"
//! (Xu et al., 2015) with a GRU in the place of the LSTM.
//!
//! The state begins as what the mean of the patches says. Every step looks at the patches with the state as it is, takes the
//! last word and what was seen in, and says the next word from the new state. It knows the word pieces of the training captions
//! and one row for all others, which share their probability equally: losses over the whole vocabulary stay finite and compare
//! with those of a decoder that knows every piece.
//!
//! It takes the place of BLIP's decoder in a [`Blip`](super::Blip), whose `config.json` then has the key [`KEY`] and the model
//! type [`MODEL_TYPE`], so that transformers refuses the folder instead of making up a decoder.

use std::collections::BTreeSet;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::config::Config;
use super::layers::Linear;
use super::ops::{Dropout, Engine, additive_attention, by_candle, dropout, embedding, gru_cell};
use super::ops::{in_turn, reshape, spread};
use super::weights::Weights;

/// Where `config.json` has the sizes.
pub const KEY: &str = "small_decoder";
pub const MODEL_TYPE: &str = "sweep-small-decoder";
/// The tensor that lists the word pieces that are known, by their ids, which are exact in `f32`.
pub const PIECES: &str = "text_decoder.pieces";
/// What names of all its tensors begin with.
const ROOT: &str = "text_decoder";

/// The sizes beside those of the vision model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Of the state.
    pub hidden: usize,
    /// Of words.
    pub embedding: usize,
    /// Of keys and queries.
    pub attention: usize,
    /// Word pieces that are known.
    pub pieces: usize,
}

impl Sizes {
    /// The sizes of a small decoder beside a vision model of `width` that knows so many word pieces: for a few hundred to a few thousand
    /// images, and no larger than the model that it is to be cheap beside.
    pub fn beside(width: usize, pieces: usize) -> Self {
        let hidden = width.clamp(2, LARGEST_STATE);
        Self { hidden, embedding: hidden / 2, attention: hidden / 2, pieces }
    }

    /// Name and shape of every tensor, beside image embeddings of `width`.
    pub fn tensor_shapes(&self, width: usize) -> Vec<(String, Vec<usize>)> {
        let Self { hidden, embedding, attention, pieces } = *self;
        let mut shapes =
            vec![("embeddings.weight", vec![pieces + 1, embedding]), ("attention.scale", vec![attention])];
        let linears = [
            ("start", hidden, width),
            ("attention.key", attention, width),
            ("attention.query", attention, hidden),
            ("gates.word", 3 * hidden, embedding),
            ("gates.seen", 3 * hidden, width),
            ("gates.state", 3 * hidden, hidden),
            ("head", pieces + 1, hidden),
        ];
        let mut shapes: Vec<(String, Vec<usize>)> =
            shapes.drain(..).map(|(name, shape)| (format!("{ROOT}.{name}"), shape)).collect();
        for (name, outs, ins) in linears {
            shapes.push((format!("{ROOT}.{name}.weight"), vec![outs, ins]));
            shapes.push((format!("{ROOT}.{name}.bias"), vec![outs]));
        }
        shapes.push((PIECES.to_owned(), vec![pieces]));
        shapes
    }

    /// Reads a configuration's entry.
    pub(super) fn parse(value: &Value, vocabulary: usize) -> std::result::Result<Self, String> {
        let sizes: Self =
            serde_json::from_value(value.clone()).map_err(|error| format!("`{KEY}`: {error}"))?;
        let of_size =
            [("hidden", sizes.hidden), ("embedding", sizes.embedding), ("attention", sizes.attention)];
        for (key, size) in of_size {
            if !(1..=MAX_SIZE).contains(&size) {
                return Err(format!(
                    "`{KEY}.{key}` is {size}; it must be a whole number from 1 to {MAX_SIZE}"
                ));
            }
        }
        if !(1..=vocabulary).contains(&sizes.pieces) {
            return Err(format!("`{KEY}.pieces` is {}; the vocabulary has {vocabulary}", sizes.pieces));
        }
        Ok(sizes)
    }
}

/// What the head's bias begins with: 0, and for the row of all other pieces so little that together they are as likely as one.
pub fn head_bias(sizes: Sizes, vocabulary: usize) -> Vec<f32> {
    let others = (vocabulary - sizes.pieces).max(1) as f32;
    let mut bias = vec![0.0; sizes.pieces];
    bias.push(-others.ln());
    bias
}

/// The sizes of the small decoder that weights hold, where they hold one.
pub fn sizes_of(weights: &Weights) -> Option<Sizes> {
    let shape = |name: &str| Some(weights.tensors().get(&format!("{ROOT}.{name}"))?.dims());
    let (words, queries) = (shape("embeddings.weight")?, shape("attention.query.weight")?);
    Some(Sizes {
        hidden: *queries.get(1)?,
        embedding: *words.get(1)?,
        attention: *queries.first()?,
        pieces: words.first()?.checked_sub(1)?,
    })
}

/// The state beside a model of BLIP's width.
const LARGEST_STATE: usize = 256;
/// Larger states are those of no small decoder.
const MAX_SIZE: usize = 16_384;

/// The `config.json` of a model whose decoder is replaced by a small one.
///
/// # Errors
/// Bytes that are no mapping.
pub fn in_config(config: &[u8], sizes: Sizes) -> serde_json::Result<Vec<u8>> {
    let mut root: Map<String, Value> = serde_json::from_slice(config)?;
    root.insert("model_type".to_owned(), json!(MODEL_TYPE));
    root.insert("architectures".to_owned(), json!(["SweepSmallDecoder"]));
    root.insert("tie_word_embeddings".to_owned(), json!(true));
    root.insert(KEY.to_owned(), json!(sizes));
    serde_json::to_vec_pretty(&root)
}

/// The decoder.
#[derive(Debug, Clone)]
pub struct SmallDecoder {
    embeddings: Tensor,
    start: Linear,
    key: Linear,
    query: Linear,
    scale: Tensor,
    of_word: Linear,
    of_seen: Linear,
    of_state: Linear,
    head: Linear,
    /// For every piece of the vocabulary its row.
    places: Vec<u32>,
    pub(super) engine: Engine,
}

/// What a caption's next step needs of its image, and what it has said so far.
#[derive(Debug, Clone)]
pub struct Memory {
    keys: Tensor,
    values: Tensor,
    state: Tensor,
}

impl SmallDecoder {
    pub fn new(config: &Config, sizes: Sizes, engine: &Engine, vb: VarBuilder) -> Result<Self> {
        let Sizes { hidden, embedding, attention, pieces } = sizes;
        let width = config.vision.hidden_size;
        let linear = |name: &str, ins, outs| Linear::new(ins, outs, engine, vb.pp(name));
        let known = vb.get(pieces, "pieces")?.to_vec1::<f32>()?;
        Ok(Self {
            embeddings: vb.get((pieces + 1, embedding), "embeddings.weight")?,
            start: linear("start", width, hidden)?,
            key: linear("attention.key", width, attention)?,
            query: linear("attention.query", hidden, attention)?,
            scale: vb.get(attention, "attention.scale")?,
            of_word: linear("gates.word", embedding, 3 * hidden)?,
            of_seen: linear("gates.seen", width, 3 * hidden)?,
            of_state: linear("gates.state", hidden, 3 * hidden)?,
            head: linear("head", hidden, pieces + 1)?,
            places: places(&known, config.text.vocab_size)?,
            engine: engine.clone(),
        })
    }

    /// Before the first word.
    pub fn look_at(&self, image_embeds: &Tensor) -> Result<Memory> {
        let image_embeds = image_embeds.detach();
        let means = image_embeds.mean(1)?;
        let state = by_candle(&self.start.forward(&means)?, Tensor::tanh, &self.engine)?;
        Ok(Memory { keys: self.key.forward(&image_embeds)?, values: image_embeds, state })
    }

    /// Takes a word in for each row.
    pub fn step(&self, memory: &mut Memory, ids: &[u32]) -> Result<()> {
        let engine = &self.engine;
        let rows = self.rows_of(ids)?;
        let words = embedding(&self.embeddings, &rows, None, engine)?;
        let Memory { keys, values, state } = memory;
        let seen = additive_attention(&self.query.forward(state)?, keys, values, &self.scale, engine)?;
        let of_input =
            super::ops::add(&self.of_word.forward(&words)?, &self.of_seen.forward(&seen)?, engine)?;
        *state = gru_cell(&of_input, &self.of_state.forward(state)?, state, engine)?;
        Ok(())
    }

    /// Logits (rows, vocabulary) of what follows states (rows, hidden).
    fn say(&self, states: &Tensor, regular: &Dropout) -> Result<Tensor> {
        let states = dropout(states, regular.at("text_decoder.head"), &self.engine)?;
        spread(&self.head.forward(&states)?, &self.places, &self.engine)
    }

    /// Logits (captions, tokens, vocabulary) of what follows each of `ids` (captions x tokens).
    pub fn training_logits(&self, ids: &[u32], image_embeds: &Tensor, regular: &Dropout) -> Result<Tensor> {
        let captions = image_embeds.dim(0)?;
        let tokens = ids.len() / captions.max(1);
        let mut memory = self.look_at(image_embeds)?;
        let mut states = Vec::with_capacity(tokens);
        for token in 0..tokens {
            let words: Vec<u32> = ids.iter().skip(token).step_by(tokens).copied().collect();
            self.step(&mut memory, &words)?;
            states.push(memory.state.clone());
        }
        let logits = self.say(&in_turn(&states, &self.engine)?, regular)?;
        reshape(&logits, (captions, tokens, self.places.len()), &self.engine)
    }

    /// Puts the logits (rows, vocabulary) of what follows when `ids` says the next token of each row into `logits`.
    pub fn decode(&self, memory: &mut Memory, ids: &[u32], logits: &mut Vec<f32>) -> Result<()> {
        self.step(memory, ids)?;
        *logits = self.say(&memory.state, &Dropout::NONE)?.flatten_all()?.to_vec1()?;
        Ok(())
    }

    fn rows_of(&self, ids: &[u32]) -> Result<Vec<u32>> {
        let row = |id: &u32| match self.places.get(*id as usize) {
            Some(place) => Ok(*place),
            None => {
                candle_core::bail!("token id {id} is beyond the vocabulary of {}", self.places.len())
            }
        };
        ids.iter().map(row).collect()
    }
}

impl Memory {
    /// Continues with the captions at `rows`, in that order; `images` keeps the images they belong to.
    pub fn select(&mut self, rows: &[u32], images: Option<&[u32]>) -> Result<()> {
        self.state = self.state.index_select(&Tensor::new(rows, self.state.device())?, 0)?;
        if let Some(images) = images {
            let images = Tensor::new(images, self.keys.device())?;
            self.keys = self.keys.index_select(&images, 0)?;
            self.values = self.values.index_select(&images, 0)?;
        }
        Ok(())
    }
}

/// The row of each piece of the vocabulary: its place among the known ones, or the last row.
fn places(known: &[f32], vocabulary: usize) -> Result<Vec<u32>> {
    let ids: BTreeSet<u32> = known.iter().map(|id| *id as u32).collect();
    let in_order = ids.iter().map(|id| *id as f32).eq(known.iter().copied());
    if !in_order || ids.last().is_some_and(|last| *last as usize >= vocabulary) {
        candle_core::bail!("`{PIECES}` must list ids below {vocabulary} in rising order");
    }
    let mut places = vec![known.len() as u32; vocabulary];
    for (row, id) in ids.into_iter().enumerate() {
        places[id as usize] = row as u32;
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_no_larger_than_a_small_model_beside_a_large_one() {
        let Sizes { hidden, embedding, attention, pieces } = Sizes::beside(768, 9);
        assert_eq!((hidden, embedding, attention, pieces), (256, 128, 128, 9));
        assert_eq!(Sizes::beside(128, 9).hidden, 128);
    }

    #[test]
    fn pieces_that_no_caption_had_are_together_as_likely_as_one_before_training() {
        let bias = head_bias(Sizes::beside(16, 3), 10);
        assert_eq!(bias[..3], [0.0; 3]);
        assert!((7.0 * bias[3].exp() - 1.0).abs() < 1e-6, "{bias:?}");
    }

    #[test]
    fn known_pieces_have_rows_of_their_own_and_lists_that_are_not_in_order_are_refused() {
        assert_eq!(places(&[1.0, 3.0], 5).unwrap(), [2, 0, 2, 1, 2]);
        for wrong in [&[3.0, 1.0], &[1.0, 1.0], &[1.0, 5.0], &[0.5, 1.0]] {
            assert!(places(wrong, 5).is_err(), "{wrong:?}");
        }
    }
}
