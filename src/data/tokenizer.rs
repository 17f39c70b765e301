//! Captions to token ids and back, as transformers' `BertTokenizer` does it for BLIP.
//!
//! [`CaptionTokenizer`] wraps the `tokenizers` crate around the vocabulary of a model folder
//! ([`super::tokenizer_build`]), set up as the files beside it say ([`super::tokenizer_config`]). The
//! tokens at both ends are put around a caption here, so that truncation and padding settings which a
//! saved file may carry have no say. The crate can panic on crafted files; every call into it is
//! contained.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;

use super::contain;
use super::tokenizer_build::{self, Built};
use super::tokenizer_config::{Side, TokenizerConfig};

/// Why a tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error(
        "{}: no such file\nhint: copy it, or vocab.txt, from the model's repository, or save it with \
         `BlipProcessor.save_pretrained`",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("{}: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("{}: `{key}` is {value}; {valid}", path.display())]
    Setting { path: PathBuf, key: String, value: Value, valid: String },
    #[error("{}: the token {name} is missing; BLIP needs [PAD], [CLS] and [SEP]", path.display())]
    SpecialToken { path: PathBuf, name: String },
    #[error("{}: fails on the caption {caption:?}: {reason}", path.display())]
    Caption { path: PathBuf, caption: String, reason: String },
    #[error("{}: fails to decode token ids: {reason}", path.display())]
    Ids { path: PathBuf, reason: String },
}

/// A tokenizer that is known to work.
pub struct CaptionTokenizer {
    tokenizer: Tokenizer,
    path: PathBuf,
    /// Joins "isn ' t" to "isn't" after decoding; off unless `tokenizer_config.json` turns it on.
    joins_contractions: bool,
    /// Where captions that are too long are cut.
    truncation_side: Side,
    /// The id of `[PAD]`.
    pub pad: u32,
    /// The id of `[CLS]`, which begins every caption.
    pub cls: u32,
    /// The id of `[SEP]`, which ends every caption.
    pub sep: u32,
    /// The id of `[UNK]`, where the vocabulary has one.
    pub unknown: Option<u32>,
    /// The largest id plus one: as many embedding rows the model needs at least.
    pub vocabulary_size: usize,
}

impl CaptionTokenizer {
    /// Reads the tokenizer of a model folder: `tokenizer.json` or, where that is missing, `vocab.txt`, and
    /// the configuration beside it.
    pub fn load(folder: &Path) -> Result<Self, TokenizerError> {
        let config = TokenizerConfig::load(folder)?;
        let Built { mut tokenizer, path, truncation_side, padding_side } =
            tokenizer_build::build(folder, &config)?;
        if config.padding_side.or(padding_side) == Some(Side::Left) {
            return Err(TokenizerError::Setting {
                path: folder.join("tokenizer_config.json"),
                key: "padding_side".into(),
                value: "left".into(),
                valid: "BLIP's captions are padded on the right".into(),
            });
        }
        let id = |name: &String| {
            let missing = || TokenizerError::SpecialToken { path: path.clone(), name: name.clone() };
            tokenizer.token_to_id(name).ok_or_else(missing)
        };
        let names = &config.names;
        let (pad, cls, sep) = (id(&names.pad)?, id(&names.cls)?, id(&names.sep)?);
        let unusable = |reason: String| TokenizerError::Unusable { path: path.clone(), reason };
        contained(|| tokenizer_build::add_special(&mut tokenizer, &config)).map_err(unusable)?;
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        let loaded = Self {
            unknown: tokenizer.token_to_id(&names.unknown),
            tokenizer,
            path,
            joins_contractions: config.joins_contractions,
            truncation_side: config.truncation_side.or(truncation_side).unwrap_or(Side::Right),
            pad,
            cls,
            sep,
            vocabulary_size: largest as usize + 1,
        };
        if config.is_general {
            loaded.check_ends()?;
        }
        // A file without an unknown token fails only on the first word that needs it: better now.
        loaded.encode("a red \u{2603}\u{10ffff} z\u{e9}bra-9 don't.", 60)?;
        Ok(loaded)
    }

    /// Refuses a file that puts something else around captions than [`Self::encode`] does.
    fn check_ends(&self) -> Result<(), TokenizerError> {
        let ids = contained(|| {
            self.tokenizer.encode_fast("", true).map(|encoding| encoding.get_ids().to_vec()).map_err(in_words)
        });
        let reason = match ids {
            Ok(ids) if ids == [self.cls, self.sep] => return Ok(()),
            Ok(ids) => {
                format!("`post_processor` makes {ids:?} of an empty caption; BLIP needs [CLS] and [SEP]")
            }
            Err(_) => {
                "`post_processor` fails; BLIP needs one that puts [CLS] and [SEP] around a caption".to_owned()
            }
        };
        Err(TokenizerError::Unusable { path: self.path.clone(), reason })
    }

    /// `[CLS]`, the caption's word pieces, `[SEP]`: at most `max_length` ids, of which the last is always
    /// `[SEP]`. Word pieces beyond that are cut off on the right, or on the left where the tokenizer's
    /// `truncation_side` says so. A `max_length` below 2 counts as 2.
    pub fn encode(&self, caption: &str, max_length: usize) -> Result<Vec<u32>, TokenizerError> {
        let encoding = contained(|| self.tokenizer.encode_fast(caption, false).map_err(in_words));
        let encoding = encoding.map_err(|reason| TokenizerError::Caption {
            path: self.path.clone(),
            caption: caption.chars().take(80).collect(),
            reason,
        })?;
        let pieces = encoding.get_ids();
        let kept = pieces.len().min(max_length.saturating_sub(2));
        let pieces = match self.truncation_side {
            Side::Left => &pieces[pieces.len() - kept..],
            Side::Right => &pieces[..kept],
        };
        let mut ids = Vec::with_capacity(kept + 2);
        ids.push(self.cls);
        ids.extend(pieces);
        ids.push(self.sep);
        Ok(ids)
    }

    /// The text of token ids, as `processor.decode(ids, skip_special_tokens=True)`. Special tokens are left
    /// out, and so are ids beyond the vocabulary (`[DEC]` among them, which only the model knows). Spaces
    /// before punctuation go; those around hyphens and apostrophes stay unless the configuration asks for
    /// clean-up.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let text = contained(|| self.tokenizer.decode(ids, true).map_err(in_words));
        let text = text.map_err(|reason| TokenizerError::Ids { path: self.path.clone(), reason })?;
        Ok(if self.joins_contractions { join_contractions(&text) } else { text })
    }

    /// The text of one token, as `##ing`; `None` beyond the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }
}

/// `PreTrainedTokenizerBase.clean_up_tokenization`; what it does besides contractions the decoder has done
/// already.
fn join_contractions(text: &str) -> String {
    text.replace(" .", ".")
        .replace(" ?", "?")
        .replace(" !", "!")
        .replace(" ,", ",")
        .replace(" ' ", "'")
        .replace(" n't", "n't")
        .replace(" 'm", "'m")
        .replace(" 's", "'s")
        .replace(" 've", "'ve")
        .replace(" 're", "'re")
}

pub(super) fn in_words(error: tokenizers::Error) -> String {
    error.to_string()
}

/// Runs code of the tokenizer; a panic in it is an error of its file.
pub(super) fn contained<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    contain::contained(run).unwrap_or_else(|| Err("not a tokenizer that this program can run".to_owned()))
}

#[cfg(test)]
#[path = "tokenizer_tests.rs"]
mod tests;
