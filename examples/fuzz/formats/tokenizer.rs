//! Tokenizers: BERT's files, and every kind of part that `tokenizer.json` can be put together from.

use std::path::Path;

use serde_json::{Value, json};
use sweep::data::CaptionTokenizer;
use sweep::data::tokenizer::TokenizerError;
use sweep::random::Random;

use super::bytes::{damage, one_in};
use super::json::{Json, hostile_text};
use super::{Input, Reached};

const BERT: &str = include_str!("../../../tests/fixtures/processor/tokenizer/tokenizer.json");
const CONFIG: &str = include_str!("../../../tests/fixtures/processor/tokenizer/tokenizer_config.json");

pub fn make(random: &mut Random) -> Input {
    let mut input = Input { files: Vec::new(), choice: random.bits() };
    let is_general = !one_in(random, 3);
    let mut config = Json::parsed(CONFIG);
    if is_general {
        *config.get("tokenizer_class").expect("the corpus has it") =
            Json::Text("PreTrainedTokenizerFast".to_owned());
    }
    if one_in(random, 4) {
        add_settings(&mut config, random);
    }
    if one_in(random, 8) {
        config.mutate(random);
    }
    if !one_in(random, 10) {
        input.files.push(("tokenizer_config.json", config.bytes(random)));
    }
    if one_in(random, 10) && !is_general {
        input.files.push(("vocab.txt", vocabulary(random)));
        return input;
    }
    let mut tokenizer = if is_general && one_in(random, 2) { general(random) } else { Json::parsed(BERT) };
    if one_in(random, 2) {
        tokenizer.mutate(random);
    }
    input.files.push(("tokenizer.json", tokenizer.bytes(random)));
    for name in ["special_tokens_map.json", "added_tokens.json"] {
        if one_in(random, 12) {
            let map =
                json!({"pad_token": "[PAD]", "cls_token": {"content": "[CLS]", "special": true}, "x": 3});
            let mut map =
                Json::from(if name == "added_tokens.json" { json!({"[X]": 5, "[Y]": 99}) } else { map });
            map.mutate(random);
            input.files.push((name, map.bytes(random)));
        }
    }
    input
}

fn add_settings(config: &mut Json, random: &mut Random) {
    let settings = [
        ("do_lower_case", json!(false)),
        ("truncation_side", json!("left")),
        ("padding_side", json!("left")),
        ("clean_up_tokenization_spaces", json!(true)),
        ("split_special_tokens", json!(true)),
        ("image_token", json!("a")),
        ("extra_special_tokens", json!(["a", {"content": "", "lstrip": true}])),
        ("additional_special_tokens", json!(["[A]", "[PAD]"])),
        (
            "added_tokens_decoder",
            json!({"0": {"content": "[PAD]"}, "4294967295": {"content": "[Z]", "special": true}}),
        ),
    ];
    let Json::Object(entries) = config else { return };
    for (key, value) in random.pick(&[&settings[..], &settings[3..6], &settings[6..]]).iter() {
        if one_in(random, 2) {
            entries.push(((*key).to_owned(), value.into()));
        }
    }
}

fn vocabulary(random: &mut Random) -> Vec<u8> {
    let mut pieces: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "red"].map(String::from).into();
    for _ in 0..random.below(4) {
        let place = random.below(pieces.len());
        match random.below(3) {
            0 => drop(pieces.remove(place)),
            1 => pieces.push(pieces[place].clone()),
            _ => pieces.insert(place, hostile_text(random)),
        }
    }
    let mut bytes = pieces.join("\n").into_bytes();
    if one_in(random, 4) {
        damage(&mut bytes, random);
    }
    bytes
}

/// A tokenizer of BERT's parts with settings of any kind, or of any parts.
fn general(random: &mut Random) -> Json {
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].iter().enumerate();
    let added = tokens.map(|(id, content)| {
        json!({"id": id, "content": content, "special": true, "single_word": false,
        "lstrip": false, "rstrip": false, "normalized": false})
    });
    let mut added: Vec<Value> = added.collect();
    if one_in(random, 8) {
        let content = hostile_text(random);
        added.push(json!({"id": *random.pick(&[0u64, 5, 999, 4_294_967_295]), "content": content, "special": false,
            "single_word": one_in(random, 2), "lstrip": true, "rstrip": true, "normalized": one_in(random, 2)}));
    }
    let none = |value: Value, random: &mut Random| if one_in(random, 4) { Value::Null } else { value };
    let has_any_parts = one_in(random, 4);
    let (normalizer, pre_tokenizer, decoder) = if has_any_parts {
        let normalizer = several("normalizers", normalizer, random);
        let pre_tokenizer = several("pretokenizers", pre_tokenizer, random);
        (normalizer, pre_tokenizer, several("decoders", decoder, random))
    } else {
        (bert_normalizer(random), json!({"type": "BertPreTokenizer"}), word_piece_decoder(random))
    };
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": random.below(9)},
        "padding": {"strategy": {"Fixed": 7}, "direction": "Right", "pad_to_multiple_of": 0, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": added,
        "normalizer": none(normalizer, random),
        "pre_tokenizer": none(pre_tokenizer, random),
        "post_processor": post_processor(random),
        "decoder": none(decoder, random),
        "model": model(if has_any_parts { random.below(4) } else { 0 }, random),
    })
    .into()
}

