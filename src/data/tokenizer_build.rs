//! Builds a tokenizer from a vocabulary and its configuration, as transformers 5 does.
//!
//! For BERT's class transformers takes nothing from `tokenizer.json` but the vocabulary and the added
//! tokens: lower-casing, accents and the rest follow `tokenizer_config.json`, whatever the file says.
//! (Files that transformers wrote agree with it.) So a folder that has only `vocab.txt` needs nothing
//! more.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::{AddedToken, Tokenizer};

use super::tokenizer::{TokenizerError, contained, in_words};
use super::tokenizer_config::{Side, TokenizerConfig, added_token, read_bounded, read_object};

/// A tokenizer, and what its file says that the configuration may overrule.
pub struct Built {
    pub tokenizer: Tokenizer,
    /// The file of the vocabulary.
    pub path: PathBuf,
    pub truncation_side: Option<Side>,
    pub padding_side: Option<Side>,
}

/// Builds the tokenizer of a model folder, without the special tokens that only its configuration knows.
pub fn build(folder: &Path, config: &TokenizerConfig) -> Result<Built, TokenizerError> {
    let path = folder.join("tokenizer.json");
    let Some(file) = read_object(&path)? else { return from_vocabulary(folder, config) };
    let side = |group: &str| match file.get(group)?.get("direction")?.as_str()? {
        "Left" => Some(Side::Left),
        _ => Some(Side::Right),
    };
    let (truncation_side, padding_side) = (side("truncation"), side("padding"));
    let unusable = |reason: String| TokenizerError::Unusable { path: path.clone(), reason };
    let tokenizer =
        contained(|| if config.is_general { general(file) } else { bert(file, config) }).map_err(unusable)?;
    Ok(Built { tokenizer, path, truncation_side, padding_side })
}

fn from_vocabulary(folder: &Path, config: &TokenizerConfig) -> Result<Built, TokenizerError> {
    let path = folder.join("vocab.txt");
    let Some(bytes) = read_bounded(&path)?.filter(|_| !config.is_general) else {
        return Err(TokenizerError::Missing(folder.join("tokenizer.json")));
    };
    let tokenizer = contained(|| {
        let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
        // White space at the end of a line is no part of a piece; the later of two equal pieces counts.
        let pieces = text.lines().enumerate().map(|(id, line)| (line.trim_end().to_owned(), json!(id)));
        let added = config.added.clone().unwrap_or_default();
        word_pieces(pieces.collect(), &added, config)
    });
    let tokenizer = tokenizer.map_err(|reason| TokenizerError::Unusable { path: path.clone(), reason })?;
    Ok(Built { tokenizer, path, truncation_side: None, padding_side: None })
}

/// What the parts of BERT's tokenizer are called. Other parts are those of other models, and some can be made to fill
/// the memory or to go on for ever.
const PARTS: [(&str, &[&str]); 5] = [
    ("normalizer", &["BertNormalizer"]),
    ("pre_tokenizer", &["BertPreTokenizer"]),
    ("model", &["WordPiece"]),
    ("post_processor", &["TemplateProcessing", "BertProcessing"]),
    ("decoder", &["WordPiece"]),
];

/// Looking for pieces in a word takes time with the cube of its length; BERT gives up at 100.
const LONGEST_WORD: u64 = 1000;

/// `tokenizer.json` as it is, but for truncation and padding.
fn general(mut file: Map<String, Value>) -> Result<Tokenizer, String> {
    // Older files leave the model's type out.
    if let Some(Value::Object(model)) = file.get_mut("model") {
        model.entry("type").or_insert(json!("WordPiece"));
    }
    for (part, types) in PARTS {
        let Some(given) = file.get(part).filter(|given| !given.is_null()) else { continue };
        let kind = given.get("type").unwrap_or(&Value::Null);
        if !types.iter().any(|known| kind == *known) {
            return Err(format!("`{part}.type` is {kind}; BLIP's is {}", types.join(" or ")));
        }
    }
    let longest = file.get("model").and_then(|model| model.get("max_input_chars_per_word"));
    if let Some(longest) = longest
        && longest.as_u64().is_none_or(|longest| longest > LONGEST_WORD)
    {
        let key = "model.max_input_chars_per_word";
        return Err(format!("`{key}` is {longest}; it must be a whole number up to {LONGEST_WORD}"));
    }
    file.insert("truncation".to_owned(), Value::Null);
    file.insert("padding".to_owned(), Value::Null);
    serde_json::from_value(Value::Object(file)).map_err(|error| error.to_string())
}

/// The vocabulary of `tokenizer.json` in BERT's tokenizer.
fn bert(mut file: Map<String, Value>, config: &TokenizerConfig) -> Result<Tokenizer, String> {
    let Some(Value::Object(vocabulary)) =
        file.get_mut("model").and_then(|model| model.get_mut("vocab")).map(Value::take)
    else {
        return Err("`model.vocab` is not a mapping from pieces to ids, as BERT's word pieces have it".into());
    };
    let is_id = |id: &Value| id.as_u64().is_some_and(|id| u32::try_from(id).is_ok());
    if let Some((piece, id)) = vocabulary.iter().find(|(_, id)| !is_id(id)) {
        return Err(format!(
            "`model.vocab` gives {piece:?} the id {id}; it must be a whole number of at least 0"
        ));
    }
    let mut listed: Vec<(u64, AddedToken)> = Vec::new();
    let entries = file.get("added_tokens").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for entry in entries {
        let id = entry.get("id").and_then(Value::as_u64);
        let token = added_token(entry, false);
        listed.push(id.zip(token).ok_or_else(|| format!("`added_tokens` has {entry}, which is no token"))?);
    }
    listed.sort_by_key(|(id, _)| *id);
    let listed: Vec<AddedToken> = listed.into_iter().map(|(_, token)| token).collect();
    word_pieces(vocabulary, config.added.as_ref().unwrap_or(&listed), config)
}

fn word_pieces(
    vocabulary: Map<String, Value>,
    added: &[AddedToken],
    config: &TokenizerConfig,
) -> Result<Tokenizer, String> {
    let description = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": config.spaces_chinese,
            "strip_accents": config.strip_accents,
            "lowercase": config.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": config.names.unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    });
    let mut tokenizer: Tokenizer = serde_json::from_value(description).map_err(|error| error.to_string())?;
    tokenizer.add_tokens(added.iter().cloned()).map_err(in_words)?;
    Ok(tokenizer)
}

/// Adds the special tokens that are not there yet, and makes those special that a key of the configuration
/// names.
pub fn add_special(tokenizer: &mut Tokenizer, config: &TokenizerConfig) -> Result<(), String> {
    let known = tokenizer.get_added_tokens_decoder();
    // How a token is looked for in text, its own entry says.
    let entry_of = |token: &AddedToken| known.values().find(|entry| entry.content == token.content);
    let named = config.named.iter().map(|token| entry_of(token).unwrap_or(token).clone().special(true));
    let extra = config.extra.iter().filter(|token| entry_of(token).is_none()).cloned();
    tokenizer.add_tokens(named.chain(extra).collect::<Vec<_>>()).map_err(in_words)?;
    tokenizer.set_encode_special_tokens(config.splits_special);
    Ok(())
}
