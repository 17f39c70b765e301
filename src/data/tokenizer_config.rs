//! Reads how a tokenizer is to be set up from the files beside its vocabulary.
//!
//! [`TokenizerConfig`] holds what transformers 5 takes from `tokenizer_config.json`,
//! `special_tokens_map.json` and `added_tokens.json`. Where the configuration has `added_tokens_decoder`
//! it is of the newer kind, which holds all there is to say, and the other two files are ignored;
//! otherwise they have the last word. A known key that would change token ids in a way this program cannot
//! follow is an error.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::tokenizer::TokenizerError;
use crate::record::bounded;

/// Largest file of a tokenizer that is read, in bytes. BERT's `tokenizer.json` has 0.7 MB; in memory a file of short
/// values takes sixteen times its length.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Classes whose tokenizer is set up from its configuration; of its files only the vocabulary counts.
const BERT_CLASSES: [&str; 2] = ["BertTokenizer", "BertTokenizerFast"];
/// Classes that take `tokenizer.json` as it is.
const GENERAL_CLASSES: [&str; 2] = ["PreTrainedTokenizerFast", "TokenizersBackend"];
/// The keys of special tokens, in the order in which transformers adds those that the vocabulary lacks, and
/// the name that BERT's have where nothing else is said.
const SPECIAL_KEYS: [(&str, Option<&str>); 7] = [
    ("bos_token", None),
    ("eos_token", None),
    ("unk_token", Some("[UNK]")),
    ("sep_token", Some("[SEP]")),
    ("pad_token", Some("[PAD]")),
    ("cls_token", Some("[CLS]")),
    ("mask_token", Some("[MASK]")),
];

/// The names of the tokens that a caption needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub pad: String,
    pub cls: String,
    pub sep: String,
    pub unknown: String,
}

/// How a tokenizer is set up.
#[derive(Debug, Clone)]
pub struct TokenizerConfig {
    /// Whether `tokenizer.json` counts as it is, and not only its vocabulary.
    pub is_general: bool,
    pub lowercase: bool,
    /// `None` follows `lowercase`.
    pub strip_accents: Option<bool>,
    pub spaces_chinese: bool,
    pub names: Names,
    /// Tokens with their ids, in the order of those; `None` where `tokenizer.json` lists them, if anything
    /// does.
    pub added: Option<Vec<AddedToken>>,
    /// Tokens that are special because a key names them; those that are not there yet are added.
    pub named: Vec<AddedToken>,
    /// More special tokens, which are added where they are not there yet and else stay what they are.
    pub extra: Vec<AddedToken>,
    /// Whether special tokens in a caption are text like any other.
    pub splits_special: bool,
    /// Whether decoding joins "isn ' t" to "isn't".
    pub joins_contractions: bool,
    /// The side on which captions are cut, `None` where the configuration does not say.
    pub truncation_side: Option<Side>,
    pub padding_side: Option<Side>,
}

/// An end of a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl TokenizerConfig {
    /// Reads the files of a model folder; each of them may be missing.
    pub fn load(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join("tokenizer_config.json");
        let mut keys = read_object(&path)?.unwrap_or_default();
        // The order of these steps is transformers'. It shows where a file lists a token that only the map
        // calls an additional special one: such a token is none.
        if !holds_tokens(keys.get("extra_special_tokens")) {
            rename_additional(&mut keys);
        }
        let is_new = keys.contains_key("added_tokens_decoder");
        if !is_new && let Some(map) = read_object(&folder.join("special_tokens_map.json"))? {
            take_over(&mut keys, map);
        }
        let settings = Settings { path: &path, keys: &keys };
        let added = if is_new {
            Some(settings.added_tokens_decoder()?)
        } else {
            let special = [settings.named_tokens()?, settings.extra_tokens()?].concat();
            Some(added_later(folder, &special)?).filter(|later| !later.is_empty())
        };
        if !keys.contains_key("extra_special_tokens") {
            rename_additional(&mut keys);
        }
        let settings = Settings { path: &path, keys: &keys };
        Ok(Self {
            is_general: settings.is_general()?,
            lowercase: settings.flag("do_lower_case")?.unwrap_or(true),
            strip_accents: settings.flag("strip_accents")?,
            spaces_chinese: settings.flag("tokenize_chinese_chars")?.unwrap_or(true),
            names: settings.names()?,
            added,
            named: settings.named_tokens()?,
            extra: settings.extra_tokens()?,
            splits_special: settings.flag("split_special_tokens")?.unwrap_or(false),
            joins_contractions: settings.flag("clean_up_tokenization_spaces")?.unwrap_or(false),
            truncation_side: settings.side("truncation_side")?,
            padding_side: settings.side("padding_side")?,
        })
    }
}

