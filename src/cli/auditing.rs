//! Audits a plan, and says in words what came of it: shared by `sweep audit` and `sweep run`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candle_core::Device;

use super::looking;
use super::table::{Align, Table};
use crate::analysis::audit::{self, Corpus};
use crate::data::{CaptionTokenizer, Dataset};
use crate::record::RunSpec;
use crate::record::audit::{AttainableRange, Audit, Finding, MetricRange, Severity};
use crate::record::recipe::Kind;
use crate::report::metrics::Metric;
use crate::run::download::fetched_model;
use crate::run::progress;
use crate::run::resolve::{resolve_data, tokenizer_folder};

/// What wide sentences are broken to.
pub const WIDTH: usize = 100;

/// What the column `place` of a table means.
pub const PLACE: &str =
    "place: from captions that look at no picture (0 %) to the best within the limits on captions (100 %)\n";

/// A place for a table: `63 %`, or `-` where none is known.
pub fn place_in_words(place: Option<f64>) -> String {
    place.map_or_else(|| "-".to_owned(), |place| format!("{:.0} %", 100.0 * place))
}

/// Audits a plan's fine-tuned runs by captions and settings, and by images where there is a device to look at them with.
/// Writes the built-in study below `runs` where the plan uses it.
pub fn of_plan(plan: &[RunSpec], runs: &Path, looks_on: Option<&Device>) -> anyhow::Result<Audit> {
    let trained = || plan.iter().filter(|run| run.recipe.kind == Kind::FineTuned);
    let models: BTreeSet<&str> = trained().map(|run| run.recipe.model.as_str()).collect();
    // Data is no setting, so all runs of a sweep share theirs.
    let Some(first) = trained().next() else { return Ok(Audit::default()) };
    let data = resolve_data(&first.recipe.data, runs)?;
    // Only who looks needs weights.
    let folder = |model: &str| match tokenizer_folder(model).filter(|_| looks_on.is_none()) {
        Some(folder) => Ok(folder),
        None => fetched_model(model, runs, progress::for_standard_error().as_mut()),
    };
    let folders: Vec<PathBuf> = models.iter().map(|model| folder(model)).collect::<anyhow::Result<_>>()?;
    let tokenizers: Vec<CaptionTokenizer> =
        folders.iter().map(|folder| CaptionTokenizer::load(folder)).collect::<Result<_, _>>()?;
    let dataset = Dataset::load(&data)?;
    let mut corpora: Vec<Corpus> = models
        .iter()
        .zip(&tokenizers)
        .map(|(model, tokenizer)| Corpus::new(model, dataset.clone(), tokenizer))
        .collect::<Result<_, _>>()?;
    if let Some(device) = looks_on {
        let hashes = looking::hashes(&dataset)?;
        for (corpus, folder) in corpora.iter_mut().zip(&folders) {
            corpus.pictures = Some(looking::look(folder, &dataset, &hashes, device)?);
        }
    }
    Ok(audit::audit(plan, &corpora)?)
}

/// All of an audit.
pub fn in_full(audit: &Audit, plan: &[RunSpec]) -> String {
    let mut text = String::new();
    for lengths in &audit.lengths {
        let (tokens, words) = (lengths.tokens, lengths.words);
        text.push_str(&format!(
            "{} training captions: {:.0} words on average, {} at most; {:.0} tokens on average, 95 % up to {}, {} at \
             most ({})\n",
            lengths.captions, words.mean, words.max, tokens.mean, tokens.p95, tokens.max, lengths.model
        ));
    }
    text.push('\n');
    if audit.findings.is_empty() {
        text.push_str("nothing found that stands in the way of good captions\n");
    }
    for finding in &audit.findings {
        text.push_str(&finding_in_words(finding, plan));
    }
    for range in &audit.ranges {
        text.push_str(&format!("\n{}", range_in_words(range, plan)));
    }
    text
}

/// What `sweep run` begins with: the severe findings and warnings, and between what the scores will lie.
pub fn in_short(audit: &Audit, plan: &[RunSpec]) -> String {
    let serious = audit.findings.iter().filter(|finding| finding.severity != Severity::Note);
    let mut text: String = serious.map(|finding| finding_in_words(finding, plan)).collect();
    let notes = audit.findings.iter().filter(|finding| finding.severity == Severity::Note).count();
    let notes = match notes {
        0 => String::new(),
        1 => "; 1 note".to_owned(),
        _ => format!("; {notes} notes"),
    };
    let range = audit.ranges.iter().find(|range| range.split == "test").or(audit.ranges.first());
    if let Some((range, score)) = range.and_then(|range| Some((range, range.metrics.get("score")?))) {
        text.push_str(&format!(
            "audit: {} scores lie between {:.3} (captions that look at no picture) and {:.3} ({}){notes}",
            range.split,
            score.floor(),
            score.ceiling,
            if score.is_bound { "a perfect answer" } else { "the best that was found within the limits" },
        ));
    }
    text
}

fn finding_in_words(finding: &Finding, plan: &[RunSpec]) -> String {
    let indent = " ".repeat(9);
    let mut text = String::new();
    for (number, line) in textwrap(&finding.meaning, WIDTH - indent.len()).into_iter().enumerate() {
        let margin = if number == 0 { format!("{:<9}", finding.severity.name()) } else { indent.clone() };
        text.push_str(&format!("{margin}{line}\n"));
    }
    let concerned = concerned(&finding.runs, plan);
    match &finding.remedy {
        Some(remedy) => {
            text.push_str(&format!("{indent}mend: {}={}{concerned}\n", remedy.setting, remedy.value));
        }
        None if concerned.is_empty() => {}
        None => text.push_str(&format!("{indent}{}\n", concerned.trim_start())),
    }
    text
}

/// `  (3 of 8 runs)`; nothing where it is all of them.
fn concerned(runs: &[String], plan: &[RunSpec]) -> String {
    let all = plan.iter().filter(|run| run.recipe.kind == Kind::FineTuned).count();
    if runs.len() >= all { String::new() } else { format!("  ({} of {all} runs)", runs.len()) }
}

fn range_in_words(range: &AttainableRange, plan: &[RunSpec]) -> String {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("constant caption", Align::Right),
        ("random caption", Align::Right),
        ("nearest image", Align::Right),
        ("ceiling", Align::Right),
        ("", Align::Left),
    ]);
    for metric in Metric::SCORE_LAST {
        let Some(MetricRange { constant, random, nearest, ceiling, is_bound }) =
            range.metrics.get(metric.key()).copied()
        else {
            continue;
        };
        let number = |value: f64| format!("{value:.3}");
        table.row([
            metric.label().to_owned(),
            number(constant),
            number(random),
            nearest.map_or_else(|| "-".to_owned(), number),
            number(ceiling),
            if is_bound { "bound" } else { "best found" }.to_owned(),
        ]);
    }
    format!(
        "what {} {} images can score, convention {}{}\n{table}",
        range.images,
        range.split,
        range.convention,
        concerned(&range.runs, plan)
    )
}

/// The text in lines of at most so many characters, broken between words.
pub fn textwrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_break_between_words() {
        assert_eq!(textwrap("one two three", 7), ["one two", "three"]);
        assert_eq!(textwrap("a-very-long-word x", 4), ["a-very-long-word", "x"]);
        assert_eq!(textwrap("", 4), [""]);
    }
}
