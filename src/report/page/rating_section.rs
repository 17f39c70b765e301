//! What people say of the captions: means, preference, agreement, and whether the metrics say the same.

use askama::Template;

use crate::analysis::Interval;
use crate::report::format::{ABSENT, decimals, from_to, list, plural, share, signed};
use crate::report::metrics::Metric;
use crate::report::rating::{Agreement, Evaluation, Rated, Relation};
use crate::report::tables::schema::{Meaning, RATINGS};
use crate::report::text_table::Table;

#[derive(Template)]
#[template(path = "rating_section.html")]
pub struct RatingSection {
    summary: String,
    systems: Table,
    differences: Vec<String>,
    agreement: String,
    relation: &'static str,
    metrics: Table,
    columns: &'static [Meaning],
}

const RELATION: &str = "Spearman's rank correlation between a caption's accuracy, as people see it, and its score by a metric: 1 where both \
     order the captions alike, 0 where one says nothing of the other. All rated captions together; the interval is over images.";

pub fn rating_section(evaluation: &Evaluation) -> RatingSection {
    RatingSection {
        summary: summary(evaluation),
        systems: systems(&evaluation.systems),
        differences: differences(&evaluation.systems),
        agreement: agreement(&evaluation.agreement, evaluation.raters),
        relation: RELATION,
        metrics: metrics(&evaluation.metrics),
        columns: RATINGS,
    }
}

fn summary(evaluation: &Evaluation) -> String {
    format!(
        "{} judged captions of {} without knowing whose they were: accuracy and fluency from 1 to 5, and which caption they \
         would rather have. Means over images, with 95 % bootstrap intervals.",
        plural(evaluation.raters, "rater"),
        plural(evaluation.images, "image"),
    )
}

fn systems(systems: &[Rated]) -> Table {
    let mut table = Table::new(&[
        "captions of",
        "#images",
        "#accuracy",
        "#95 %",
        "#fluency",
        "#95 %",
        "#preferred",
        "#95 %",
    ]);
    for rated in systems {
        let scale = |interval: Option<Interval>| [number(interval), range(interval)];
        let [accuracy, fluency] = [rated.accuracy, rated.fluency].map(scale);
        let preferred = [
            share(rated.preferred.map(|interval| interval.estimate)),
            rated.preferred.map_or_else(none, |of| from_to(of, |end| share(Some(end)))),
        ];
        let first = [rated.label.clone(), rated.images.to_string()];
        table.add(first.into_iter().chain(accuracy).chain(fluency).chain(preferred));
    }
    table
}

/// Every other system against the first.
fn differences(systems: &[Rated]) -> Vec<String> {
    let [first, others @ ..] = systems else { return Vec::new() };
    let sentence = |other: &Rated| {
        let parts = [("accurate", other.accuracy_gain), ("fluent", other.fluency_gain)];
        let parts: Vec<String> =
            parts.into_iter().filter_map(|(word, gain)| Some(in_words(word, gain?))).collect();
        let all = list(&parts);
        (!parts.is_empty())
            .then(|| format!("On the same images {}, compared with {}, is {all}.", other.label, first.label))
    };
    others.iter().filter_map(sentence).collect()
}

fn in_words(word: &str, gain: Interval) -> String {
    let what = match gain {
        gain if gain.low > 0.0 => format!("more {word}"),
        gain if gain.high < 0.0 => format!("less {word}"),
        _ => format!("not clearly more or less {word}"),
    };
    format!("{what} ({}, 95 % interval {})", signed(gain.estimate), from_to(gain, signed))
}

fn agreement(agreement: &Agreement, raters: usize) -> String {
    if raters < 2 {
        return "With one rater there is no agreement to measure: how far these numbers depend on who rates is not known.".to_owned();
    }
    let kinds = [
        ("accuracy", agreement.accuracy),
        ("fluency", agreement.fluency),
        ("preference", agreement.preference),
    ];
    let measured: Vec<String> = kinds
        .into_iter()
        .map(|(kind, alpha)| match alpha {
            Some(_) => format!("{} for {kind}", decimals(alpha)),
            None => format!("not defined for {kind} (no two raters judged the same, or all judged alike)"),
        })
        .collect();
    format!(
        "Krippendorff's alpha is {}: 1 is perfect agreement and 0 what chance alone would give. He asks for 0.8, and for 0.667 \
         where tentative conclusions will do.",
        list(&measured)
    )
}

fn metrics(relations: &[Relation]) -> Table {
    let mut table = Table::new(&["metric", "#captions", "#correlation with accuracy", "#95 %"]);
    for relation in relations.iter().filter(|relation| relation.captions > 0) {
        table.add([
            label(relation.metric).to_owned(),
            relation.captions.to_string(),
            number(relation.correlation),
            range(relation.correlation),
        ]);
    }
    table
}

fn label(key: &'static str) -> &'static str {
    Metric::ALL.into_iter().find(|metric| metric.key() == key).map_or(key, Metric::label)
}

fn number(interval: Option<Interval>) -> String {
    decimals(interval.map(|interval| interval.estimate))
}

fn range(interval: Option<Interval>) -> String {
    interval.map_or_else(none, |of| from_to(of, |end| decimals(Some(end))))
}

fn none() -> String {
    ABSENT.to_owned()
}
