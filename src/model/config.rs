//! The shape of a BLIP model, from a `config.json` as the hub has it.

use std::path::Path;

use candle_nn::Activation;
use candle_transformers::models::{blip, blip_text};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ops::Precision;
use super::small_decoder;
use crate::record::bounded;

/// Largest file that is read, in bytes; BLIP's has 4.6 kB.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Sizes beyond these are those of no model, and their products would fill the memory. BLIP-large has widths of 1024 and
/// 4096, 24 layers and 30,524 words; vocabularies of many languages have 300,000.
const MAX_WIDTH: usize = 65_536;
const MAX_LAYERS: usize = 1000;
const MAX_SIDE: usize = 4096;
const MAX_VOCABULARY: usize = 300_000;

/// Sizes of both halves, and the tokens that captioning needs.
#[derive(Debug, Clone)]
pub struct Config {
    pub vision: blip::VisionConfig,
    pub text: blip_text::Config,
    pub tokens: SpecialTokens,
    /// Whether the output head is that of the word embeddings.
    pub tied_head: bool,
    /// The largest dropout that the file asks for. Training does not follow it: the recipe says what is dropped.
    pub dropout: f64,
    /// How the model is to compute; no file says it.
    pub precision: Precision,
    /// Whether training computes layers again instead of keeping what they computed; no file says it.
    pub gradient_checkpointing: bool,
    /// The sizes of the small decoder that says the captions, where one has the place of BLIP's.
    pub small_decoder: Option<small_decoder::Sizes>,
}

/// Token ids with a meaning of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct SpecialTokens {
    /// `[DEC]`: generation starts from it.
    #[serde(rename = "bos_token_id")]
    pub start: u32,
    /// `[SEP]`: ends a caption.
    #[serde(rename = "sep_token_id")]
    pub end: u32,
    #[serde(rename = "pad_token_id")]
    pub pad: u32,
}

/// Why a `config.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is not a BLIP configuration: {reason}")]
    Invalid { path: String, reason: String },
}

impl Config {
    /// Reads `config.json` of a model folder.
    pub fn load(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join("config.json");
        let name = path.display().to_string();
        match bounded::read_text(&path, MAX_FILE_BYTES) {
            Ok(text) => Self::parse(&text)
                .and_then(|config| config.check().map(|()| config))
                .map_err(|reason| ConfigError::Invalid { path: name, reason }),
            Err(source) => Err(ConfigError::Read { path: name, source }),
        }
    }

    /// Reads a configuration's JSON. Missing keys take the values that transformers gives them
    /// (`BlipTextConfig` and `BlipVisionConfig`; `encoder_hidden_size` is the vision model's width).
    pub fn parse(text: &str) -> Result<Self, String> {
        let root: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        // What another kind of model says would be read as BLIP's defaults.
        let is_small = root.get("model_type") == Some(&json!(small_decoder::MODEL_TYPE));
        if let Some(kind) = root.get("model_type").filter(|kind| !is_small && **kind != json!("blip")) {
            return Err(format!("`model_type` is {kind}; it must be \"blip\""));
        }
        let part = |name: &str, defaults: Value| -> Result<Value, String> {
            let given = match root.get(name) {
                None | Some(Value::Null) => Map::new(),
                Some(Value::Object(given)) => given.clone(),
                Some(other) => return Err(format!("`{name}` is {other}, not a mapping")),
            };
            let Value::Object(mut filled) = defaults else { unreachable!("defaults are mappings") };
            filled.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
            Ok(Value::Object(filled))
        };
        let mut vision = part("vision_config", vision_defaults())?;
        let mut text = part("text_config", text_defaults())?;
        text["encoder_hidden_size"] = vision["hidden_size"].clone();
        for (name, part) in [("vision_config", &mut vision), ("text_config", &mut text)] {
            check_types(name, part)?;
            part["hidden_act"] = activation(name, &part["hidden_act"])?;
        }
        for key in ["bos_token_id", "sep_token_id", "pad_token_id"] {
            if root.get("text_config").and_then(|given| given.get(key)).is_some_and(Value::is_null) {
                return Err(format!("`text_config.{key}` is null; captions need it"));
            }
        }
        if text["is_decoder"] != json!(true) {
            let given = &text["is_decoder"];
            return Err(format!(
                "`text_config.is_decoder` is {given}; a captioner's text model is a decoder"
            ));
        }
        // transformers ties the head unless both say no.
        let ties =
            |given: Option<&Value>| given.and_then(|given| given.get("tie_word_embeddings")?.as_bool());
        let root_ties = root.get("tie_word_embeddings").and_then(Value::as_bool);
        let tied_head = root_ties.unwrap_or(true) || ties(root.get("text_config")).unwrap_or(true);
        let rates = [
            &text["hidden_dropout_prob"],
            &text["attention_probs_dropout_prob"],
            &vision["attention_dropout"],
        ];
        let dropout = rates.into_iter().filter_map(Value::as_f64).fold(0.0, f64::max);
        let read = |name: &str, error: serde_json::Error| format!("`{name}`: {error}");
        let words: blip_text::Config =
            serde_json::from_value(text.clone()).map_err(|error| read("text_config", error))?;
        let small_decoder = if is_small {
            let given = root.get(small_decoder::KEY).unwrap_or(&Value::Null);
            Some(small_decoder::Sizes::parse(given, words.vocab_size)?)
        } else {
            None
        };
        Ok(Self {
            dropout,
            tokens: serde_json::from_value(text).map_err(|error| read("text_config", error))?,
            vision: serde_json::from_value(vision).map_err(|error| read("vision_config", error))?,
            text: words,
            small_decoder,
            tied_head,
            precision: Precision::default(),
            gradient_checkpointing: false,
        })
    }

