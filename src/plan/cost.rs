//! What a run will need, from sizes alone: trainable parameters, optimizer steps, memory and disk.
//!
//! Parameters and steps are exact; memory and disk are estimates for planning, by the formulas at
//! [`memory_bytes`] and [`disk_bytes`].

use std::collections::BTreeMap;

use super::parts::trainable;
use crate::record::RunSpec;
use crate::record::event::Trainable;
use crate::record::recipe::{Kind, Recipe};
use crate::spec::Architecture;

/// Bytes of a number: everything is held as f32.
const BYTES: usize = 4;

/// What is known beyond the sweep file. Empty facts are enough for built-in and hub models.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Training examples, those split off for validation not among them.
    pub train_examples: Option<usize>,
    pub validation_examples: Option<usize>,
    /// 0 where there is no test split.
    pub test_examples: Option<usize>,
    /// Sizes of models that are folders, by name as in the sweep.
    pub architectures: BTreeMap<String, Architecture>,
    /// Tokens of the longest training caption, start and end token included, by model: each has its own tokenizer.
    pub longest_captions: BTreeMap<String, usize>,
}

impl Facts {
    /// Images of all splits.
    pub fn all_images(&self) -> Option<usize> {
        Some(self.train_examples? + self.validation_examples? + self.test_examples?)
    }

    /// The sizes of a model, if they are known.
    pub fn architecture(&self, model: &str) -> Option<Architecture> {
        self.architectures.get(model).copied().or_else(|| Architecture::of(model))
    }
}

/// What a run needs; `None` where the model's sizes or the number of examples are not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    pub trainable: Option<Trainable>,
    /// Optimizer steps of all epochs; 0 for a run that does not train.
    pub steps: Option<usize>,
    /// Peak memory, by and large.
    pub memory_bytes: Option<usize>,
    /// Disk that the run fills while it works.
    pub disk_bytes: Option<usize>,
}

/// What a run needs.
pub fn of(run: &RunSpec, facts: &Facts) -> Cost {
    let recipe = &run.recipe;
    if recipe.kind == Kind::ConstantCaption {
        return Cost {
            trainable: Some(Trainable::default()),
            steps: Some(0),
            memory_bytes: Some(0),
            disk_bytes: Some(0),
        };
    }
    let trainable = facts.architecture(&recipe.model).map(|sizes| (sizes, trainable(&sizes, recipe)));
    if recipe.kind == Kind::SmallDecoder {
        // How many values its words take only their captions tell; beside the vision model they are few.
        return Cost {
            trainable: None,
            steps: steps(recipe, facts.train_examples),
            memory_bytes: trainable.as_ref().map(|(sizes, none)| memory_bytes(sizes, none, recipe)),
            disk_bytes: trainable.as_ref().map(|(_, none)| BYTES * 2 * none.frozen),
        };
    }
    Cost {
        steps: steps(recipe, facts.train_examples),
        memory_bytes: trainable.as_ref().map(|(sizes, trainable)| memory_bytes(sizes, trainable, recipe)),
        disk_bytes: trainable.as_ref().map(|(_, trainable)| disk_bytes(trainable)),
        trainable: trainable.map(|(_, trainable)| trainable),
    }
}

/// Optimizer steps of all epochs; the last batch of an epoch may be smaller.
pub fn steps(recipe: &Recipe, train_examples: Option<usize>) -> Option<usize> {
    match recipe.kind {
        kind if !kind.trains() => Some(0),
        _ if recipe.training.max_steps > 0 => Some(recipe.training.max_steps),
        _ => Some(recipe.training.total_steps(recipe.training.train_examples.of(train_examples?))),
    }
}

/// Peak memory of a run, by and large: weights; gradients and AdamW's two moments of what trains; and the
/// larger of what one training batch and one generation batch keep.
///
/// A training batch keeps about 10 widths and 2 feed-forward widths a token in an unfrozen vision layer,
/// 18 widths and 2 feed-forward widths a token in a text layer, its keys and values for the image, and three
/// copies of the logits. Generation keeps every text layer's keys and values of the image once an image and
/// of the caption once a beam. Below the unfrozen layers only one layer's output is alive at a time.
pub fn memory_bytes(sizes: &Architecture, trainable: &Trainable, recipe: &Recipe) -> usize {
    // In floating point, where impossible settings give an impossible number and not an overflow.
    let [vision_width, vision_intermediate, image_tokens] =
        [sizes.vision.width, sizes.vision.intermediate, sizes.vision.tokens()].map(|size| size as f64);
    let [width, intermediate, layers, vocabulary] =
        [sizes.text.width, sizes.text.intermediate, sizes.text.layers, sizes.text.vocabulary]
            .map(|size| size as f64);
    let trained = trainable.total() as f64;
    let model = trained + trainable.frozen as f64 + 3.0 * trained;
    let cross_keys = layers * image_tokens * 2.0 * width;
    let frozen_vision = image_tokens * (6.0 * vision_width + vision_intermediate);

    let unfrozen = match trainable.vision_layers {
        0 => 0.0,
        _ => recipe.training.unfrozen_vision_layers.min(sizes.vision.layers) as f64,
    };
    // What goes into every layer, and all that one of them computes.
    let kept_of = |layers: f64, input: f64, all: f64| match recipe.training.gradient_checkpointing {
        true => layers * input + layers.min(1.0) * all,
        false => layers * all,
    };
    let of_vision_layer = 10.0 * vision_width + 2.0 * vision_intermediate;
    let vision_kept = image_tokens * kept_of(unfrozen, vision_width, of_vision_layer);
    let token_kept = kept_of(layers, width, 18.0 * width + 2.0 * intermediate) + 3.0 * vocabulary;
    let training_image =
        frozen_vision + vision_kept + cross_keys + recipe.training.max_length as f64 * token_kept;
    let training = if trained > 0.0 { recipe.training.batch_size as f64 * training_image } else { 0.0 };

    let beam = recipe.generation.max_length as f64 * layers * 2.0 * width + 3.0 * vocabulary;
    let generation_image = frozen_vision + cross_keys + recipe.generation.num_beams as f64 * beam;
    let generation = recipe.evaluation.batch_size as f64 * generation_image;

    (BYTES as f64 * (model + training.max(generation))) as usize
}

