//! What a recipe makes unreachable, before any training: from captions and settings, and pictures where they are given.
//!
//! ```text
//! corpus     captions and their tokens               lengths   what limits cut and forbid
//! subject    runs that an audit need not tell apart  recipe    faults that settings show
//! reachable  a reference rewritten within limits     wording   what scoring and tokenizer make of words
//! range      floors and ceilings of every metric     leaks     what is there twice
//! pictures   what looking at images adds             copies    one picture in two files
//! style      training captions beside references     optimisation    settings under which little is learnt
//! ```
//!
//! [`audit`] is the way in. A finding has a severity, a number, a sentence and the setting that mends it.

mod copies;
pub mod corpus;
mod lengths;
mod leaks;
mod optimisation;
pub mod pictures;
mod range;
mod reachable;
mod recipe;
mod style;
mod subject;
#[cfg(test)]
mod tests;
mod wording;
mod words;

pub use corpus::Corpus;
pub use pictures::{Picture, Pictures};
pub use range::add_nearest;
pub use words::{count_of, share_of};

use serde_json::Value;

use self::range::{Yardstick, attainable};
use self::reachable::Limits;
use self::subject::{Subject, is_trained_on, subjects};
use super::text_domain;
use crate::data::tokenizer::TokenizerError;
use crate::record::RunSpec;
use crate::record::audit::{AttainableRange, Audit, Finding, FindingKind, Remedy, Severity, Unit, VERSION};
use crate::record::recipe::Evaluation;

