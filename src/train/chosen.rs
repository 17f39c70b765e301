//! Which tensors of a model a recipe trains.

use anyhow::{Result, ensure};

use super::Session;
use super::material::Pretrained;
use crate::model::{Config, Part};
use crate::record::recipe::{LoraTargets, TextParts, Training};

/// What names of the decoder's layers begin with.
const TEXT_LAYERS: &str = "text_decoder.bert.encoder.layer.";

/// What a recipe chooses of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// The first vision layer that trains; those above do as well.
    first_vision_layer: usize,
    text: Option<TextParts>,
    /// The first of the decoder's layers that trains; where it is `None`, embeddings and head do as well.
    first_text_layer: Option<usize>,
    targets: LoraTargets,
    /// Whether embeddings and head train whatever else of the decoder does.
    embeddings: bool,
}

impl Chosen {
    pub fn by(training: &Training, config: &Config) -> Self {
        let first = |layers: usize, of: usize| of.saturating_sub(layers);
        let text_layers = training.trainable_text_layers;
        let depth = config.text.num_hidden_layers;
        Self {
            first_vision_layer: first(training.unfrozen_vision_layers, config.vision.num_hidden_layers),
            text: training.train_text_decoder.then_some(training.trainable_text),
            first_text_layer: (text_layers > 0).then(|| first(text_layers, depth)),
            targets: training.lora_targets,
            embeddings: training.train_embeddings,
        }
    }

    /// Whether the tensor of this name trains.
    pub fn trains(&self, name: &str) -> bool {
        match Part::of(name) {
            Part::VisionLayer(layer) => layer >= self.first_vision_layer,
            Part::VisionOther => false,
            Part::Text => self.text.is_some_and(|parts| self.trains_text(parts, name)),
        }
    }

    /// Whether the tensor of this name is the weight of a linear layer that has an adapter, where there are adapters.
    pub fn adapts(&self, name: &str) -> bool {
        const MATRICES: [&str; 6] = [".dense.", ".query.", ".key.", ".value.", ".fc1.", ".fc2."];
        const OF_ATTENTION: [&str; 5] =
            [".self_attn.", ".self.query.", ".self.key.", ".self.value.", "attention.output.dense."];
        let is_among = |names: &[&str]| names.iter().any(|part| name.contains(part));
        let is_linear = is_among(&MATRICES) || name.contains(".self_attn.");
        let is_target = self.targets == LoraTargets::AllLinear || is_among(&OF_ATTENTION);
        let is_matrix = name.ends_with(".weight") && is_linear;
        is_matrix && is_target && self.trains(name) && !self.trains_beside_adapters(name)
    }

    /// Whether the tensor of this name trains itself where others have adapters.
    pub fn trains_beside_adapters(&self, name: &str) -> bool {
        let is_text = Part::of(name) == Part::Text && !name.starts_with(TEXT_LAYERS);
        is_text && self.embeddings && self.text.is_some()
    }

    fn trains_text(&self, parts: TextParts, name: &str) -> bool {
        let in_layer = name
            .strip_prefix(TEXT_LAYERS)
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(layer, rest)| Some((layer.parse::<usize>().ok()?, rest)));
        let Some((layer, place)) = in_layer else {
            return self.embeddings || parts == TextParts::All && self.first_text_layer.is_none();
        };
        self.first_text_layer.is_none_or(|first| layer >= first)
            && (parts == TextParts::All || place.starts_with("crossattention."))
    }
}

/// Turns what the recipe trains into variables.
pub fn unfreeze(session: &Session, pretrained: &mut Pretrained) -> Result<()> {
    let training = &session.spec.recipe.training;
    let vision_layers = training.unfrozen_vision_layers;
    let depth = pretrained.config.vision.num_hidden_layers;
    ensure!(
        vision_layers <= depth,
        "unfrozen_vision_layers is {vision_layers}, but the vision model has {depth} layers"
    );
    let text_layers = training.trainable_text_layers;
    let text_depth = pretrained.config.text.num_hidden_layers;
    ensure!(
        text_layers <= text_depth,
        "trainable_text_layers is {text_layers}, but the text decoder has {text_depth} layers"
    );
    let chosen = Chosen::by(training, &pretrained.config);
    if training.lora_rank > 0 {
        let (rank, alpha) = (training.lora_rank, training.lora_alpha);
        pretrained.weights.adapt(|name| chosen.adapts(name), rank, alpha, session.spec.seed)?;
        pretrained.weights.unfreeze_those(|name| chosen.trains_beside_adapters(name))?;
    } else {
        pretrained.weights.unfreeze_those(|name| chosen.trains(name))?;
    }
    ensure!(
        !pretrained.weights.trainable().is_empty(),
        "nothing trains: no vision layer is unfrozen and the text decoder is frozen"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Preset;

    /// What trains of a decoder of three layers and a vision model of two, by the end of its name.
    fn chosen(change: impl Fn(&mut Training)) -> Vec<&'static str> {
        const NAMES: [&str; 9] = [
            "text_decoder.bert.embeddings.word_embeddings.weight",
            "text_decoder.bert.encoder.layer.0.crossattention.self.key.weight",
            "text_decoder.bert.encoder.layer.1.attention.self.key.weight",
            "text_decoder.bert.encoder.layer.2.attention.self.key.weight",
            "text_decoder.bert.encoder.layer.2.crossattention.output.LayerNorm.bias",
            "text_decoder.cls.predictions.bias",
            "vision_model.encoder.layers.0.mlp.fc1.bias",
            "vision_model.encoder.layers.1.mlp.fc1.bias",
            "vision_model.post_layernorm.bias",
        ];
        let config =
            r#"{"text_config": {"num_hidden_layers": 3}, "vision_config": {"num_hidden_layers": 2}}"#;
        let mut training = Preset::Corrected.recipe().training;
        training.unfrozen_vision_layers = 0;
        change(&mut training);
        let chosen = Chosen::by(&training, &Config::parse(config).unwrap());
        let trained = NAMES.into_iter().filter(|name| chosen.trains(name));
        trained
            .map(|name| name.rsplit("layer.").next().unwrap().rsplit("_decoder.").next().unwrap())
            .collect()
    }

    #[test]
    fn layers_are_counted_from_the_last_and_parts_of_them_can_be_chosen() {
        let all = [
            "bert.embeddings.word_embeddings.weight",
            "0.crossattention.self.key.weight",
            "1.attention.self.key.weight",
            "2.attention.self.key.weight",
            "2.crossattention.output.LayerNorm.bias",
            "cls.predictions.bias",
        ];
        assert_eq!(chosen(|_| ()), all);
        assert_eq!(chosen(|training| training.trainable_text_layers = 1), all[3..5]);
        assert_eq!(chosen(|training| training.trainable_text_layers = 3), all[1..5]);
        let cross = |layers| {
            move |training: &mut Training| {
                training.trainable_text = TextParts::CrossAttention;
                training.trainable_text_layers = layers;
            }
        };
        assert_eq!(chosen(cross(0)), [all[1], all[4]]);
        assert_eq!(chosen(cross(2)), [all[4]]);
        let with_embeddings = chosen(|training| {
            cross(2)(training);
            training.train_embeddings = true;
        });
        assert_eq!(with_embeddings, [all[0], all[4], all[5]]);
        assert_eq!(
            chosen(|training| {
                training.train_text_decoder = false;
                training.unfrozen_vision_layers = 1;
            }),
            ["vision_model.encoder.layers.1.mlp.fc1.bias"]
        );
    }
}
