//! The audit in words, and the range that scores lie in.

use std::collections::HashSet;

use askama::Template;

use crate::record::audit::{AttainableRange, Finding, MetricRange};
use crate::report::comparison::Images;
use crate::report::findings::{Findings, Study};
use crate::report::format::{decimals, plural, share};
use crate::report::metrics::Metric;
use crate::report::settings::value_text;
use crate::report::tables::RunRow;
use crate::report::text_table::Table;

#[derive(Template)]
#[template(path = "audit.html")]
pub struct AuditSection {
    lengths: String,
    findings: Vec<Line>,
    range: Table,
    range_note: String,
}

/// A finding, finished text.
struct Line {
    severity: &'static str,
    meaning: String,
    remedy: String,
    /// Which runs have it, where not all do.
    runs: String,
}

/// The section; absent where no audit was made.
pub fn audit_section(study: &Study, findings: &Findings) -> Option<AuditSection> {
    let audit = study.sweep.audit.as_ref()?;
    let lengths = audit.lengths.iter().map(|lengths| {
        format!(
            "The {} training captions have {:.0} words on average and {} at most, or {:.0} and {} tokens of the model’s \
             vocabulary.",
            lengths.captions, lengths.words.mean, lengths.words.max, lengths.tokens.mean, lengths.tokens.max
        )
    });
    let range = range_of_best(study, findings);
    Some(AuditSection {
        lengths: lengths.collect::<Vec<_>>().join(" "),
        findings: audit.findings.iter().map(|finding| line(study, finding)).collect(),
        range: range.map(|range| table(range, findings)).unwrap_or_default(),
        range_note: range.map(note).unwrap_or_default(),
    })
}

fn line(study: &Study, finding: &Finding) -> Line {
    let fine_tuned: HashSet<&str> = study.fine_tuned().map(|row| row.run.as_str()).collect();
    let all = fine_tuned.len();
    let concerned = finding.runs.iter().filter(|run| fine_tuned.contains(run.as_str())).count();
    let remedy = finding.remedy.as_ref();
    Line {
        severity: finding.severity.name(),
        meaning: finding.meaning.clone(),
        remedy: remedy
            .map_or_else(String::new, |remedy| format!("{}: {}", remedy.setting, value_text(&remedy.value))),
        runs: if concerned < all {
            format!("In {concerned} of {}.", plural(all, "run"))
        } else {
            String::new()
        },
    }
}

/// The range that the best run is measured by.
fn range_of_best<'a>(study: &Study<'a>, findings: &Findings) -> Option<&'a AttainableRange> {
    let audit = study.sweep.audit.as_ref()?;
    let split = findings.images.name();
    let best = findings.best.map(|best| best.run.as_str());
    let is_best = |range: &&AttainableRange| range.runs.iter().any(|run| Some(run.as_str()) == best);
    let of_split = || audit.ranges.iter().filter(|range| range.split == split);
    of_split().find(is_best).or_else(|| of_split().next())
}

fn table(range: &AttainableRange, findings: &Findings) -> Table {
    let systems: Vec<&RunRow> = findings.zero_shot.into_iter().chain(findings.best).collect();
    let has_nearest = range.metrics.values().any(|metric| metric.nearest.is_some());
    let mut table = Table::new(&["metric", "#constant caption", "#random caption"]);
    if has_nearest {
        table.add_column("nearest image".to_owned());
    }
    table.add_column("ceiling".to_owned());
    for system in &systems {
        table.add_column(system.name());
        table.add_column("place".to_owned());
    }
    for metric in Metric::SCORE_LAST {
        let Some(MetricRange { constant, random, nearest, ceiling, is_bound }) =
            range.metrics.get(metric.key()).copied()
        else {
            continue;
        };
        let mut cells = vec![metric.label().to_owned(), decimals(Some(constant)), decimals(Some(random))];
        if has_nearest {
            cells.push(decimals(nearest));
        }
        let sign = if is_bound { "≤" } else { "≈" };
        cells.push(format!("{sign} {}", decimals(Some(ceiling))));
        for system in &systems {
            let (scores, places) = match findings.images {
                Images::Validation => (&system.validation, &system.places[0]),
                Images::Test => (&system.test, &system.places[1]),
            };
            cells.extend([decimals(scores.of(metric)), share(places.of(metric))]);
        }
        table.add(cells);
    }
    table
}

fn note(range: &AttainableRange) -> String {
    format!(
        "On the {} {} images, by the convention {}. The floors look at no picture, but for the nearest image: they say the \
         training caption most like all others, one at random, or that of the training picture most alike. The ceiling is \
         every reference itself, rewritten to fit the limits on captions: ≤ where nothing can score more, ≈ where it is the \
         best that a search has found. The place is 0 % at the highest floor and 100 % at the ceiling.",
        range.images, range.split, range.convention
    )
}
