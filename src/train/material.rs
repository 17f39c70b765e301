//! What a run works on, loaded and checked: model, weights, tokenizer, processor, examples and their tokens.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;

use super::Inputs;
use super::before::Before;
use super::observed::chosen;
use super::shared_states::SharedStates;
use crate::data::tokenizer::TokenizerError;
use crate::data::{CaptionTokenizer, Dataset, Example, ImageDigests, ImageProcessor, TokenBatch, collate};
use crate::model::beam::BeamSettings;
use crate::model::{Config, Weights};
use crate::random::Random;
use crate::record::grouping::kind_of;
use crate::record::recipe::{DataFiles, Generation, Kind, Recipe, StartToken};

/// A model folder's parts, before a model is built.
pub struct Pretrained {
    pub config: Config,
    pub weights: Weights,
    pub tokenizer: CaptionTokenizer,
    pub processor: ImageProcessor,
    /// States of images that are shared with other runs; `None` where none are.
    pub states: Option<SharedStates>,
    /// What it makes of images before training, likewise.
    pub before: Option<Before>,
    /// The word pieces that captions begin with, behind the start token.
    pub prompt: Vec<u32>,
}

impl Pretrained {
    /// Loads a folder in the Hugging Face layout.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let config = Config::load(folder)?;
        let tokenizer = CaptionTokenizer::load(folder)?;
        let processor = ImageProcessor::load(folder)?;
        let path = folder.display();
        let (side, patch) = (config.vision.image_size, config.vision.patch_size);
        ensure!(
            processor.width as usize == side && processor.height as usize == side,
            "{path}: the processor makes images of {} x {}, but the model takes {side} x {side} (patches of {patch})",
            processor.width,
            processor.height,
        );
        ensure!(
            tokenizer.sep == config.tokens.end && tokenizer.pad == config.tokens.pad,
            "{path}: tokenizer.json and config.json disagree: [SEP] is {} and {}, [PAD] is {} and {}",
            tokenizer.sep,
            config.tokens.end,
            tokenizer.pad,
            config.tokens.pad,
        );
        ensure!(
            tokenizer.vocabulary_size <= config.text.vocab_size,
            "{path}: the tokenizer has {} tokens, but the model only {} embeddings",
            tokenizer.vocabulary_size,
            config.text.vocab_size,
        );
        let weights = Weights::load(folder, device)?;
        // On an accelerator every thread has a stream of its own, and would read what this one's has not yet copied.
        device.synchronize()?;
        Ok(Self { config, weights, tokenizer, processor, states: None, before: None, prompt: Vec::new() })
    }

    /// The same with a prompt.
    pub fn with_prompt(mut self, prompt: &str) -> Result<Self> {
        self.prompt = prompt_pieces(prompt, &self.tokenizer)?;
        Ok(self)
    }
}

/// A data set with its captions as tokens.
pub struct Material {
    pub dataset: Dataset,
    pub train: Vec<Tokens>,
    pub validation: Vec<Tokens>,
    pub test: Vec<Tokens>,
    pub source: Vec<Tokens>,
    /// Tokens of the longest training caption before it was cut; start token, prompt and end token included.
    pub longest_caption: usize,
    pad: u32,
    /// Tokens of the prompt.
    prompt: usize,
    /// What the image files hold.
    pub images: ImageDigests,
    /// Of the whole data set, whatever part of it is trained on.
    pub digest: String,
}

/// The captions of an example as token ids, cut to the recipe's length and with its start token and prompt.
pub type Tokens = Vec<Vec<u32>>;