/// One part, a sequence of them, or sequences in sequences.
fn several(key: &str, part: fn(&mut Random) -> Value, random: &mut Random) -> Value {
    if one_in(random, 2) {
        return part(random);
    }
    let parts: Vec<Value> = (0..random.below(5)).map(|_| part(random)).collect();
    let mut sequence = json!({"type": "Sequence", key: parts});
    if one_in(random, 30) {
        for _ in 0..*random.pick(&[3, 10, 30, 50]) {
            sequence = json!({"type": "Sequence", key: [sequence]});
        }
    }
    sequence
}

fn small(random: &mut Random) -> u64 {
    *random.pick(&[0, 0, 1, 1, 2, 3, 100, 1000, u64::MAX])
}

fn pattern(random: &mut Random) -> Value {
    const REGEXES: [&str; 9] = ["a", "", "\\s+", "(a+)+$", "(?=x)", "[^a]", "\\b", "(", "(?:a{1000}){1000}"];
    if one_in(random, 2) { json!({"String": text(random)}) } else { json!({"Regex": random.pick(&REGEXES)}) }
}

fn text(random: &mut Random) -> String {
    if one_in(random, 4) {
        hostile_text(random)
    } else {
        (*random.pick(&["a", " ", "##", "▁", "", "aa", "Ġ"])).to_owned()
    }
}

fn normalizer(random: &mut Random) -> Value {
    match random.below(11) {
        0 => {
            json!({"type": *random.pick(&["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"])})
        }
        1 => {
            json!({"type": "Precompiled", "precompiled_charsmap": random.pick(&["", "AAAA", "!", "/////wAAAAA=", "BAAAAAAAAAA="])})
        }
        2 => json!({"type": "Prepend", "prepend": text(random)}),
        3 => json!({"type": "Strip", "strip_left": true, "strip_right": one_in(random, 2)}),
        4..=7 => json!({"type": "Replace", "pattern": pattern(random), "content": text(random)}),
        _ => bert_normalizer(random),
    }
}

fn bert_normalizer(random: &mut Random) -> Value {
    json!({"type": "BertNormalizer", "clean_text": one_in(random, 2), "handle_chinese_chars": one_in(random, 2),
        "strip_accents": random.pick(&[json!(null), json!(true), json!(false)]), "lowercase": one_in(random, 2)})
}

fn word_piece_decoder(random: &mut Random) -> Value {
    json!({"type": "WordPiece", "prefix": text(random), "cleanup": one_in(random, 2)})
}

fn pre_tokenizer(random: &mut Random) -> Value {
    const BEHAVIORS: [&str; 5] =
        ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];
    match random.below(10) {
        0 => json!({"type": "Whitespace"}),
        1 => json!({"type": "WhitespaceSplit"}),
        2 => {
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": one_in(random, 2)})
        }
        3 => {
            json!({"type": "Metaspace", "replacement": random.pick(&["▁", "a", "", "ab"]), "prepend_scheme": "always",
            "split": one_in(random, 2)})
        }
        4 => json!({"type": "Split", "pattern": pattern(random), "behavior": random.pick(&BEHAVIORS),
            "invert": one_in(random, 2)}),
        5 => json!({"type": "Punctuation", "behavior": random.pick(&BEHAVIORS)}),
        6 => json!({"type": "Digits", "individual_digits": one_in(random, 2)}),
        7 => json!({"type": "FixedLength", "length": small(random)}),
        8 => json!({"type": "CharDelimiterSplit", "delimiter": "a"}),
        _ => json!({"type": *random.pick(&["BertPreTokenizer", "UnicodeScripts"])}),
    }
}