fn holds_tokens(list: Option<&Value>) -> bool {
    match list {
        Some(Value::Array(tokens)) => !tokens.is_empty(),
        Some(Value::Object(tokens)) => !tokens.is_empty(),
        _ => false,
    }
}

/// Gives the list of further special tokens its present name.
fn rename_additional(keys: &mut Map<String, Value>) {
    if let Some(tokens) = keys.remove("additional_special_tokens") {
        keys.insert("extra_special_tokens".to_owned(), tokens);
    }
}

/// Puts the map's special tokens in the place of those that the configuration names; lists are joined.
fn take_over(keys: &mut Map<String, Value>, map: Map<String, Value>) {
    for (key, value) in map {
        match (keys.get_mut(&key), value) {
            (Some(Value::Array(known)), Value::Array(more)) if key == "extra_special_tokens" => {
                let new: Vec<Value> = more.into_iter().filter(|token| !known.contains(token)).collect();
                known.extend(new);
            }
            (_, value) => {
                keys.insert(key, value);
            }
        }
    }
}

/// The tokens of `added_tokens.json`, in the order of their ids.
fn added_later(folder: &Path, special: &[AddedToken]) -> Result<Vec<AddedToken>, TokenizerError> {
    let path = folder.join("added_tokens.json");
    let mut tokens = Vec::new();
    for (name, id) in read_object(&path)?.unwrap_or_default() {
        let id = id.as_u64().ok_or_else(|| setting(&path, &name, &id, "it must be a token id"))?;
        let is_special = special.iter().any(|token| token.content == name);
        tokens.push((id, AddedToken::from(name, is_special)));
    }
    tokens.sort_by_key(|(id, _)| *id);
    Ok(tokens.into_iter().map(|(_, token)| token).collect())
}

/// The keys of a configuration, each read with its type checked.
struct Settings<'a> {
    path: &'a Path,
    keys: &'a Map<String, Value>,
}