impl Material {
    /// Reads the data and encodes its captions for `recipe`.
    pub fn load(inputs: &Inputs, recipe: &Recipe, pretrained: &Pretrained) -> Result<Self> {
        let mut dataset = Dataset::load(&inputs.data)?;
        let images = ImageDigests::read(&dataset)?;
        images.bind(&mut dataset);
        let digest = images.digest(&dataset);
        if recipe.kind.trains() {
            let count = recipe.training.train_examples.of(dataset.train.len());
            keep_some(&mut dataset.train, count, &inputs.data);
        }
        let limit = pretrained.config.text.max_position_embeddings;
        // The floors say captions that people wrote: the decoder's limit is none of theirs.
        let uses_decoder = !matches!(recipe.kind, Kind::ConstantCaption | Kind::NearestImage);
        let prompt = pretrained.prompt.len();
        for (key, length, is_used) in [
            ("training.max_length", recipe.training.max_length, uses_decoder),
            // Where lengths are matched, the training captions decide.
            (
                "generation.max_length",
                recipe.generation.max_length,
                uses_decoder && recipe.kind != Kind::MatchedLength,
            ),
        ] {
            if is_used && !(2..=limit).contains(&length) {
                bail!("{key} is {length}, but the model takes 2 to {limit} tokens");
            }
            // The start token and one of the caption come to it.
            ensure!(
                !is_used || prompt == 0 || length >= prompt + 2,
                "training.prompt takes {prompt} tokens and {key} is {length}: there is no room for a caption\nhint: a shorter \
                 prompt, or a larger `{key}`"
            );
        }
        let encode = |examples: &[Example]| encode(examples, recipe, pretrained);
        let train = encode(&dataset.train)?;
        // Only captions that fill the limit may have been cut; the others need not be encoded again.
        let captions = dataset.train.iter().flat_map(|example| &example.captions);
        let full =
            captions.zip(train.iter().flatten()).filter(|(_, ids)| ids.len() >= recipe.training.max_length);
        let longest_cut = longest(full.map(|(caption, _)| caption), &pretrained.tokenizer)? + prompt;
        let longest_caption = train.iter().flatten().map(Vec::len).fold(longest_cut, usize::max);
        Ok(Self {
            train,
            validation: encode(&dataset.validation)?,
            test: encode(&dataset.test)?,
            source: encode(&dataset.source)?,
            dataset,
            longest_caption,
            pad: pretrained.config.tokens.pad,
            prompt,
            images,
            digest,
        })
    }

    /// The first captions of the examples at `indices`, as one batch.
    pub fn batch(&self, tokens: &[Tokens], indices: &[usize]) -> TokenBatch {
        let rows: Vec<&[u32]> =
            indices.iter().filter_map(|i| tokens[*i].first()).map(Vec::as_slice).collect();
        collate(&rows, self.pad).with_prompt(self.prompt)
    }

    /// A training batch; of several captions of an image, each epoch takes one at random.
    pub fn training_batch(&self, indices: &[usize], seed: u64, epoch: usize) -> TokenBatch {
        let rows: Vec<&[u32]> = indices
            .iter()
            .map(|i| {
                Random::new(seed, "caption", &[epoch as u64, *i as u64]).pick(&self.train[*i]).as_slice()
            })
            .collect();
        self.joined(&rows)
    }

    /// Captions as a batch.
    pub fn joined(&self, rows: &[&[u32]]) -> TokenBatch {
        collate(rows, self.pad).with_prompt(self.prompt)
    }
}

/// The word pieces of a prompt. Put before those of a caption they are those of both together, with a space between.
pub fn prompt_pieces(prompt: &str, tokenizer: &CaptionTokenizer) -> Result<Vec<u32>, TokenizerError> {
    let ids = tokenizer.encode(prompt, usize::MAX)?;
    Ok(ids[1..ids.len() - 1].to_vec())
}

/// Tokens of the longest caption, start and end token included; 0 where there is none.
pub fn longest<'a>(
    captions: impl IntoIterator<Item = &'a String>,
    tokenizer: &CaptionTokenizer,
) -> Result<usize, TokenizerError> {
    let mut longest = 0;
    for caption in captions {
        longest = longest.max(tokenizer.encode(caption, usize::MAX)?.len());
    }
    Ok(longest)
}

/// A caption as token ids, cut to the recipe's length and with its start token and prompt.
pub fn encode_caption(
    caption: &str,
    recipe: &Recipe,
    pretrained: &Pretrained,
) -> Result<Vec<u32>, TokenizerError> {
    let prompt = &pretrained.prompt;
    let room = recipe.training.max_length.saturating_sub(prompt.len());
    let mut ids = pretrained.tokenizer.encode(caption, room)?;
    ids.splice(1..1, prompt.iter().copied());
    if let (StartToken::Dec, Some(first)) = (recipe.training.start_token, ids.first_mut()) {
        *first = pretrained.config.tokens.start;
    }
    Ok(ids)
}

fn encode(examples: &[Example], recipe: &Recipe, pretrained: &Pretrained) -> Result<Vec<Tokens>> {
    let encode_one = |caption: &String| encode_caption(caption, recipe, pretrained);
    examples
        .iter()
        .map(|example| {
            let tokens: Result<Tokens, TokenizerError> = example.captions.iter().map(encode_one).collect();
            let tokens = tokens.with_context(|| format!("cannot encode a caption of `{}`", example.image))?;
            ensure!(!tokens.is_empty(), "`{}` has no caption", example.image);
            Ok(tokens)
        })
        .collect()
}

