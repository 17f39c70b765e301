//! Captions to token ids and back, as transformers' `BertTokenizer` does it for BLIP.
//!
//! [`CaptionTokenizer`] wraps the `tokenizers` crate around a model folder's `tokenizer.json`. Special tokens
//! are found by name and put around a caption here, so that truncation and padding settings which a saved
//! file may carry have no say. The crate can panic on crafted files; every call into it is contained.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tokenizers::{AddedToken, Tokenizer};

/// Largest `tokenizer.json` that is read, in bytes. BERT's has 0.7 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Names that transformers' `BertTokenizer` treats as special, so that decoding leaves them out.
const SPECIAL_NAMES: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Why a tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error(
        "{}: no such file\nhint: a folder with only vocab.txt gets one from \
         `BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)`",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("{}: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("{}: the token {name} is missing; BLIP needs [PAD], [CLS] and [SEP]", path.display())]
    SpecialToken { path: PathBuf, name: &'static str },
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
    /// Reads `tokenizer.json` of a model folder, and from `tokenizer_config.json` whether decoding cleans up.
    pub fn load(folder: &Path) -> Result<Self, TokenizerError> {
        let path = folder.join("tokenizer.json");
        let bytes = read_bounded(&path)?;
        let unusable = |reason: String| TokenizerError::Unusable { path: path.clone(), reason };
        let mut tokenizer = contained(|| prepare(&bytes)).map_err(unusable)?;
        let id = |name: &'static str| {
            tokenizer.token_to_id(name).ok_or(TokenizerError::SpecialToken { path: path.clone(), name })
        };
        let (pad, cls, sep) = (id("[PAD]")?, id("[CLS]")?, id("[SEP]")?);
        let unknown = tokenizer.token_to_id("[UNK]");
        contained(|| mark_special(&mut tokenizer)).map_err(unusable)?;
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        let loaded = Self {
            tokenizer,
            joins_contractions: reads_clean_up(&folder.join("tokenizer_config.json")),
            path,
            pad,
            cls,
            sep,
            unknown,
            vocabulary_size: largest as usize + 1,
        };
        // A file without an unknown token fails only on the first word that needs it: better now.
        loaded.encode("a red \u{2603}\u{10ffff} z\u{e9}bra-9 don't.", 60)?;
        Ok(loaded)
    }

    /// `[CLS]`, the caption's word pieces, `[SEP]`: at most `max_length` ids, of which the last is always
    /// `[SEP]`. Word pieces beyond that are cut off on the right. A `max_length` below 2 counts as 2.
    pub fn encode(&self, caption: &str, max_length: usize) -> Result<Vec<u32>, TokenizerError> {
        let encoding = contained(|| self.tokenizer.encode_fast(caption, false).map_err(in_words));
        let encoding = encoding.map_err(|reason| TokenizerError::Caption {
            path: self.path.clone(),
            caption: caption.chars().take(80).collect(),
            reason,
        })?;
        let pieces = encoding.get_ids();
        let kept = pieces.len().min(max_length.saturating_sub(2));
        let mut ids = Vec::with_capacity(kept + 2);
        ids.push(self.cls);
        ids.extend(pieces.iter().take(kept));
        ids.push(self.sep);
        Ok(ids)
    }

    /// The text of token ids. Special tokens are left out, and so are ids beyond the vocabulary (`[DEC]`
    /// among them, which only the model knows). Spaces before punctuation go; those around hyphens stay, as
    /// in transformers.
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

fn read_bounded(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    let unusable = |reason: String| TokenizerError::Unusable { path: path.to_owned(), reason };
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => TokenizerError::Missing(path.to_owned()),
        _ => unusable(error.to_string()),
    })?;
    let length = metadata.len();
    if !metadata.is_file() || length > MAX_FILE_BYTES {
        let reason = format!("not a regular file of at most {MAX_FILE_BYTES} bytes");
        return Err(unusable(reason));
    }
    fs::read(path).map_err(|error| unusable(error.to_string()))
}

fn prepare(bytes: &[u8]) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(in_words)?;
    tokenizer.with_truncation(None).map_err(in_words)?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

