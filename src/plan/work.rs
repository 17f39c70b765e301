//! How much a plan has to multiply, which is what most of its time goes into: a guess within a factor of two or three.
//! `sweep run` measures a step and says better.
//!
//! By layer, with `T` tokens of width `D` and a feed-forward part of width `I`, a forward pass takes `T (4 D^2 + 2 D I) + 2 T^2 D`
//! multiplications; its gradients take twice as many, of inputs and of weights. What loss functions, norms and memory take
//! comes to little beside them in a model of BLIP's size.

use std::collections::BTreeMap;

use super::cost::Facts;
use crate::record::RunSpec;
use crate::record::recipe::{Kind, Precision, Recipe};
use crate::spec::Architecture;

/// Training images whose loss is taken at every evaluation, at most, and those that are captioned at the end.
const OBSERVED: f64 = 256.0;
const CAPTIONED: f64 = 64.0;

/// The share of the speed of large products that training reaches, and that generation does, token by token.
const TRAINING_SHARE: f64 = 0.5;
const GENERATION_SHARE: f64 = 0.2;

/// The largest state of a small decoder; its words and keys have half the width.
const SMALL_STATE: f64 = 256.0;

/// Multiplications, each with an addition.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Of training, losses, and images that are encoded.
    pub trained: f64,
    /// Of captions that are said.
    pub said: f64,
}

impl Work {
    /// Seconds on a machine that does so many multiplications a second in products of large matrices.
    pub fn seconds(&self, speed: f64) -> f64 {
        self.trained / (TRAINING_SHARE * speed) + self.said / (GENERATION_SHARE * speed)
    }
}

/// The work of a plan by the precision of its runs; `None` where a model's sizes or the number of images are not known.
///
/// Images are encoded below the unfrozen layers once for all runs, as with the feature cache; captions are counted as
/// long as the limits let them be, and early stopping not at all.
pub fn of(runs: &[RunSpec], facts: &Facts) -> Option<[(Precision, Work); 3]> {
    let mut works = Precision::ALL.map(|precision| (precision, Work::default()));
    let mut encoded: BTreeMap<(&str, usize), f64> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.recipe.kind != Kind::ConstantCaption) {
        let recipe = &run.recipe;
        let (run, images) = (Run::new(recipe, facts)?, facts.all_images()?);
        let precision = recipe.training.precision as usize;
        let below = images as f64 * run.vision(run.sizes.vision.layers - run.unfrozen());
        let most = encoded.entry((recipe.model.as_str(), precision)).or_default();
        *most = most.max(below);
        let (trained, said) = run.work();
        works[precision].1.said += said;
        works[precision].1.trained += trained;
    }
    for ((_, precision), below) in encoded {
        works[precision].1.trained += below;
    }
    Some(works)
}

/// A run with what its work depends on.
struct Run<'a> {
    recipe: &'a Recipe,
    sizes: Architecture,
    /// Tokens of a caption at most.
    tokens: usize,
    /// Images that it trains on.
    train: usize,
    validation: usize,
    test: usize,
}

impl<'a> Run<'a> {
    fn new(recipe: &'a Recipe, facts: &Facts) -> Option<Self> {
        let limit = recipe.training.max_length;
        Some(Self {
            recipe,
            sizes: facts.architecture(&recipe.model)?,
            tokens: facts.longest_captions.get(&recipe.model).map_or(limit, |longest| limit.min(*longest)),
            train: recipe.training.train_examples.of(facts.train_examples?),
            validation: facts.validation_examples?,
            test: facts.test_examples?,
        })
    }

    fn unfrozen(&self) -> usize {
        let layers = self.recipe.training.unfrozen_vision_layers;
        if self.recipe.kind.fine_tunes() { layers.min(self.sizes.vision.layers) } else { 0 }
    }

    /// What is trained or has a loss taken, and what is said.
    fn work(&self) -> (f64, f64) {
        let Evaluations { losses, captions } = self.evaluations();
        if self.recipe.kind == Kind::SmallDecoder {
            let seen = (self.train * self.recipe.training.epochs) as f64;
            let generation = &self.recipe.generation;
            let said = (generation.max_length * generation.num_beams) as f64;
            return (
                (3.0 * seen + losses) * self.tokens as f64 * self.small_step(),
                captions * said * self.small_step(),
            );
        }
        let training = if self.recipe.kind.fine_tunes() { self.training() } else { 0.0 };
        (training + losses * self.forward(), captions * self.caption())
    }

    /// Of all optimizer steps.
    fn training(&self) -> f64 {
        let training = &self.recipe.training;
        let steps = training.total_steps(self.train).saturating_mul(training.examples_per_step());
        let epochs = self.train.saturating_mul(training.epochs);
        // The last batch of an epoch may be smaller.
        let images = if training.max_steps == 0 { epochs } else { steps } as f64;
        let text = if training.train_text_decoder { 3.0 } else { 2.0 };
        // Nothing below keys and values asks for their gradients where no vision layer trains.
        let keys = if self.unfrozen() > 0 { text } else { text - 1.0 };
        images * (3.0 * self.vision(self.unfrozen()) + text * self.text(self.tokens) + keys * self.keys())
    }

    /// How many images have a loss taken, and how many a caption said, in the whole run.
    fn evaluations(&self) -> Evaluations {
        let (validation, test) = (self.validation as f64, self.test as f64);
        let first = |count: usize, all: f64| if count == 0 { all } else { all.min(count as f64) };
        let evaluation = &self.recipe.evaluation;
        let tested = first(evaluation.test_samples, test);
        let validated = first(evaluation.samples, validation);
        if !self.recipe.kind.trains() {
            return Evaluations { losses: validation + test, captions: validated + tested };
        }
        let epochs = self.recipe.training.epochs_over(self.train);
        let times = 1.0 + epochs.div_ceil(evaluation.eval_every.max(1)) as f64;
        let observed = if evaluation.diagnostics { validation.min(self.train as f64) } else { 0.0 };
        Evaluations {
            losses: times * (validation + observed.min(OBSERVED)) + test,
            captions: times * validated + tested + observed.min(CAPTIONED),
        }
    }

