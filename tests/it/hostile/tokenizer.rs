//! Tokenizers that do not fit their model, or were made to break whoever reads them.

use std::fs;

use serde_json::{Value, json};

use super::{Case, Spoil, case, check, own_data};
use crate::workdir::Workdir;

const CAPTION: &str = "caption --model model images/a.png";
const AUDIT: &str = "audit s.yaml";
const FILE: &str = "model/tokenizer.json";
const SETTINGS: &str = "model/tokenizer_config.json";

/// The built-in model's tokenizer, changed.
fn edited(workdir: &Workdir, edit: impl FnOnce(&mut Value)) {
    let path = workdir.path().join(FILE);
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut tokenizer);
    workdir.bytes(FILE, tokenizer.to_string().as_bytes());
}

/// The same, in a folder whose tokenizer is taken as its file has it, and not made from the vocabulary alone.
fn general(workdir: &Workdir, edit: impl FnOnce(&mut Value)) {
    workdir.bytes(SETTINGS, br#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#);
    edited(workdir, edit);
}

/// A vocabulary without a token.
fn without(workdir: &Workdir, token: &str) {
    edited(workdir, |file| {
        file["model"]["vocab"].as_object_mut().unwrap().remove(token);
        if let Some(added) = file["added_tokens"].as_array_mut() {
            added.retain(|entry| entry["content"] != token);
        }
    });
    workdir.bytes(SETTINGS, b"{}");
}

const CASES: &[Case] = &[
    case("no tokenizer", CAPTION, |dir| dir.remove(FILE)),
    case("empty", CAPTION, |dir| dir.bytes(FILE, b"")),
    case("a list", CAPTION, |dir| dir.bytes(FILE, b"[]")),
    case("an empty mapping", CAPTION, |dir| dir.bytes(FILE, b"{}")),
    case("not UTF-8", CAPTION, |dir| dir.bytes(FILE, b"{\"model\": \"\xff\"}")),
    case("ten thousand lists in each other", CAPTION, |dir| dir.bytes(FILE, "[".repeat(10_000).as_bytes())),
    case("a gigabyte", CAPTION, |dir| dir.hollow(FILE, 1 << 30)),
    case("millions of short values", AUDIT, |dir| {
        dir.bytes(FILE, format!("{{\"x\": [{}0]}}", "0,".repeat(8_000_000)).as_bytes());
    }),
    case("a folder", AUDIT, |dir| dir.folder(FILE)),
    case("a pipe", AUDIT, |dir| dir.pipe(FILE)),
    case("a device without end", AUDIT, |dir| dir.link(FILE, "/dev/zero")),
    case("a link to itself", CAPTION, |dir| dir.link(FILE, "tokenizer.json")),
    case("a vocabulary that is a list", CAPTION, |dir| {
        edited(dir, |file| file["model"]["vocab"] = json!([]))
    }),
    case("an id that is a text", CAPTION, |dir| edited(dir, |file| file["model"]["vocab"]["x"] = json!("7"))),
    case("an id below zero", CAPTION, |dir| edited(dir, |file| file["model"]["vocab"]["x"] = json!(-1))),
    case("an id of four thousand million", CAPTION, |dir| {
        edited(dir, |file| file["model"]["vocab"]["x"] = json!(u32::MAX));
    }),
    case("more tokens than the model has embeddings", CAPTION, |dir| {
        edited(dir, |file| file["model"]["vocab"]["x"] = json!(5000));
    }),
    case("more tokens than the model has embeddings, in an audit", AUDIT, |dir| {
        edited(dir, |file| file["model"]["vocab"]["x"] = json!(5000));
    }),
    case("without [CLS]", CAPTION, |dir| without(dir, "[CLS]")),
    case("without [SEP]", CAPTION, |dir| without(dir, "[SEP]")),
    case("without [PAD]", CAPTION, |dir| without(dir, "[PAD]")),
    case("without [UNK]", CAPTION, |dir| without(dir, "[UNK]")),
    case("[SEP] is another token than the model's", CAPTION, |dir| {
        edited(dir, |file| {
            let vocabulary = file["model"]["vocab"].as_object_mut().unwrap();
            let (end, begin) = (vocabulary["[SEP]"].clone(), vocabulary["[CLS]"].clone());
            vocabulary.insert("[SEP]".to_owned(), begin);
            vocabulary.insert("[CLS]".to_owned(), end);
            file["added_tokens"] = json!([]);
        });
        dir.bytes(SETTINGS, b"{}");
    }),
    case("settings that are a list", CAPTION, |dir| dir.bytes(SETTINGS, b"[]")),
    case("a setting of another type", CAPTION, |dir| dir.bytes(SETTINGS, br#"{"do_lower_case": "yes"}"#)),
    case("an unknown class", CAPTION, |dir| dir.bytes(SETTINGS, br#"{"tokenizer_class": "LlamaTokenizer"}"#)),
    case("padding on the left", CAPTION, |dir| dir.bytes(SETTINGS, br#"{"padding_side": "left"}"#)),
    case("settings that are a pipe", AUDIT, |dir| dir.pipe(SETTINGS)),
    case("a vocabulary of Latin letters", CAPTION, |dir| {
        dir.remove(FILE);
        dir.bytes("model/vocab.txt", b"[PAD]\ncaf\xe9\n");
    }),
    case("an empty vocabulary", CAPTION, |dir| {
        dir.remove(FILE);
        dir.bytes("model/vocab.txt", b"");
    }),
    // The cases of huggingface/tokenizers, pull request 2151: files on which that crate panics.
    case("a stride beyond the length that captions are cut to, which has no say", AUDIT, |dir| {
        general(dir, |file| {
            file["truncation"] =
                json!({"max_length": 2, "stride": 2, "strategy": "LongestFirst", "direction": "Right"});
        });
    }),
    case("a template with a special token that it lacks", CAPTION, |dir| {
        general(dir, |file| {
            file["post_processor"] = json!({
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[GONE]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {},
            });
        });
    }),
    case("pieces that merge into one longer than any", CAPTION, |dir| {
        general(dir, |file| {
            file["model"] = json!({
                "type": "BPE", "vocab": {"aa": 0, "bb": 1}, "merges": [["aa", "bb"]], "unk_token": null,
                "dropout": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
                "byte_fallback": false,
            });
        });
    }),
    case("a decoder that strips more than there is", CAPTION, |dir| {
        general(dir, |file| {
            file["decoder"] = json!({"type": "Strip", "content": "a", "start": 1_000_000, "stop": 1_000_000});
        });
    }),
    case("pieces of no length", CAPTION, |dir| {
        general(dir, |file| file["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}));
    }),
    case("a table of characters that is none", CAPTION, |dir| {
        general(dir, |file| {
            file["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"});
        });
    }),
    case("an expression that never ends", CAPTION, |dir| {
        general(dir, |file| {
            file["normalizer"] =
                json!({"type": "Replace", "pattern": {"Regex": "((a|e| )*)*(?=x)y"}, "content": "b"});
        });
    }),
    case("a text that grows without end", CAPTION, |dir| {
        general(dir, |file| {
            let tenfold = json!({"type": "Replace", "pattern": {"String": "e"}, "content": "e".repeat(1000)});
            file["normalizer"] =
                json!({"type": "Sequence", "normalizers": [tenfold, tenfold, tenfold, tenfold]});
        });
    }),
];

#[test]
fn a_tokenizer_that_is_wrong_costs_one_message_with_file_and_key() {
    check("tokenizers", CASES, own_data);
}
