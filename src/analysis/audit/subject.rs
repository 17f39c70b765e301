//! Runs that an audit need not tell apart: alike in all that it looks at.

use serde_json::{Value, json};

use super::corpus::Corpus;
use super::reachable::Limits;
use crate::data::tokenizer::TokenizerError;
use crate::record::RunSpec;
use crate::record::recipe::{Kind, Recipe};

/// Limits are proposed as multiples of this.
const STEP: usize = 8;

/// A recipe, and the runs that share it as far as an audit goes.
pub struct Subject<'a> {
    pub recipe: &'a Recipe,
    /// Ids.
    pub runs: Vec<String>,
    /// Tokens of the prompt, which take room from captions.
    pub prompt: usize,
}

impl Subject<'_> {
    /// The limits on what a fine-tuned model can say: training shows it no more than `training.max_length` tokens with
    /// both ends, generation adds at most `generation.max_length - 1` pieces to the start token.
    pub fn limits(&self) -> Limits {
        let generation = &self.recipe.generation;
        Limits {
            pieces: (self.longest_trained().saturating_sub(2))
                .min(self.longest_generated().saturating_sub(1)),
            no_repeat_ngram_size: generation.no_repeat_ngram_size,
        }
    }

    /// Tokens of the longest caption, without a prompt, that training shows whole.
    pub fn longest_trained(&self) -> usize {
        self.recipe.training.max_length.saturating_sub(self.prompt)
    }

    /// Tokens of the longest caption, without a prompt, that generation says.
    pub fn longest_generated(&self) -> usize {
        self.recipe.generation.max_length.saturating_sub(self.prompt)
    }

    /// Tokens, without a prompt, that generation says at least.
    pub fn shortest_generated(&self) -> usize {
        self.recipe.generation.min_length.saturating_sub(self.prompt)
    }

    /// A limit that leaves captions of so many tokens whole.
    pub fn limit_for(&self, tokens: usize) -> usize {
        (tokens + self.prompt).next_multiple_of(STEP)
    }

    /// Optimizer steps of a whole run, where there are `examples` training images.
    pub fn total_steps(&self, examples: usize) -> usize {
        total_steps(self.recipe, examples)
    }
}

/// Optimizer steps of a whole run, where there are `examples` training images.
pub fn total_steps(recipe: &Recipe, examples: usize) -> usize {
    recipe.training.total_steps(recipe.training.train_examples.of(examples))
}

/// A fine-tuned run that uses `model`.
pub fn is_trained_on(run: &RunSpec, model: &str) -> bool {
    run.recipe.kind == Kind::FineTuned && run.recipe.model == model
}

/// The fine-tuned runs of a plan that use the model of `corpus`, in groups that an audit cannot tell apart.
pub fn subjects<'a>(runs: &'a [RunSpec], corpus: &Corpus) -> Result<Vec<Subject<'a>>, TokenizerError> {
    let mut found: Vec<(Value, Subject)> = Vec::new();
    let trained = runs.iter().filter(|run| is_trained_on(run, &corpus.model));
    for run in trained {
        let seen = what_is_seen(&run.recipe);
        match found.iter_mut().find(|(other, _)| *other == seen) {
            Some((_, subject)) => subject.runs.push(run.id.clone()),
            None => {
                // Both ends are no part of it.
                let prompt = corpus.tokenizer.encode(&run.recipe.training.prompt, usize::MAX)?.len() - 2;
                found.push((seen, Subject { recipe: &run.recipe, runs: vec![run.id.clone()], prompt }));
            }
        }
    }
    Ok(found.into_iter().map(|(_, subject)| subject).collect())
}

fn what_is_seen(recipe: &Recipe) -> Value {
    let (training, evaluation) = (&recipe.training, &recipe.evaluation);
    json!([
        recipe.generation,
        training.max_length,
        training.start_token,
        training.prompt,
        training.mask_padding,
        training.train_examples,
        training.batch_size,
        training.gradient_accumulation_steps,
        training.epochs,
        training.max_steps,
        training.lr_scheduler_type,
        training.warmup_steps,
        training.warmup_ratio,
        evaluation.samples,
        evaluation.test_samples,
        evaluation.convention,
        evaluation.cider_weight,
    ])
}