    /// Refuses sizes that no model can have.
    pub fn check(&self) -> Result<(), String> {
        let (vision, text, tokens) = (&self.vision, &self.text, &self.tokens);
        for (key, size, most) in [
            ("vision_config.hidden_size", vision.hidden_size, MAX_WIDTH),
            ("vision_config.intermediate_size", vision.intermediate_size, MAX_WIDTH),
            ("vision_config.num_hidden_layers", vision.num_hidden_layers, MAX_LAYERS),
            ("vision_config.image_size", vision.image_size, MAX_SIDE),
            ("text_config.hidden_size", text.hidden_size, MAX_WIDTH),
            ("text_config.intermediate_size", text.intermediate_size, MAX_WIDTH),
            ("text_config.num_hidden_layers", text.num_hidden_layers, MAX_LAYERS),
            ("text_config.max_position_embeddings", text.max_position_embeddings, MAX_WIDTH),
            ("text_config.vocab_size", text.vocab_size, MAX_VOCABULARY),
        ] {
            if !(1..=most).contains(&size) {
                return Err(format!("`{key}` is {size}; it must be a whole number from 1 to {most}"));
            }
        }
        let divides = |part: &str, whole: usize, n: usize, what: &str| match n {
            0 => Err(format!("`{part}` has no {what}")),
            n if !whole.is_multiple_of(n) || whole == 0 => {
                Err(format!("`{part}`: {whole} is not divisible by {n} {what}"))
            }
            _ => Ok(()),
        };
        for (key, epsilon) in [("vision_config", vision.layer_norm_eps), ("text_config", text.layer_norm_eps)]
        {
            // Below zero, roots of variances are no numbers.
            if !(0.0..1.0).contains(&epsilon) {
                return Err(format!(
                    "`{key}.layer_norm_eps` is {epsilon}; it must be a number from 0 to below 1"
                ));
            }
        }
        divides("vision_config", vision.hidden_size, vision.num_attention_heads, "attention heads")?;
        divides("text_config", text.hidden_size, text.num_attention_heads, "attention heads")?;
        // Patches need not cover the image: as in a convolution, pixels that fill no patch are left out.
        if vision.patch_size == 0 || vision.patch_size > vision.image_size {
            return Err(format!(
                "`vision_config.patch_size` is {}; it must be a whole number from 1 to `image_size`, {}",
                vision.patch_size, vision.image_size
            ));
        }
        if tokens.start == tokens.pad {
            // transformers takes such a start for padding and hides it from the words after it.
            return Err(format!(
                "`text_config.bos_token_id` and `pad_token_id` are both {}; the start of a caption is no padding",
                tokens.pad
            ));
        }
        for (name, id) in [("bos", tokens.start), ("sep", tokens.end), ("pad", tokens.pad)] {
            if id as usize >= text.vocab_size {
                return Err(format!(
                    "`text_config.{name}_token_id` is {id}, beyond `vocab_size` {}",
                    text.vocab_size
                ));
            }
        }
        Ok(())
    }

