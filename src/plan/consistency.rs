//! Whether captions are generated as they were trained.
//!
//! A model can only say what training showed it: captions that begin with its start token, and no longer than
//! training let them be. [`mismatches`] compares the two; [`warnings`] does so for a whole plan. What makes captions
//! unreachable in other ways (forbidden repetitions, penalties) is not looked at here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Facts;
use crate::record::RunSpec;
use crate::record::recipe::{Generation, Kind, StartToken, Training};

/// What training fixed that generation has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trained {
    pub start_token: StartToken,
    /// Captions were cut to this many tokens.
    pub max_length: usize,
    /// Tokens of the longest training caption before it was cut, start and end token included; `None` where that is
    /// not known.
    pub longest_caption: Option<usize>,
}

impl Trained {
    pub fn new(training: &Training, longest_caption: Option<usize>) -> Self {
        Self { start_token: training.start_token, max_length: training.max_length, longest_caption }
    }
}

/// What of training and generation does not fit together, each a sentence without its full stop; empty where all is
/// well. Where the longest caption is known, limits that no caption reaches are no mismatch.
pub fn mismatches(trained: &Trained, generation: &Generation) -> Vec<String> {
    [start_token(trained), too_short(trained, generation), too_long(trained, generation)]
        .into_iter()
        .flatten()
        .collect()
}

fn start_token(trained: &Trained) -> Option<String> {
    (trained.start_token == StartToken::Cls).then(|| {
        "training begins captions with [CLS] (`start_token: cls`), generation always with [DEC]: it starts from a token \
         that fine-tuning never showed the model"
            .to_owned()
    })
}

fn too_short(trained: &Trained, generation: &Generation) -> Option<String> {
    let (limit, most) = (generation.max_length, trained.max_length);
    let learnt = trained.longest_caption.map_or(most, |longest| longest.min(most));
    let limits = format!("`generation.max_length` is {limit}, below `training.max_length` ({most})");
    (limit < learnt).then(|| match trained.longest_caption {
        Some(_) => {
            format!(
                "{limits}, and captions have up to {learnt} tokens: the longest are cut off when generated"
            )
        }
        None => format!("{limits}: longer captions are learnt but cut off when generated"),
    })
}

fn too_long(trained: &Trained, generation: &Generation) -> Option<String> {
    let (limit, most) = (generation.max_length, trained.max_length);
    let limits = format!("`generation.max_length` is {limit}, above `training.max_length` ({most})");
    match trained.longest_caption {
        _ if limit <= most => None,
        Some(longest) if longest <= most => None,
        Some(longest) => Some(format!(
            "{limits}, and the longest caption has {longest} tokens: the model never learns what comes beyond {most}"
        )),
        None => {
            Some(format!("{limits}: where training cuts captions, the model never learns what comes beyond"))
        }
    }
}

/// A mismatch in runs of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub message: String,
    /// The ids of the runs that have it.
    pub runs: Vec<String>,
}

/// The mismatches of all runs that train, each once with its runs, in the plan's order.
pub fn warnings(runs: &[RunSpec], facts: &Facts) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = Vec::new();
    // Most runs of a plan share these settings: each combination is looked at once.
    let mut place_of: BTreeMap<String, usize> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned) {
        // Most words are one token; which are more only a tokenizer knows, and none is at hand here.
        let prompt = run.recipe.training.prompt.split_whitespace().count();
        let longest = facts.longest_captions.get(&run.recipe.model).map(|longest| longest + prompt);
        for message in mismatches(&Trained::new(&run.recipe.training, longest), &run.recipe.generation) {
            let place = *place_of.entry(message.clone()).or_insert(warnings.len());
            if place == warnings.len() {
                warnings.push(Warning { message, runs: Vec::new() });
            }
            warnings[place].runs.push(run.id.clone());
        }
    }
    warnings
}