impl<'a> Settings<'a> {
    fn value(&self, key: &str) -> Option<&'a Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    fn refused(&self, key: &str, valid: &str) -> TokenizerError {
        setting(self.path, key, self.keys.get(key).unwrap_or(&Value::Null), valid)
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, TokenizerError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.refused(key, "it must be true or false")),
        }
    }

    fn side(&self, key: &str) -> Result<Option<Side>, TokenizerError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(side)) if side == "left" => Ok(Some(Side::Left)),
            Some(Value::String(side)) if side == "right" => Ok(Some(Side::Right)),
            Some(_) => Err(self.refused(key, "it must be \"left\" or \"right\"")),
        }
    }

    fn is_general(&self) -> Result<bool, TokenizerError> {
        match self.value("tokenizer_class").map(Value::as_str) {
            None => Ok(false),
            Some(Some(class)) if BERT_CLASSES.contains(&class) => Ok(false),
            Some(Some(class)) if GENERAL_CLASSES.contains(&class) => Ok(true),
            Some(_) => {
                let known = [BERT_CLASSES, GENERAL_CLASSES].concat().join(", ");
                Err(self
                    .refused("tokenizer_class", &format!("BLIP's is BertTokenizer; supported are {known}")))
            }
        }
    }

    fn names(&self) -> Result<Names, TokenizerError> {
        let name = |key: &str, default: &str| match self.value(key) {
            None => Ok(default.to_owned()),
            Some(_) => self.token(key).map(|token| token.content),
        };
        Ok(Names {
            pad: name("pad_token", "[PAD]")?,
            cls: name("cls_token", "[CLS]")?,
            sep: name("sep_token", "[SEP]")?,
            unknown: name("unk_token", "[UNK]")?,
        })
    }

    /// A token that a key names: its text, or an object with its text and how it is looked for.
    fn token(&self, key: &str) -> Result<AddedToken, TokenizerError> {
        self.value(key).and_then(special_token).ok_or_else(|| self.refused(key, "it must be a token's text"))
    }

    /// The named special tokens, and those that only a model's own keys name (`image_token`).
    fn named_tokens(&self) -> Result<Vec<AddedToken>, TokenizerError> {
        let mut tokens = Vec::new();
        for (key, default) in SPECIAL_KEYS {
            match (self.keys.get(key), default) {
                (Some(Value::Null), _) | (None, None) => {}
                (Some(_), _) => tokens.push(self.token(key)?),
                (None, Some(default)) => tokens.push(AddedToken::from(default, true)),
            }
        }
        let is_own =
            |key: &str| key.ends_with("_token") && SPECIAL_KEYS.iter().all(|(known, _)| *known != key);
        let own = self.keys.iter().filter(|(key, value)| is_own(key) && value.is_string());
        tokens.extend(own.filter_map(|(_, value)| special_token(value)));
        if let Some(Value::Object(by_name)) = self.value("extra_special_tokens") {
            tokens.extend(by_name.values().filter_map(special_token));
        }
        Ok(tokens)
    }

    fn extra_tokens(&self) -> Result<Vec<AddedToken>, TokenizerError> {
        let key = "extra_special_tokens";
        let tokens = match self.value(key) {
            None | Some(Value::Object(_)) => return Ok(Vec::new()),
            Some(Value::Array(tokens)) => tokens.iter().map(special_token).collect(),
            Some(_) => None,
        };
        tokens.ok_or_else(|| self.refused(key, "it must be a list of tokens"))
    }

    fn added_tokens_decoder(&self) -> Result<Vec<AddedToken>, TokenizerError> {
        let key = "added_tokens_decoder";
        let wrong = || self.refused(key, "it must be a mapping from token ids to tokens");
        let mut tokens = Vec::new();
        for (id, token) in self.keys[key].as_object().ok_or_else(wrong)? {
            let id: u32 = id.parse().map_err(|_| wrong())?;
            tokens.push((id, added_token(token, false).ok_or_else(wrong)?));
        }
        tokens.sort_by_key(|(id, _)| *id);
        Ok(tokens.into_iter().map(|(_, token)| token).collect())
    }
}

fn special_token(value: &Value) -> Option<AddedToken> {
    match value {
        Value::String(name) => Some(AddedToken::from(name, true)),
        object => added_token(object, true),
    }
}

/// A token with its flags; one that is missing is false, and `normalized` is what special tokens are not.
pub fn added_token(value: &Value, is_special: bool) -> Option<AddedToken> {
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let is_special = is_special || flag("special").unwrap_or(false);
    let token = AddedToken::from(value.get("content")?.as_str()?, is_special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false));
    Some(token.normalized(flag("normalized").unwrap_or(!is_special)))
}

fn setting(path: &Path, key: &str, value: &Value, valid: &str) -> TokenizerError {
    TokenizerError::Setting {
        path: path.to_owned(),
        key: key.to_owned(),
        value: value.clone(),
        valid: valid.to_owned(),
    }
}

/// A JSON object; `None` where there is no such file.
pub fn read_object(path: &Path) -> Result<Option<Map<String, Value>>, TokenizerError> {
    let Some(bytes) = read_bounded(path)? else { return Ok(None) };
    let object = serde_json::from_slice(&bytes).map_err(|error| TokenizerError::Unusable {
        path: path.to_owned(),
        reason: format!("not a JSON object: {error}"),
    })?;
    Ok(Some(object))
}

/// The bytes of a regular file of bounded size; `None` where there is none.
pub fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, TokenizerError> {
    let unusable = |reason: String| TokenizerError::Unusable { path: PathBuf::from(path), reason };
    match bounded::read_bytes(path, MAX_FILE_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(format!("cannot be read: {error}"))),
    }
}