    /// Name and shape of every tensor, tied ones once, sorted by name.
    pub fn tensor_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut shapes = Vec::new();
        let mut add = |name: String, shape: &[usize]| shapes.push((name, shape.to_vec()));
        let (vision, width) = (&self.vision, self.vision.hidden_size);
        let root = "vision_model.embeddings";
        add(format!("{root}.class_embedding"), &[1, 1, width]);
        add(format!("{root}.position_embedding"), &[1, self.image_tokens(), width]);
        add(format!("{root}.patch_embedding.weight"), &[width, 3, vision.patch_size, vision.patch_size]);
        add(format!("{root}.patch_embedding.bias"), &[width]);
        let mut linear = |name: String, outs: usize, ins: usize| {
            add(format!("{name}.weight"), &[outs, ins]);
            add(format!("{name}.bias"), &[outs]);
        };
        let mut norms = vec![("vision_model.post_layernorm".to_owned(), width)];
        for i in 0..vision.num_hidden_layers {
            let layer = format!("vision_model.encoder.layers.{i}");
            linear(format!("{layer}.self_attn.qkv"), 3 * width, width);
            linear(format!("{layer}.self_attn.projection"), width, width);
            linear(format!("{layer}.mlp.fc1"), vision.intermediate_size, width);
            linear(format!("{layer}.mlp.fc2"), width, vision.intermediate_size);
            norms.extend([1, 2].map(|n| (format!("{layer}.layer_norm{n}"), width)));
        }
        if let Some(sizes) = &self.small_decoder {
            for (name, width) in norms {
                add(format!("{name}.weight"), &[width]);
                add(format!("{name}.bias"), &[width]);
            }
            shapes.extend(sizes.tensor_shapes(width));
            shapes.sort();
            return shapes;
        }
        let (text, width) = (&self.text, self.text.hidden_size);
        norms.push(("text_decoder.bert.embeddings.LayerNorm".to_owned(), width));
        for i in 0..text.num_hidden_layers {
            let layer = format!("text_decoder.bert.encoder.layer.{i}");
            for (name, source) in [("attention", width), ("crossattention", text.encoder_hidden_size)] {
                linear(format!("{layer}.{name}.self.query"), width, width);
                linear(format!("{layer}.{name}.self.key"), width, source);
                linear(format!("{layer}.{name}.self.value"), width, source);
                linear(format!("{layer}.{name}.output.dense"), width, width);
                norms.push((format!("{layer}.{name}.output.LayerNorm"), width));
            }
            linear(format!("{layer}.intermediate.dense"), text.intermediate_size, width);
            linear(format!("{layer}.output.dense"), width, text.intermediate_size);
            norms.push((format!("{layer}.output.LayerNorm"), width));
        }
        linear("text_decoder.cls.predictions.transform.dense".to_owned(), width, width);
        norms.push(("text_decoder.cls.predictions.transform.LayerNorm".to_owned(), width));
        for (name, width) in norms {
            add(format!("{name}.weight"), &[width]);
            add(format!("{name}.bias"), &[width]);
        }
        let root = "text_decoder.bert.embeddings";
        add(format!("{root}.word_embeddings.weight"), &[text.vocab_size, width]);
        add(format!("{root}.position_embeddings.weight"), &[text.max_position_embeddings, width]);
        add("text_decoder.cls.predictions.bias".to_owned(), &[text.vocab_size]);
        shapes.sort();
        shapes
    }

    /// Image patches and the class token.
    pub fn image_tokens(&self) -> usize {
        let side = self.vision.image_size / self.vision.patch_size;
        side * side + 1
    }
}

/// Refuses values of another type than the default's, by the key's name.
fn check_types(part: &str, given: &Value) -> Result<(), String> {
    let defaults = if part == "vision_config" { vision_defaults() } else { text_defaults() };
    for (key, default) in defaults.as_object().into_iter().flatten() {
        let value = &given[key];
        let (is_valid, valid) = match default {
            Value::Number(number) if number.is_f64() => (value.is_number(), "a number"),
            Value::Number(_) => (value.as_u64().is_some_and(|n| n <= u32::MAX as u64), "a whole number"),
            Value::Bool(_) => (value.is_boolean(), "`true` or `false`"),
            _ => (value.is_string(), "a text"),
        };
        if !is_valid {
            return Err(format!("`{part}.{key}` is {value}; it must be {valid}"));
        }
    }
    Ok(())
}

/// The activation functions that are known, by the names that transformers gives them.
const ACTIVATIONS: [(&str, Activation); 14] = [
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::NewGelu),
    ("gelu_fast", Activation::NewGelu),
    ("gelu_accurate", Activation::NewGelu),
    ("gelu_pytorch_tanh", Activation::NewGelu),
    ("gelu_python_tanh", Activation::NewGelu),
    ("relu", Activation::Relu),
    ("relu2", Activation::Relu2),
    ("relu6", Activation::Relu6),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("mish", Activation::Mish),
    ("leaky_relu", Activation::LeakyRelu(0.01)),
];