    /// A token of a small decoder: its gates, the patches it looks at (a hyperbolic tangent is worth about ten multiplications), and
    /// its head.
    fn small_step(&self) -> f64 {
        let (patches, width) = (self.sizes.vision.tokens() as f64, self.sizes.vision.width as f64);
        let state = width.min(SMALL_STATE);
        let gates = 3.0 * state * (state / 2.0 + width + state);
        gates + patches * (10.0 * state / 2.0 + width) + state * self.sizes.text.vocabulary.min(2000) as f64
    }

    /// A caption's loss, from the frozen boundary up.
    fn forward(&self) -> f64 {
        self.vision(self.unfrozen()) + self.keys() + self.text(self.tokens)
    }

    /// A caption by beam search, from the frozen boundary up.
    fn caption(&self) -> f64 {
        let generation = &self.recipe.generation;
        let said = self.text(generation.max_length) * generation.num_beams as f64;
        self.vision(self.unfrozen()) + self.keys() + said
    }

    /// An image through so many vision layers.
    fn vision(&self, layers: usize) -> f64 {
        let vision = &self.sizes.vision;
        let [tokens, width, intermediate] =
            [vision.tokens(), vision.width, vision.intermediate].map(|size| size as f64);
        let linear = tokens * (4.0 * width * width + 2.0 * width * intermediate);
        layers as f64 * (linear + 2.0 * tokens * tokens * width)
    }

    /// An image's keys and values in all text layers.
    fn keys(&self) -> f64 {
        let (vision, text) = (&self.sizes.vision, &self.sizes.text);
        2.0 * text.layers as f64 * vision.tokens() as f64 * vision.width as f64 * text.width as f64
    }

    /// So many tokens through the decoder and its head, beside keys and values that are there.
    fn text(&self, tokens: usize) -> f64 {
        let text = &self.sizes.text;
        let [width, intermediate, layers, vocabulary] =
            [text.width, text.intermediate, text.layers, text.vocabulary].map(|size| size as f64);
        let seen = tokens as f64 / 2.0 + self.sizes.vision.tokens() as f64;
        let layer = 6.0 * width * width + 2.0 * width * intermediate + 2.0 * seen * width;
        tokens as f64 * (layers * layer + width * width + vocabulary * width)
    }
}

struct Evaluations {
    losses: f64,
    captions: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Preset;

    fn facts(train: usize) -> Facts {
        Facts {
            train_examples: Some(train),
            validation_examples: Some(12),
            test_examples: Some(0),
            ..Facts::default()
        }
    }

    fn run(unfrozen: usize) -> RunSpec {
        let mut recipe = Preset::AsOriginal.recipe();
        recipe.model = "Salesforce/blip-image-captioning-base".to_owned();
        recipe.training.unfrozen_vision_layers = unfrozen;
        RunSpec { id: "r1".into(), sweep: "x".into(), point: BTreeMap::new(), seed: 0, recipe }
    }

    fn f32_of(runs: &[RunSpec], facts: &Facts) -> f64 {
        let Work { trained, said } = of(runs, facts).unwrap()[0].1;
        trained + said
    }

    /// By hand, in 10^9: an image through a vision layer 4.60, its keys and values 8.17, 60 tokens 7.1 without what they
    /// look at.
    #[test]
    fn a_layer_of_blip_has_the_multiplications_that_its_sizes_say() {
        let run = run(3);
        let facts = facts(24);
        let run = Run::new(&run.recipe, &facts).unwrap();
        assert!((run.vision(1) / 1e9 - 4.60).abs() < 0.05, "{}", run.vision(1));
        assert!((run.keys() / 1e9 - 8.17).abs() < 0.01, "{}", run.keys());
        assert!((6.5..8.5).contains(&(run.text(60) / 1e9)), "{}", run.text(60));
    }

    #[test]
    fn frozen_layers_are_passed_once_for_all_runs_and_the_rest_by_each() {
        let (one, two) = (f32_of(&[run(3)], &facts(24)), f32_of(&[run(3), run(3)], &facts(24)));
        assert!(two > 1.5 * one && two < 2.0 * one, "{one} {two}");
        let deeper = f32_of(&[run(3), run(6)], &facts(24));
        assert!(deeper > two, "{deeper} {two}");
    }

    #[test]
    fn diagnostics_are_losses_at_each_evaluation_and_captions_at_the_end() {
        let mut run = run(3);
        let evaluations = |run: &RunSpec| {
            let Evaluations { losses, captions } = Run::new(&run.recipe, &facts(24)).unwrap().evaluations();
            (losses, captions)
        };
        let (losses, captions) = evaluations(&run);
        run.recipe.evaluation.diagnostics = false;
        assert_eq!(evaluations(&run), (losses / 2.0, captions - 12.0));
    }

    #[test]
    fn work_grows_with_images_and_is_not_guessed() {
        let (few, many) = (f32_of(&[run(3)], &facts(100)), f32_of(&[run(3)], &facts(200)));
        assert!(many > 1.7 * few && many < 2.0 * few, "{few} {many}");
        assert_eq!(of(&[run(3)], &Facts { train_examples: Some(24), ..Facts::default() }), None);
        let mut floor = run(3);
        floor.recipe.kind = Kind::ConstantCaption;
        assert_eq!(f32_of(&[floor], &Facts::default()), 0.0);
    }
}