/// A finding before it is known which runs have it.
struct Found {
    kind: FindingKind,
    severity: Severity,
    number: f64,
    unit: Unit,
    meaning: String,
    remedy: Option<(&'static str, Value)>,
}

impl Found {
    fn of(self, runs: &[String]) -> Finding {
        let Self { kind, severity, number, unit, meaning, remedy } = self;
        let remedy = remedy.map(|(setting, value)| Remedy { setting: setting.to_owned(), value });
        Finding { kind, severity, number, unit, meaning, remedy, runs: runs.to_vec() }
    }
}

/// How severe a number is that reaches one of `[severe, warning, note]`; `None` where it reaches none.
fn severity(number: f64, [severe, warning, note]: [f64; 3]) -> Option<Severity> {
    match number {
        _ if number >= severe => Some(Severity::Severe),
        _ if number >= warning => Some(Severity::Warning),
        _ if number >= note => Some(Severity::Note),
        _ => None,
    }
}

/// Audits the fine-tuned runs of a plan, all of one data set; `corpora` has one entry for each model that they use.
///
/// Fails where a tokenizer cannot decode what it has encoded.
pub fn audit(runs: &[RunSpec], corpora: &[Corpus]) -> Result<Audit, TokenizerError> {
    let mut audit = Audit { v: VERSION, ..Audit::default() };
    for corpus in corpora {
        let subjects = subjects(runs, corpus)?;
        let all: Vec<String> = subjects.iter().flat_map(|subject| subject.runs.clone()).collect();
        audit.lengths.push(lengths::lengths(corpus));
        if audit.domain.is_none() {
            let source: Vec<&str> = corpus.source.iter().map(String::as_str).collect();
            audit.domain = text_domain::compare(&corpus.train_captions().collect::<Vec<_>>(), &source);
        }
        of_data(corpus).into_iter().for_each(|found| add(&mut audit.findings, found.of(&all)));
        for run in runs.iter().filter(|run| is_trained_on(run, &corpus.model)) {
            let steps = subject::total_steps(&run.recipe, corpus.train.len());
            for found in optimisation::of(&run.recipe, steps) {
                add(&mut audit.findings, found.of(std::slice::from_ref(&run.id)));
            }
        }
        let pieces = range::pieces(corpus);
        let mut scored: Vec<(&Evaluation, Vec<Yardstick>)> = Vec::new();
        let mut ranges: Vec<(Limits, &Evaluation, Vec<AttainableRange>)> = Vec::new();
        for subject in &subjects {
            let (limits, evaluation) = (subject.limits(), &subject.recipe.evaluation);
            if !scored.iter().any(|(other, _)| is_scored_alike(other, evaluation)) {
                scored.push((evaluation, range::yardsticks(corpus, evaluation)?));
            }
            let Some((evaluation, yardsticks)) =
                scored.iter().find(|(other, _)| is_scored_alike(other, evaluation))
            else {
                continue;
            };
            if !ranges.iter().any(|(l, e, _)| *l == limits && e == evaluation) {
                let of_split = |yardstick| attainable(corpus, &pieces, limits, yardstick);
                let found = yardsticks.iter().map(of_split).collect::<Result<_, _>>()?;
                ranges.push((limits, *evaluation, found));
            }
            let shared = ranges.iter_mut().filter(|(l, e, _)| *l == limits && e == evaluation);
            shared.flat_map(|(_, _, found)| found).for_each(|range| range.runs.extend(subject.runs.clone()));
            let most_images = yardsticks.iter().max_by_key(|yardstick| yardstick.images);
            let perfect = most_images.map_or(10.0, |yardstick| yardstick.perfect_cider_d);
            for found in of_recipe(corpus, subject, perfect) {
                add(&mut audit.findings, found.of(&subject.runs));
            }
        }
        audit.ranges.extend(ranges.into_iter().flat_map(|(_, _, found)| found));
    }
    audit.findings.sort_by_key(|finding| (finding.severity, finding.kind));
    Ok(audit)
}

/// Whether captions get the same scores on the same images.
fn is_scored_alike(a: &Evaluation, b: &Evaluation) -> bool {
    let scored = |evaluation: &Evaluation| Evaluation {
        batch_size: 0,
        eval_every: 1,
        diagnostics: true,
        ..evaluation.clone()
    };
    scored(a) == scored(b)
}

fn of_data(corpus: &Corpus) -> Vec<Found> {
    let found = [
        recipe::few_validation_images(corpus),
        style::other_style(corpus),
        pictures::wrong_pairs(corpus),
        wording::unknown_words(corpus),
        leaks::shared_images(corpus),
        leaks::shared_captions(corpus),
        leaks::duplicate_captions(corpus),
        leaks::unbalanced_groups(corpus),
    ];
    found.into_iter().chain(copies::copies(corpus)).flatten().collect()
}

fn of_recipe(corpus: &Corpus, subject: &Subject, perfect_cider_d: f64) -> Vec<Found> {
    let found = [
        lengths::cut_in_training(corpus, subject),
        lengths::cut_in_generation(corpus, subject),
        lengths::forbidden_repeats(corpus, subject),
        lengths::repetition_penalty(corpus, subject),
        lengths::min_length(corpus, subject),
        recipe::start_token(subject),
        recipe::padding_in_loss(corpus, subject),
        wording::scoring_convention(corpus, subject, perfect_cider_d),
        recipe::warm_up(corpus, subject),
        recipe::few_training_images(corpus, subject),
        recipe::few_images_scored(corpus, subject),
    ];
    found.into_iter().flatten().collect()
}

/// Adds a finding, or its runs to one that says the same.
fn add(findings: &mut Vec<Finding>, finding: Finding) {
    match findings.iter_mut().find(|other| other.kind == finding.kind && other.meaning == finding.meaning) {
        Some(other) => {
            let new: Vec<String> = finding.runs.into_iter().filter(|run| !other.runs.contains(run)).collect();
            other.runs.extend(new);
        }
        None => findings.push(finding),
    }
}

/// The range on a split that a run's scores lie in: that of its own settings or, for a run that trains nothing, the first
/// by the same convention.
pub fn range_of<'a>(audit: &'a Audit, run: &RunSpec, split: &str) -> Option<&'a AttainableRange> {
    let convention = run.recipe.evaluation.convention.name();
    let of_split = || audit.ranges.iter().filter(|range| range.split == split);
    of_split()
        .find(|range| range.runs.contains(&run.id))
        .or_else(|| of_split().find(|range| range.convention == convention))
}