/// An activation's name in transformers as candle writes it.
fn activation(part: &str, name: &Value) -> Result<Value, String> {
    match ACTIVATIONS.iter().find(|(known, _)| name == known) {
        Some((_, activation)) => Ok(json!(activation)),
        None => {
            let known: Vec<String> = ACTIVATIONS.iter().map(|(known, _)| format!("`{known}`")).collect();
            Err(format!("`{part}.hidden_act` is {name}; it must be one of {}", known.join(", ")))
        }
    }
}

fn vision_defaults() -> Value {
    json!({
        "hidden_size": 768, "intermediate_size": 3072, "projection_dim": 512, "num_hidden_layers": 12,
        "num_attention_heads": 12, "image_size": 384, "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-5,
    })
}

fn text_defaults() -> Value {
    json!({
        "vocab_size": 30524, "hidden_size": 768, "intermediate_size": 3072, "projection_dim": 768,
        "num_hidden_layers": 12, "num_attention_heads": 8, "max_position_embeddings": 512, "hidden_act": "gelu",
        "layer_norm_eps": 1e-12, "is_decoder": true, "bos_token_id": 30522, "sep_token_id": 102, "pad_token_id": 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_keys_are_filled_as_transformers_does() {
        let config =
            Config::parse(r#"{"vision_config": {"hidden_size": 1024, "num_attention_heads": 16}}"#).unwrap();
        assert_eq!(config.text.num_attention_heads, 8);
        assert_eq!(config.text.encoder_hidden_size, 1024);
        assert_eq!(config.vision.image_size, 384);
        assert_eq!(config.image_tokens(), 577);
        assert_eq!(config.tokens, SpecialTokens { start: 30522, end: 102, pad: 0 });
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused_by_name() {
        let refused = |text| Config::parse(text).and_then(|config| config.check()).unwrap_err();
        let error = refused(r#"{"text_config": {"num_attention_heads": 7}}"#);
        assert_eq!(error, "`text_config`: 768 is not divisible by 7 attention heads");
        assert!(refused(r#"{"text_config": {"bos_token_id": 30524}}"#).contains("bos_token_id"));
        assert!(refused(r#"{"text_config": 3}"#).contains("not a mapping"));
        assert!(Config::parse("[]").is_err());
        let error = refused(r#"{"vision_config": {"image_size": [384, 384]}}"#);
        assert_eq!(error, "`vision_config.image_size` is [384,384]; it must be a whole number");
        assert!(
            refused(r#"{"text_config": {"hidden_size": 24.5}}"#)
                .starts_with("`text_config.hidden_size` is 24.5")
        );
        assert!(
            refused(r#"{"text_config": {"hidden_act": "quick_gelu"}}"#)
                .starts_with("`text_config.hidden_act` is \"quick_gelu\"; it must be one of `gelu`, ")
        );
        assert!(refused(r#"{"text_config": {"is_decoder": false}}"#).contains("`text_config.is_decoder`"));
        assert!(refused(r#"{"text_config": {"sep_token_id": null}}"#).contains("`text_config.sep_token_id`"));
        assert!(refused(r#"{"text_config": {"bos_token_id": 0}}"#).contains("no padding"));
        let error = refused(r#"{"vision_config": {"image_size": 8, "patch_size": 9}}"#);
        assert!(error.starts_with("`vision_config.patch_size` is 9; "), "{error}");
        let error = refused(r#"{"text_config": {"num_hidden_layers": 1001}}"#);
        assert_eq!(
            error,
            "`text_config.num_hidden_layers` is 1001; it must be a whole number from 1 to 1000"
        );
        assert_eq!(refused(r#"{"model_type": "bert"}"#), "`model_type` is \"bert\"; it must be \"blip\"");
    }

    #[test]
    fn activations_are_those_that_transformers_means_by_their_names() {
        let read = |name: &str| {
            let text = format!(r#"{{"vision_config": {{"hidden_act": "{name}"}}}}"#);
            Config::parse(&text).unwrap().vision.hidden_act
        };
        for (name, activation) in ACTIVATIONS {
            assert_eq!(read(name), activation, "{name}");
        }
    }

    #[test]
    fn a_head_is_untied_only_where_both_parts_say_so() {
        let tied = |text| Config::parse(text).unwrap().tied_head;
        assert!(tied("{}"));
        assert!(tied(r#"{"tie_word_embeddings": false}"#));
        assert!(tied(r#"{"tie_word_embeddings": false, "text_config": {"tie_word_embeddings": true}}"#));
        assert!(tied(r#"{"text_config": {"tie_word_embeddings": false}}"#));
        assert!(!tied(r#"{"tie_word_embeddings": false, "text_config": {"tie_word_embeddings": false}}"#));
    }
}