/// Keeps `count` of the training examples in their order. They are drawn by the seed of the split, of each kind of image, as
/// its name says, as nearly in proportion as whole images allow: fewer are a part of more.
fn keep_some(examples: &mut Vec<Example>, count: usize, files: &DataFiles) {
    if count >= examples.len() {
        return;
    }
    let drawn = chosen(files, "training images of a part", examples.len(), examples.len());
    let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for index in &drawn {
        kinds.entry(kind_of(&examples[*index].image)).or_default().push(*index);
    }
    // An image's place in the order of its kind, as a share of the kind: what comes first in all kinds is taken.
    let mut place = vec![0.0; examples.len()];
    for kind in kinds.values() {
        for (rank, index) in kind.iter().enumerate() {
            place[*index] = (rank as f64 + 0.5) / kind.len() as f64;
        }
    }
    let mut kept = drawn;
    kept.sort_by(|a, b| place[*a].total_cmp(&place[*b]));
    kept.truncate(count);
    kept.sort_unstable();
    *examples = kept.into_iter().map(|index| examples[index].clone()).collect();
}

/// The order in which an epoch goes through the training examples that it sees, in batches.
pub fn epoch_batches(
    mut order: Vec<usize>,
    batch_size: usize,
    shuffle: bool,
    seed: u64,
    epoch: usize,
) -> Vec<Vec<usize>> {
    if shuffle {
        Random::new(seed, "order", &[epoch as u64]).shuffle(&mut order);
    }
    order.chunks(batch_size.max(1)).map(<[usize]>::to_vec).collect()
}

/// The recipe's generation settings for a model, whose captions begin with `prompt`.
pub fn beam_settings(generation: &Generation, config: &Config, prompt: &[u32]) -> BeamSettings {
    BeamSettings {
        max_length: generation.max_length,
        min_length: generation.min_length,
        num_beams: generation.num_beams,
        no_repeat_ngram_size: generation.no_repeat_ngram_size,
        length_penalty: generation.length_penalty,
        early_stopping: generation.early_stopping,
        repetition_penalty: generation.repetition_penalty,
        start: [&[config.tokens.start], prompt].concat(),
        end: config.tokens.end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_training_examples_are_a_part_of_more_and_stay_in_order() {
        let split = crate::record::recipe::Split { captions: "c".into(), images: "i".into() };
        let files = DataFiles { train: split, validation: Default::default(), test: None, source: None };
        let all: Vec<Example> = (0..20)
            .map(|i| Example { image: format!("{i:02}"), path: "".into(), captions: vec![], digest: None })
            .collect();
        let kept = |count| {
            let mut examples = all.clone();
            keep_some(&mut examples, count, &files);
            examples.into_iter().map(|example| example.image).collect::<Vec<_>>()
        };
        assert_eq!((kept(7).len(), kept(20).len(), kept(usize::MAX).len()), (7, 20, 20));
        assert!(kept(7).is_sorted() && kept(7).iter().all(|image| kept(12).contains(image)));
        assert_ne!(kept(7), kept(20)[..7], "a random choice");
    }

    #[test]
    fn a_part_has_every_kind_of_image_in_proportion() {
        let split = crate::record::recipe::Split { captions: "c".into(), images: "i".into() };
        let files = DataFiles { train: split, validation: Default::default(), test: None, source: None };
        let name = |i: usize| match i % 10 {
            0..6 => format!("Dresses-{i:02}"),
            6..9 => format!("Shirts-{i:02}"),
            _ => format!("Hats-{i:02}"),
        };
        let all: Vec<Example> = (0..100)
            .map(|i| Example { image: name(i), path: "".into(), captions: vec![], digest: None })
            .collect();
        let kept = |count| {
            let mut examples = all.clone();
            keep_some(&mut examples, count, &files);
            examples.into_iter().map(|example| example.image).collect::<Vec<_>>()
        };
        let of = |count, kind: &str| kept(count).iter().filter(|image| image.starts_with(kind)).count();
        for count in [10, 20, 50, 90] {
            let counts = ["Dresses", "Shirts", "Hats"].map(|kind| of(count, kind));
            assert_eq!(counts, [6, 3, 1].map(|tenths| tenths * count / 10), "of {count}");
        }
        assert!((1..100).all(|count| kept(count).iter().all(|image| kept(count + 1).contains(image))));
    }

    #[test]
    fn every_epoch_sees_every_example_once_in_an_order_of_its_own() {
        let batches = epoch_batches((0..10).collect(), 4, true, 1, 1);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        let mut seen: Vec<usize> = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert_eq!(batches, epoch_batches((0..10).collect(), 4, true, 1, 1));
        assert_ne!(batches, epoch_batches((0..10).collect(), 4, true, 1, 2));
        assert_ne!(batches, epoch_batches((0..10).collect(), 4, true, 2, 1));
        assert_eq!(epoch_batches((0..5).collect(), 2, false, 1, 7).concat(), [0, 1, 2, 3, 4]);
    }
}
