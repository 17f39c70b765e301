//! Parameters of a model by part, and which of them a recipe trains, from sizes alone.

use crate::record::event::Trainable;
use crate::record::recipe::{LoraTargets, Recipe, TextParts, Training};
use crate::spec::Architecture;

/// Parameters, and tensors that hold them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    parameters: usize,
    tensors: usize,
}

impl Size {
    fn times(self, count: usize) -> Self {
        Self { parameters: count * self.parameters, tensors: count * self.tensors }
    }

    fn and(self, other: Self) -> Self {
        Self { parameters: self.parameters + other.parameters, tensors: self.tensors + other.tensors }
    }
}

/// Parameters and tensors by part. The head's weight is that of the word embedding, its bias that of the
/// predictions; both count once.
pub fn trainable(sizes: &Architecture, recipe: &Recipe) -> Trainable {
    let (vision, text) = if recipe.kind.fine_tunes() {
        (chosen_vision(sizes, &recipe.training), chosen_text(sizes, &recipe.training))
    } else {
        (Size::default(), Size::default())
    };
    // What has adapters is frozen itself.
    let has_adapters = recipe.kind.fine_tunes() && recipe.training.lora_rank > 0;
    let changed = match (has_adapters, recipe.training.train_embeddings && recipe.training.train_text_decoder)
    {
        (false, _) => vision.parameters + text.parameters,
        (true, true) => outside_layers(sizes).parameters,
        (true, false) => 0,
    };
    Trainable {
        vision_layers: vision.parameters,
        // Embeddings and final norm of the vision model stay frozen whatever is unfrozen.
        vision_other: 0,
        text: text.parameters,
        frozen: vision_parameters(sizes) + text_parameters(sizes) - changed,
        tensors: vision.tensors + text.tensors,
    }
}

/// What of the vision model trains.
fn chosen_vision(sizes: &Architecture, training: &Training) -> Size {
    let unfrozen = training.unfrozen_vision_layers.min(sizes.vision.layers);
    let layer = match training.lora_rank {
        0 => vision_layer(sizes),
        rank => adapters(rank, &vision_matrices(sizes, training.lora_targets)),
    };
    layer.times(unfrozen)
}

/// What of the text decoder trains.
fn chosen_text(sizes: &Architecture, training: &Training) -> Size {
    if !training.train_text_decoder {
        return Size::default();
    }
    let layers = match training.trainable_text_layers {
        0 => sizes.text.layers,
        some => some.min(sizes.text.layers),
    };
    let outer = if training.train_embeddings { outside_layers(sizes) } else { Size::default() };
    match training.trainable_text {
        _ if training.lora_rank > 0 => text_adapters(sizes, training, layers).and(outer),
        TextParts::CrossAttention => cross_attention(sizes).times(layers).and(outer),
        TextParts::All if training.trainable_text_layers > 0 => text_layer(sizes).times(layers).and(outer),
        TextParts::All => whole_text(sizes),
    }
}

/// Adapters of so many layers of the decoder, and of the head's transform where all of it would train.
fn text_adapters(sizes: &Architecture, training: &Training, layers: usize) -> Size {
    let (text, encoder) = (&sizes.text, sizes.vision.width);
    let (width, inner) = (text.width, text.intermediate);
    let is_all = training.trainable_text == TextParts::All;
    let mut matrices = vec![(width, width), (width, width), (encoder, width), (encoder, width)];
    if is_all {
        matrices.extend([(width, width); 4]);
    }
    let has_more = is_all && training.lora_targets == LoraTargets::AllLinear;
    if has_more {
        matrices.extend([(width, inner), (inner, width)]);
    }
    let head: &[_] = if has_more && training.trainable_text_layers == 0 && !training.train_embeddings {
        &[(width, width)]
    } else {
        &[]
    };
    adapters(training.lora_rank, &matrices).times(layers).and(adapters(training.lora_rank, head))
}

/// Inputs and outputs of the linear layers of a vision layer that have adapters.
fn vision_matrices(sizes: &Architecture, targets: LoraTargets) -> Vec<(usize, usize)> {
    let (width, inner) = (sizes.vision.width, sizes.vision.intermediate);
    let attention = [(width, 3 * width), (width, width)];
    match targets {
        LoraTargets::Attention => attention.to_vec(),
        LoraTargets::AllLinear => [attention, [(width, inner), (inner, width)]].concat(),
    }
}

/// Two matrices for each of these.
fn adapters(rank: usize, matrices: &[(usize, usize)]) -> Size {
    let parameters = matrices.iter().map(|(inputs, outputs)| rank * (inputs + outputs)).sum();
    Size { parameters, tensors: 2 * matrices.len() }
}

/// Weight and bias of a linear layer.
const fn linear(inputs: usize, outputs: usize) -> usize {
    inputs * outputs + outputs
}

/// Weight and bias of a layer norm.
const fn norm(width: usize) -> usize {
    2 * width
}

/// Weights and biases of a vision layer's two norms, qkv, projection, fc1 and fc2.
fn vision_layer(sizes: &Architecture) -> Size {
    Size { parameters: vision_layer_parameters(sizes), tensors: 12 }
}

