//! What the sweep cost, and what a run that is about as good would have.

use askama::Template;

use crate::report::contest::Contest;
use crate::report::cost::{Costs, RunCost, encoded};
use crate::report::findings::{Findings, Study};
use crate::report::format::{ABSENT, decimals, duration, plural, share, size};
use crate::report::metrics::metric_name;
use crate::report::tables::RunRow;
use crate::report::text_table::{Cell, Row, Table};

#[derive(Template)]
#[template(path = "cost.html")]
pub struct CostSection {
    in_words: String,
    runs: Table,
}

/// The section; absent where no run recorded its time.
pub fn cost_section(study: &Study, findings: &Findings) -> Option<CostSection> {
    let costs = Costs::of(study)?;
    let sentences = [
        Some(total(&costs)),
        findings.best.and_then(|best| best_against_all(&costs, best)),
        cheaper(&costs, findings),
        in_vain(&costs, findings),
        kept_images(study),
    ];
    Some(CostSection {
        in_words: sentences.into_iter().flatten().collect::<Vec<_>>().join(" "),
        runs: table(study, &costs),
    })
}

fn table(study: &Study, costs: &Costs) -> Table {
    let mut table = Table::new(&[
        "run",
        "#time",
        "#of all",
        "#training steps",
        "#epochs",
        "#images encoded",
        "#peak memory",
    ]);
    table.add_column(format!("validation {}", metric_name(study.ranked_by)));
    for RunCost { row, seconds, share: of_all, training } in &costs.runs {
        let number =
            |value: Option<usize>| value.map_or_else(|| ABSENT.to_owned(), |value| value.to_string());
        let cells = [
            row.name(),
            duration(Some(*seconds)),
            percentage(*of_all),
            share(*training),
            number(row.epochs),
            number(row.images_encoded),
            row.peak_memory_bytes.map_or_else(|| ABSENT.to_owned(), |bytes| size(bytes as u64)),
            decimals(study.ranked_value(row)),
        ];
        let class = if row.is_reference() { "reference" } else { "" };
        table.rows.push(Row { class, cells: cells.into_iter().map(Cell::plain).collect() });
    }
    table
}

/// Runs of little cost are not free.
fn percentage(part: f64) -> String {
    if part > 0.0 && part < 0.005 { "< 1 %".to_owned() } else { share(Some(part)) }
}

fn total(costs: &Costs) -> String {
    let references = costs.seconds_of(RunRow::is_reference);
    let rest = if references > 0.0 {
        format!(", {} of it for reference runs", percentage(references / costs.seconds))
    } else {
        String::new()
    };
    format!(
        "{} took {} in all{rest}; by the clock less where runs were at work side by side.",
        plural(costs.runs.len(), "run"),
        duration(Some(costs.seconds))
    )
}

fn best_against_all(costs: &Costs, best: &RunRow) -> Option<String> {
    let cost = costs.of_run(&best.run)?;
    let others = costs.runs.len() > 1;
    others.then(|| {
        format!("The best run took {}, {} of that.", duration(Some(cost.seconds)), percentage(cost.share))
    })
}

/// The cheapest run among those that the images do not tell from the best.
fn cheaper(costs: &Costs, findings: &Findings) -> Option<String> {
    let Contest { tied_with_first, images, .. } = findings.contest.as_ref()?;
    let best = costs.of_run(&findings.best?.run)?;
    let tied = tied_with_first.iter().filter_map(|id| costs.of_run(id)).filter(|cost| cost.row.is_complete());
    let cheapest = tied.min_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    (cheapest.seconds < 0.9 * best.seconds).then(|| {
        format!(
            "The cheapest run that {images} {} images do not tell from it, {}, took {}.",
            findings.images.name(),
            cheapest.row.name(),
            duration(Some(cheapest.seconds))
        )
    })
}

fn in_vain(costs: &Costs, findings: &Findings) -> Option<String> {
    let broken: Vec<&RunCost> = findings
        .broken
        .iter()
        .filter_map(|row| costs.of_run(&row.run))
        .filter(|cost| cost.seconds > 0.0)
        .collect();
    let seconds: f64 = broken.iter().map(|cost| cost.seconds).sum();
    let verb = if broken.len() == 1 { "run that failed or diverged" } else { "runs that failed or diverged" };
    (!broken.is_empty()).then(|| format!("{} went into {} {verb}.", duration(Some(seconds)), broken.len()))
}

/// Below the first unfrozen layer an image's state is a constant of the run, and kept.
fn kept_images(study: &Study) -> Option<String> {
    let found = encoded(study);
    (found.runs > 0 && found.encoded < found.trained_on).then(|| {
        format!(
            "The frozen part of the vision model encoded {} images for training and evaluating {} and kept them for later \
             epochs as far as memory reached; training steps alone took {}.",
            found.encoded,
            plural(found.runs, "fine-tuned run"),
            plural(found.trained_on, "image")
        )
    })
}
