//! Sizes of models, known without reading weights.
//!
//! The built-in model's are those of its `config.json`; BLIP base and large are compiled in under their hub
//! ids, so that planning needs no download; any other model's come from the text of its `config.json`.

use std::sync::LazyLock;

use serde_json::Value;

/// The sizes that determine numbers of parameters and what a run needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    pub vision: VisionSizes,
    pub text: TextSizes,
}

/// The vision transformer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisionSizes {
    pub layers: usize,
    pub width: usize,
    /// Width of the feed-forward part.
    pub intermediate: usize,
    pub heads: usize,
    /// Pixels a side.
    pub image: usize,
    /// Pixels a side of a patch.
    pub patch: usize,
}

impl VisionSizes {
    /// Patches and the class token.
    pub fn tokens(&self) -> usize {
        let side = self.image / self.patch.max(1);
        side * side + 1
    }
}

/// The text decoder. Its cross-attention reads hidden states as wide as the vision model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSizes {
    pub layers: usize,
    pub width: usize,
    /// Width of the feed-forward part.
    pub intermediate: usize,
    pub heads: usize,
    pub vocabulary: usize,
    /// The longest caption in tokens.
    pub positions: usize,
}

/// `Salesforce/blip-image-captioning-base`.
pub const BLIP_BASE: Architecture = Architecture {
    vision: VisionSizes { layers: 12, width: 768, intermediate: 3072, heads: 12, image: 384, patch: 16 },
    text: TextSizes {
        layers: 12,
        width: 768,
        intermediate: 3072,
        heads: 12,
        vocabulary: 30524,
        positions: 512,
    },
};

/// `Salesforce/blip-image-captioning-large`.
pub const BLIP_LARGE: Architecture = Architecture {
    vision: VisionSizes { layers: 24, width: 1024, intermediate: 4096, heads: 16, image: 384, patch: 16 },
    ..BLIP_BASE
};

/// The built-in model. `None` only if the file compiled in is broken, which a test rules out.
static LAB: LazyLock<Option<Architecture>> =
    LazyLock::new(|| Architecture::from_config(include_str!("../../assets/lab/config.json")).ok());

impl Architecture {
    /// The sizes of a built-in model or of a hub id known here, at any `@revision`.
    pub fn of(model: &str) -> Option<Self> {
        match model.split('@').next()? {
            "lab" if model == "lab" => *LAB,
            "Salesforce/blip-image-captioning-base" => Some(BLIP_BASE),
            "Salesforce/blip-image-captioning-large" => Some(BLIP_LARGE),
            _ => None,
        }
    }

    /// The sizes that a `config.json` gives. Keys left out have the values of transformers' classes.
    pub fn from_config(text: &str) -> Result<Self, String> {
        let config: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        if !config.is_object() {
            return Err("not a mapping".to_owned());
        }
        let vision = |key, default| size(&config, "vision_config", key, default);
        let words = |key, default| size(&config, "text_config", key, default);
        Ok(Self {
            vision: VisionSizes {
                layers: vision("num_hidden_layers", 12)?,
                width: vision("hidden_size", 768)?,
                intermediate: vision("intermediate_size", 3072)?,
                heads: vision("num_attention_heads", 12)?,
                image: vision("image_size", 384)?,
                patch: vision("patch_size", 16)?,
            },
            text: TextSizes {
                layers: words("num_hidden_layers", 12)?,
                width: words("hidden_size", 768)?,
                intermediate: words("intermediate_size", 3072)?,
                heads: words("num_attention_heads", 8)?,
                vocabulary: words("vocab_size", 30524)?,
                positions: words("max_position_embeddings", 512)?,
            },
        })
    }
}

/// The largest size that is believed: larger ones are those of no model, and their products would overflow.
const LARGEST: u64 = 300_000;

/// A size of one part of a configuration, or its default.
fn size(config: &Value, part: &str, key: &str, default: usize) -> Result<usize, String> {
    match config.get(part).and_then(|part| part.get(key)) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => match value.as_u64() {
            Some(size @ 1..=LARGEST) => Ok(size as usize),
            _ => Err(format!("`{part}.{key}` is {value}; it must be a whole number from 1 to {LARGEST}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_models_configuration_can_be_read() {
        let lab = Architecture::of("lab").unwrap();
        assert_eq!((lab.vision.layers, lab.vision.width, lab.vision.image), (6, 128, 64));
        assert_eq!(lab.vision.tokens(), 65);
        assert_eq!((lab.text.layers, lab.text.width), (3, 128));
    }

    #[test]
    fn hub_models_are_known_at_any_revision_and_folders_are_not() {
        let known = |model| Architecture::of(model).map(|sizes| sizes.vision.layers);
        assert_eq!(known("Salesforce/blip-image-captioning-base"), Some(12));
        assert_eq!(known("Salesforce/blip-image-captioning-large@refs/pr/18"), Some(24));
        assert_eq!(known("./Salesforce/blip-image-captioning-base"), None);
        assert_eq!(known("lab@main"), None);
        assert_eq!(known(""), None);
    }

    #[test]
    fn keys_left_out_of_a_configuration_have_the_values_of_transformers() {
        let sizes = Architecture::from_config(r#"{"text_config": {"num_attention_heads": 12}}"#).unwrap();
        assert_eq!(sizes, BLIP_BASE);
        assert_eq!(Architecture::from_config("{}").unwrap().text.heads, 8);
    }

    #[test]
    fn a_configuration_with_impossible_sizes_is_refused() {
        for (value, shown) in
            [("-1", "-1"), ("0", "0"), ("1e3", "1000.0"), ("300001", "300001"), ("\"12\"", "\"12\"")]
        {
            let text = format!(r#"{{"vision_config": {{"hidden_size": {value}}}}}"#);
            let error = Architecture::from_config(&text).unwrap_err();
            assert!(error.starts_with(&format!("`vision_config.hidden_size` is {shown}; ")), "{error}");
        }
        assert!(Architecture::from_config("[]").is_err());
        assert!(Architecture::from_config("{").is_err());
    }
}