/// Disk that a run fills while it works: the weights of `best/` and `last/`, and AdamW's two moments beside
/// the latter. A run that does not train writes none.
pub fn disk_bytes(trainable: &Trainable) -> usize {
    match trainable.total() {
        0 => 0,
        total => BYTES * (2 * (total + trainable.frozen) + 2 * total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Preset;
    use crate::spec::architecture::BLIP_BASE;

    fn recipe(unfrozen: usize, train_text_decoder: bool) -> Recipe {
        let mut recipe = Preset::AsOriginal.recipe();
        recipe.model = "Salesforce/blip-image-captioning-base".to_owned();
        recipe.training.unfrozen_vision_layers = unfrozen;
        recipe.training.train_text_decoder = train_text_decoder;
        recipe
    }

    fn run(recipe: Recipe) -> RunSpec {
        RunSpec { id: "r1".into(), sweep: "x".into(), point: BTreeMap::new(), seed: 0, recipe }
    }

    #[test]
    fn the_last_batch_of_an_epoch_may_be_smaller() {
        let mut recipe = recipe(0, true);
        assert_eq!(steps(&recipe, Some(9140)), Some(22_860), "the original study's number");
        assert_eq!(steps(&recipe, Some(9138)), Some(22_845));
        assert_eq!(steps(&recipe, None), None);
        recipe.training.max_steps = 70;
        assert_eq!((steps(&recipe, Some(9140)), steps(&recipe, None)), (Some(70), Some(70)));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let mut unknown = recipe(3, true);
        unknown.model = "models/mine".to_owned();
        assert_eq!(of(&run(unknown.clone()), &Facts::default()), Cost::default());
        let architectures = [("models/mine".to_owned(), BLIP_BASE)].into();
        let cost = of(&run(unknown), &Facts { train_examples: Some(60), architectures, ..Facts::default() });
        assert_eq!((cost.trainable.unwrap().text, cost.steps), (137_881_148, Some(150)));
    }

    #[test]
    fn the_constant_caption_needs_nothing() {
        let mut floor = recipe(3, true);
        floor.kind = Kind::ConstantCaption;
        floor.model = "none".to_owned();
        let cost = of(&run(floor), &Facts::default());
        assert_eq!((cost.trainable.unwrap().total(), cost.steps, cost.disk_bytes), (0, Some(0), Some(0)));
    }

    /// Measured with PyTorch at the original settings and three layers: 2.8 GB for weights, gradients and
    /// moments, 5.9 GB in all.
    #[test]
    fn memory_is_estimated_within_reason() {
        let recipe = recipe(3, true);
        let three = trainable(&BLIP_BASE, &recipe);
        let bytes = memory_bytes(&BLIP_BASE, &three, &recipe);
        assert!((4_000_000_000..8_000_000_000).contains(&bytes), "{bytes}");
        assert_eq!(disk_bytes(&three), 3_064_931_264);
        let mut less = recipe.clone();
        less.training.gradient_checkpointing = true;
        let less = memory_bytes(&BLIP_BASE, &three, &less);
        assert!(less < bytes && less > 3_000_000_000, "{less}");
    }

    #[test]
    fn impossible_sizes_do_not_overflow() {
        let text = |size| {
            format!(
                r#"{{"vision_config": {{"hidden_size": {size}, "intermediate_size": {size}, "num_hidden_layers": {size}, "image_size": {size}, "patch_size": 1}},
                "text_config": {{"hidden_size": {size}, "intermediate_size": {size}, "num_hidden_layers": {size}, "vocab_size": {size}}}}}"#
            )
        };
        let sizes = Architecture::from_config(&text(300_000)).unwrap();
        let mut recipe = recipe(1000, true);
        recipe.training.batch_size = 65_536;
        let trainable = trainable(&sizes, &recipe);
        assert!(memory_bytes(&sizes, &trainable, &recipe) > disk_bytes(&trainable));
    }
}