/// Warnings for people, a line each; one that does not hold for all runs that train says for how many it does.
pub fn in_words(warnings: &[Warning], runs: &[RunSpec]) -> Vec<String> {
    let trained = runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned).count();
    let line = |Warning { message, runs }: &Warning| match runs.len() {
        count if count == trained => format!("warning: {message}"),
        count => format!("warning: in {count} of {trained} fine-tuned runs, {message}"),
    };
    warnings.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::expand;
    use crate::record::recipe::Generation;
    use crate::spec::{Preset, parse};

    fn found(
        start_token: StartToken,
        trained: usize,
        longest: Option<usize>,
        generated: usize,
    ) -> Vec<String> {
        let trained = Trained { start_token, max_length: trained, longest_caption: longest };
        mismatches(&trained, &Generation { max_length: generated, ..Preset::Corrected.recipe().generation })
    }

    #[test]
    fn nothing_is_said_where_generation_fits_training() {
        for longest in [None, Some(10), Some(60), Some(100)] {
            assert_eq!(found(StartToken::Dec, 60, longest, 60), [""; 0], "{longest:?}");
        }
        // Fifty-seven tokens are learnt and said, whatever room there is beyond.
        assert_eq!(found(StartToken::Dec, 128, Some(57), 80), [""; 0]);
        assert_eq!(found(StartToken::Dec, 57, Some(57), 80), [""; 0]);
        assert_eq!(found(StartToken::Dec, 128, Some(57), 57), [""; 0]);
    }

    #[test]
    fn a_limit_below_or_above_the_trained_one_and_a_start_from_cls_are_mismatches() {
        let all = [
            found(StartToken::Cls, 60, None, 60),
            found(StartToken::Dec, 60, None, 59),
            found(StartToken::Dec, 128, Some(57), 56),
            found(StartToken::Dec, 60, None, 61),
            found(StartToken::Dec, 56, Some(57), 60),
            found(StartToken::Cls, 60, Some(83), 30),
        ];
        insta::assert_snapshot!(all.concat().join("\n"), @"
        training begins captions with [CLS] (`start_token: cls`), generation always with [DEC]: it starts from a token that fine-tuning never showed the model
        `generation.max_length` is 59, below `training.max_length` (60): longer captions are learnt but cut off when generated
        `generation.max_length` is 56, below `training.max_length` (128), and captions have up to 57 tokens: the longest are cut off when generated
        `generation.max_length` is 61, above `training.max_length` (60): where training cuts captions, the model never learns what comes beyond
        `generation.max_length` is 60, above `training.max_length` (56), and the longest caption has 57 tokens: the model never learns what comes beyond 56
        training begins captions with [CLS] (`start_token: cls`), generation always with [DEC]: it starts from a token that fine-tuning never showed the model
        `generation.max_length` is 30, below `training.max_length` (60), and captions have up to 60 tokens: the longest are cut off when generated
        ");
        assert_eq!(all.map(|messages| messages.len()), [1, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn a_plan_has_each_warning_once_with_the_runs_it_holds_for() {
        let text = "model: lab\nparameters: {training.max_length: [40, 60], generation.max_length: [60], learning_rate: [1e-4, 1e-3]}";
        let plan = expand(&parse(text, "study.yaml", &[]).unwrap()).unwrap();
        let found = warnings(&plan.runs, &Facts::default());
        assert_eq!(found.iter().map(|warning| warning.runs.len()).collect::<Vec<_>>(), [2]);
        let of_run = |id: &String| plan.runs.iter().find(|run| run.id == *id).unwrap();
        assert!(found[0].runs.iter().all(|id| of_run(id).recipe.training.max_length == 40));
        assert!(in_words(&found, &plan.runs)[0].starts_with("warning: in 2 of 4 fine-tuned runs, `gen"));
        let facts = Facts { longest_captions: [("lab".to_owned(), 40)].into(), ..Facts::default() };
        assert_eq!(warnings(&plan.runs, &facts), []);
        let mut runs = plan.runs.clone();
        runs.iter_mut().for_each(|run| run.recipe.training.prompt = "a picture of".to_owned());
        let found = warnings(&runs, &facts);
        assert!(found[0].message.contains("the longest caption has 43 tokens"), "{found:?}");
    }
}