/// Makes the tokens special that `BertTokenizer` treats so, where the vocabulary has them and the file does
/// not say it.
fn mark_special(tokenizer: &mut Tokenizer) -> Result<(), String> {
    let known = SPECIAL_NAMES.into_iter().filter(|name| tokenizer.token_to_id(name).is_some());
    let tokens: Vec<AddedToken> = known.map(|name| AddedToken::from(name, true)).collect();
    tokenizer.add_special_tokens(tokens).map_err(in_words)?;
    Ok(())
}

/// `clean_up_tokenization_spaces` of `tokenizer_config.json`; false where the file does not say, as in
/// transformers.
fn reads_clean_up(path: &Path) -> bool {
    let settings =
        read_bounded(path).ok().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    settings
        .as_ref()
        .and_then(|settings| settings.get("clean_up_tokenization_spaces")?.as_bool())
        .unwrap_or(false)
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

fn in_words(error: tokenizers::Error) -> String {
    error.to_string()
}

/// Runs code of the tokenizer; a panic in it is an error of its file.
fn contained<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err("not a tokenizer that this program can run".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/processor")
    }

    fn small() -> CaptionTokenizer {
        CaptionTokenizer::load(&fixtures().join("tokenizer")).unwrap()
    }

    /// Cases written by `tests/reference/processor.py` with transformers.
    fn compare_with_transformers(tokenizer: &CaptionTokenizer, cases: &str) {
        let cases = fs::read(fixtures().join(cases)).unwrap();
        let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
        assert!(cases.len() > 50);
        let ids = |case: &Value, key: &str| -> Vec<u32> {
            let ids = case[key].as_array().unwrap().iter();
            ids.map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
        };
        for case in &cases {
            let caption = case["caption"].as_str().unwrap();
            let max_length = usize::try_from(case["max_length"].as_u64().unwrap()).unwrap();
            assert_eq!(tokenizer.encode(caption, max_length).unwrap(), ids(case, "ids"), "{case}");
            assert_eq!(tokenizer.decode(&ids(case, "said")).unwrap(), case["decoded"], "{case}");
        }
    }

    #[test]
    fn ids_and_texts_equal_transformers_whatever_truncation_the_file_carries() {
        compare_with_transformers(&small(), "tokens_small.json");
    }

    #[test]
    fn ids_and_texts_of_the_hub_tokenizer_equal_transformers() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/blip-base");
        if !folder.exists() {
            eprintln!("skipped: {} is not there", folder.display());
            return;
        }
        let tokenizer = CaptionTokenizer::load(&folder).unwrap();
        assert_eq!((tokenizer.pad, tokenizer.cls, tokenizer.sep), (0, 101, 102));
        assert_eq!((tokenizer.unknown, tokenizer.vocabulary_size), (Some(100), 30_522));
        compare_with_transformers(&tokenizer, "tokens_blip_base.json");
    }

    #[test]
    fn truncation_keeps_the_end_token_last() {
        let tokenizer = small();
        let whole = tokenizer.encode("the shirt is cotton", 60).unwrap();
        assert!(whole.len() > 4);
        let cut = tokenizer.encode("the shirt is cotton", 4).unwrap();
        assert_eq!(cut, [tokenizer.cls, whole[1], whole[2], tokenizer.sep]);
        assert_eq!(tokenizer.encode("the", 0).unwrap(), [tokenizer.cls, tokenizer.sep]);
    }

    #[test]
    fn ids_beyond_the_vocabulary_are_left_out_of_the_text() {
        let tokenizer = small();
        let the = tokenizer.encode("the", 60).unwrap()[1];
        let beyond = u32::try_from(tokenizer.vocabulary_size).unwrap();
        assert_eq!(tokenizer.decode(&[beyond, the, u32::MAX]).unwrap(), "the");
        assert_eq!(tokenizer.token(the).as_deref(), Some("the"));
        assert_eq!(tokenizer.token(beyond), None);
    }

    fn load_changed(change: impl FnOnce(&mut Value), config: Value) -> Result<CaptionTokenizer, String> {
        let original = fs::read(fixtures().join("tokenizer/tokenizer.json")).unwrap();
        let mut file: Value = serde_json::from_slice(&original).unwrap();
        change(&mut file);
        load_text(&file.to_string(), config)
    }

    fn load_text(text: &str, config: Value) -> Result<CaptionTokenizer, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tokenizer.json"), text).unwrap();
        fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        let place = folder.path().display().to_string();
        CaptionTokenizer::load(folder.path()).map_err(|error| error.to_string().replace(&place, "DIR"))
    }

    #[test]
    fn tokens_that_the_file_does_not_call_special_are_special_all_the_same() {
        let tokenizer = load_changed(|file| file["added_tokens"] = json!([]), json!({})).unwrap();
        let ids = tokenizer.encode("the shirt", 60).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), "the shirt");
    }

    #[test]
    fn contractions_are_joined_where_the_configuration_says_so() {
        let config = json!({"clean_up_tokenization_spaces": true});
        let joining = load_changed(|_| {}, config).unwrap();
        let ids = joining.encode("the woman ' s shirt is n't it", 60).unwrap();
        assert_eq!(joining.decode(&ids).unwrap(), "the woman's shirt isn't it");
        assert_eq!(small().decode(&ids).unwrap(), "the woman ' s shirt is n ' t it");
    }

    #[test]
    fn a_missing_special_token_is_named() {
        for name in ["[PAD]", "[CLS]", "[SEP]"] {
            let without = |file: &mut Value| {
                file["added_tokens"] = json!([]);
                file["post_processor"] = Value::Null;
                file["model"]["vocab"].as_object_mut().unwrap().remove(name);
            };
            let message = load_changed(without, json!({})).err().unwrap();
            assert!(
                message.starts_with(&format!("DIR/tokenizer.json: the token {name} is missing")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_vocabulary_without_unknown_token_is_refused_when_it_is_loaded() {
        let without = |file: &mut Value| {
            file["added_tokens"] = json!([]);
            file["model"]["vocab"].as_object_mut().unwrap().remove("[UNK]");
        };
        let message = load_changed(without, json!({})).err().unwrap();
        assert!(message.starts_with("DIR/tokenizer.json: fails on the caption "), "{message}");
    }

    #[test]
    fn files_that_are_no_tokenizer_are_refused_by_name_and_without_panic() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let texts = [
            "",
            "{}",
            "[]",
            "null",
            "\u{0}",
            r#"{"version": "1.0"}"#,
            r#"{"version": "9.0", "model": {}}"#,
            &deep,
        ];
        for text in texts {
            let message = load_text(text, json!({})).err().unwrap();
            assert!(message.starts_with("DIR/tokenizer.json: "), "{message}");
        }
        let folder = tempfile::tempdir().unwrap();
        let message = CaptionTokenizer::load(folder.path()).err().unwrap().to_string();
        assert!(message.contains("tokenizer.json: no such file\nhint: "), "{message}");
    }

    #[test]
    fn crafted_files_give_an_error_or_a_working_tokenizer_but_no_panic() {
        let special = |id: Value| {
            json!([{"id": id, "content": "[PAD]", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true}])
        };
        let changes: Vec<(&str, Value)> = vec![
            ("/added_tokens", special(json!(4_294_967_295u32))),
            ("/added_tokens", special(json!(-1))),
            ("/added_tokens", special(json!(77))),
            (
                "/padding",
                json!({"strategy": {"Fixed": 1u64 << 60}, "direction": "Right", "pad_to_multiple_of": 0,
                "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}),
            ),
            (
                "/truncation",
                json!({"direction": "Left", "max_length": 0, "strategy": "OnlySecond", "stride": 9}),
            ),
            (
                "/post_processor",
                json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "no", "type_id": 0}}],
                "pair": [], "special_tokens": {}}),
            ),
            ("/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"})),
            ("/normalizer", json!({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})),
            (
                "/pre_tokenizer",
                json!({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false}),
            ),
            (
                "/decoder",
                json!({"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": true}),
            ),
            ("/model", json!({"type": "Unigram", "unk_id": 9, "vocab": [["a", 0.0]], "byte_fallback": true})),
            ("/model", json!({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]})),
            ("/model/vocab", json!({"[PAD]": 0, "[CLS]": 0, "[SEP]": 0, "[UNK]": 0})),
            ("/model/vocab", json!({"[PAD]": 1u64 << 40})),
            ("/model/max_input_chars_per_word", json!(0)),
            ("/model/continuing_subword_prefix", json!("")),
        ];
        for (place, value) in changes {
            let loaded = load_changed(|file| *file.pointer_mut(place).unwrap() = value.clone(), json!({}));
            if let Ok(tokenizer) = loaded {
                let ids = tokenizer.encode("the shirt, \u{e9} aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 60);
                let _ = tokenizer.decode(&ids.unwrap_or_default());
            }
        }
    }
}