/// Parameters of one layer of the vision model.
pub fn vision_layer_parameters(sizes: &Architecture) -> usize {
    let (width, intermediate) = (sizes.vision.width, sizes.vision.intermediate);
    2 * norm(width)
        + linear(width, 3 * width)
        + linear(width, width)
        + linear(width, intermediate)
        + linear(intermediate, width)
}

/// Parameters of the vision model.
pub fn vision_parameters(sizes: &Architecture) -> usize {
    let vision = &sizes.vision;
    let class_and_positions = vision.width + vision.tokens() * vision.width;
    let patches = linear(3 * vision.patch * vision.patch, vision.width);
    class_and_positions + patches + vision.layers * vision_layer_parameters(sizes) + norm(vision.width)
}

/// Parameters of the text decoder, the tied head counted once.
pub fn text_parameters(sizes: &Architecture) -> usize {
    whole_text(sizes).parameters
}

/// All of the decoder.
fn whole_text(sizes: &Architecture) -> Size {
    outside_layers(sizes).and(text_layer(sizes).times(sizes.text.layers))
}

/// Embeddings and their norm; the head's transform, norm and bias.
fn outside_layers(sizes: &Architecture) -> Size {
    let (text, width) = (&sizes.text, sizes.text.width);
    let embeddings =
        Size { parameters: (text.vocabulary + text.positions) * width + norm(width), tensors: 4 };
    let head = Size { parameters: linear(width, width) + norm(width) + text.vocabulary, tensors: 5 };
    embeddings.and(head)
}

/// Two attentions, and a feed-forward part of two linear layers and a norm.
fn text_layer(sizes: &Architecture) -> Size {
    let (text, width) = (&sizes.text, sizes.text.width);
    let self_attention = Size { parameters: 4 * linear(width, width) + norm(width), tensors: 10 };
    let feed_forward = linear(width, text.intermediate) + linear(text.intermediate, width) + norm(width);
    self_attention.and(cross_attention(sizes)).and(Size { parameters: feed_forward, tensors: 6 })
}

/// Four linear layers, of which keys and values see the image, and a norm.
fn cross_attention(sizes: &Architecture) -> Size {
    let (width, encoder) = (sizes.text.width, sizes.vision.width);
    Size { parameters: 2 * linear(width, width) + 2 * linear(encoder, width) + norm(width), tensors: 10 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::recipe::Kind;
    use crate::spec::Preset;
    use crate::spec::architecture::{BLIP_BASE, BLIP_LARGE};

    fn recipe(unfrozen: usize, train_text_decoder: bool) -> Recipe {
        let mut recipe = Preset::AsOriginal.recipe();
        recipe.training.unfrozen_vision_layers = unfrozen;
        recipe.training.train_text_decoder = train_text_decoder;
        recipe
    }

    /// The numbers of the published checkpoints, tied weights once.
    #[test]
    fn blip_has_the_parameters_of_the_published_models() {
        assert_eq!(vision_layer_parameters(&BLIP_BASE), 7_087_872);
        assert_eq!(vision_parameters(&BLIP_BASE), 86_090_496);
        assert_eq!(text_parameters(&BLIP_BASE), 137_881_148);
        assert_eq!(vision_layer_parameters(&BLIP_LARGE), 12_596_224);
        assert_eq!(vision_parameters(&BLIP_LARGE), 303_690_752);
        assert_eq!(text_parameters(&BLIP_LARGE), 142_599_740);
    }

    #[test]
    fn parts_add_up_and_only_unfrozen_ones_train() {
        let three = trainable(&BLIP_BASE, &recipe(3, true));
        let expected = Trainable {
            vision_layers: 3 * 7_087_872,
            vision_other: 0,
            text: 137_881_148,
            frozen: 86_090_496 - 3 * 7_087_872,
            tensors: 3 * 12 + 321,
        };
        assert_eq!(three, expected);
        let vision_only = trainable(&BLIP_BASE, &recipe(1, false));
        assert_eq!((vision_only.total(), vision_only.tensors), (7_087_872, 12));
        let mut zero_shot = recipe(3, true);
        zero_shot.kind = Kind::ZeroShot;
        let nothing = trainable(&BLIP_BASE, &zero_shot);
        assert_eq!((nothing.total(), nothing.tensors, nothing.frozen), (0, 0, 223_971_644));
    }

    #[test]
    fn of_the_decoder_a_part_may_train() {
        let text = |parts, layers| {
            let mut recipe = recipe(0, true);
            (recipe.training.trainable_text, recipe.training.trainable_text_layers) = (parts, layers);
            let found = trainable(&BLIP_BASE, &recipe);
            assert_eq!(found.text + found.frozen, 223_971_644);
            (found.text, found.tensors)
        };
        // Twelve layers of four projections of 768 x 768 and a norm.
        assert_eq!(text(TextParts::CrossAttention, 0), (12 * (4 * 768 * 769 + 1536), 120));
        assert_eq!(text(TextParts::CrossAttention, 2), (2 * (4 * 768 * 769 + 1536), 20));
        assert_eq!(text(TextParts::All, 1), (9_451_776, 26));
        assert_eq!(text(TextParts::All, 12).0, 12 * 9_451_776);
        assert_eq!(text(TextParts::All, 0), (137_881_148, 321));
    }
}
