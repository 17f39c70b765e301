//! Tests of `tokenizer.rs` and of the files that it reads.

use std::fs;

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
        ("/truncation", json!({"direction": "Left", "max_length": 0, "strategy": "OnlySecond", "stride": 9})),
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
        ("/decoder", json!({"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": true})),
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