fn post_processor(random: &mut Random) -> Value {
    let bert = json!({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]});
    let special = |id: &str, number: u64| json!({"id": id, "ids": [number], "tokens": [id]});
    match random.below(6) {
        0 => json!({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": random.pick(&["[SEP]", "[SEP]", "[GONE]", ""]), "type_id": 0}}],
            "pair": [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": special("[CLS]", 2), "[SEP]": special("[SEP]", 3)}}),
        1 => {
            json!({"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2], "trim_offsets": true,
            "add_prefix_space": one_in(random, 2)})
        }
        2 => json!({"type": "Sequence", "processors": [bert, {"type": "ByteLevel", "add_prefix_space": true,
            "trim_offsets": true, "use_regex": true}]}),
        _ => bert,
    }
}

fn decoder(random: &mut Random) -> Value {
    match random.below(10) {
        0 => word_piece_decoder(random),
        1 => json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        2 => json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}),
        3 => json!({"type": "BPEDecoder", "suffix": text(random)}),
        4 => {
            json!({"type": "CTC", "pad_token": "[PAD]", "word_delimiter_token": text(random), "cleanup": true})
        }
        5..=7 => {
            json!({"type": "Strip", "content": random.pick(&["a", " ", "[", "ab", ""]), "start": small(random),
            "stop": small(random)})
        }
        8 => json!({"type": "Replace", "pattern": pattern(random), "content": text(random)}),
        _ => json!({"type": *random.pick(&["Fuse", "ByteFallback"])}),
    }
}

fn model(kind: usize, random: &mut Random) -> Value {
    const PIECES: [&str; 14] =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "r", "e", "d", "##b", "re", "red", "▁a"];
    let mut vocabulary: serde_json::Map<String, Value> =
        PIECES.iter().enumerate().map(|(id, piece)| ((*piece).to_owned(), json!(id))).collect();
    if one_in(random, 6) {
        vocabulary.insert(hostile_text(random), json!(*random.pick(&[0u64, 14, 4_294_967_295])));
    }
    if one_in(random, 10) {
        vocabulary.remove(*random.pick(&PIECES));
    }
    match kind {
        0 => {
            json!({"type": "WordPiece", "unk_token": random.pick(&["[UNK]", "gone"]), "continuing_subword_prefix": text(random),
            "max_input_chars_per_word": small(random), "vocab": vocabulary})
        }
        1 => json!({"type": "WordLevel", "vocab": vocabulary, "unk_token": random.pick(&["[UNK]", "gone"])}),
        2 => {
            let merges = random
                .pick(&[
                    json!(["r e", "re d"]),
                    json!([["r", "e"], ["re", "d"]]),
                    json!([]),
                    json!(["re red"]),
                    json!([["red", "red"]]),
                    json!(["a b", "[MASK] [MASK]"]),
                ])
                .clone();
            json!({"type": "BPE", "dropout": null, "unk_token": random.pick(&[json!("[UNK]"), json!(null), json!("gone")]),
                "continuing_subword_prefix": random.pick(&[json!(null), json!("##"), json!("#############")]),
                "end_of_word_suffix": random.pick(&[json!(null), json!("</w>")]), "fuse_unk": one_in(random, 2),
                "byte_fallback": one_in(random, 2), "ignore_merges": one_in(random, 2), "vocab": vocabulary, "merges": merges})
        }
        _ => {
            let scores = [json!(0.0), json!(-1.5), json!(1e308), json!(-1e308)];
            let vocabulary: Vec<Value> =
                PIECES.iter().map(|piece| json!([piece, random.pick(&scores)])).collect();
            let vocabulary = if one_in(random, 10) { Vec::new() } else { vocabulary };
            json!({"type": "Unigram", "unk_id": random.pick(&[json!(1), json!(null), json!(14), json!(99)]),
                "vocab": vocabulary, "byte_fallback": one_in(random, 2)})
        }
    }
}

pub fn feed(folder: &Path, input: &Input) -> Reached {
    let tokenizer = match CaptionTokenizer::load(folder) {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            let message = error.to_string();
            // The header is that the files are JSON objects, and text.
            let is_no_json = matches!(error, TokenizerError::Missing(_))
                || message.contains("not a JSON object")
                || message.contains("utf-8");
            return if is_no_json { Reached::Header } else { Reached::Body };
        }
    };
    let mut random = Random::new(input.choice, "text", &[]);
    let long = "a red b ".repeat(200) + &"ab".repeat(300);
    for caption in ["", "a red ball, isn't it?", &hostile_text(&mut random), &long] {
        if let Ok(ids) = tokenizer.encode(caption, random.below(40)) {
            let _ = tokenizer.decode(&ids).map_err(|error| error.to_string());
        }
    }
    let ids: Vec<u32> = (0..random.below(30)).map(|_| random.bits() as u32 % 140).collect();
    let _ = tokenizer.decode(&ids).map_err(|error| error.to_string());
    let _ = tokenizer.decode(&[u32::MAX, 0]).map_err(|error| error.to_string());
    let _ = tokenizer.token(random.bits() as u32);
    Reached::Accepted
}
