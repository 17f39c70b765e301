//! The captions that an audit looks at, as text and as tokens.

use std::path::PathBuf;

use rayon::prelude::*;

use super::pictures::Pictures;
use crate::data::tokenizer::TokenizerError;
use crate::data::{CaptionTokenizer, Dataset, Example};

/// An image's captions.
pub struct Captioned {
    pub image: String,
    pub path: PathBuf,
    pub captions: Vec<String>,
    /// The whole captions: `[CLS]`, word pieces, `[SEP]`.
    pub tokens: Vec<Vec<u32>>,
}

/// A data set under a model's tokenizer.
pub struct Corpus<'a> {
    /// As the recipe names it.
    pub model: String,
    pub tokenizer: &'a CaptionTokenizer,
    pub train: Vec<Captioned>,
    pub validation: Vec<Captioned>,
    pub test: Vec<Captioned>,
    /// Captions of the domain that the model came from.
    pub source: Vec<String>,
    /// The images, where they were looked at.
    pub pictures: Option<Pictures>,
}

impl<'a> Corpus<'a> {
    pub fn new(
        model: &str,
        dataset: Dataset,
        tokenizer: &'a CaptionTokenizer,
    ) -> Result<Self, TokenizerError> {
        let encode = |examples: Vec<Example>| -> Result<Vec<Captioned>, TokenizerError> {
            examples.into_par_iter().map(|one| encode(one, tokenizer)).collect()
        };
        Ok(Self {
            model: model.to_owned(),
            tokenizer,
            train: encode(dataset.train)?,
            validation: encode(dataset.validation)?,
            test: encode(dataset.test)?,
            source: dataset.source.into_iter().flat_map(|example| example.captions).collect(),
            pictures: None,
        })
    }

    /// The splits that are scored.
    pub fn evaluated(&self) -> [(&'static str, &[Captioned]); 2] {
        [("validation", &self.validation), ("test", &self.test)]
    }

    pub fn splits(&self) -> [(&'static str, &[Captioned]); 3] {
        [("train", &self.train), ("validation", &self.validation), ("test", &self.test)]
    }

    /// The captions that are scored against.
    pub fn references(&self) -> impl Iterator<Item = &String> {
        self.evaluated().into_iter().flat_map(|(_, examples)| examples).flat_map(|one| &one.captions)
    }

    /// Their tokens.
    pub fn reference_tokens(&self) -> impl Iterator<Item = &Vec<u32>> {
        self.evaluated().into_iter().flat_map(|(_, examples)| examples).flat_map(|one| &one.tokens)
    }

    /// Tokens of all training captions.
    pub fn train_tokens(&self) -> impl Iterator<Item = &Vec<u32>> {
        self.train.iter().flat_map(|example| &example.tokens)
    }

    /// Training captions.
    pub fn train_captions(&self) -> impl Iterator<Item = &str> {
        self.train.iter().flat_map(|example| &example.captions).map(String::as_str)
    }
}

/// A caption's word pieces: its tokens without the first and the last.
pub fn pieces(tokens: &[u32]) -> &[u32] {
    tokens.get(1..tokens.len().saturating_sub(1)).unwrap_or_default()
}

fn encode(example: Example, tokenizer: &CaptionTokenizer) -> Result<Captioned, TokenizerError> {
    let tokens = example.captions.iter().map(|caption| tokenizer.encode(caption, usize::MAX));
    Ok(Captioned {
        tokens: tokens.collect::<Result<_, _>>()?,
        image: example.image,
        path: example.path,
        captions: example.captions,
    })
}
