//! Settings over their seeds: which combination is best, not which run.

use askama::Template;

use super::leaderboard::short_name;
use crate::analysis::Interval;
use crate::analysis::replication::Replicated;
use crate::report::comparison::Images;
use crate::report::findings::Study;
use crate::report::format::{ABSENT, decimals, from_to, plural, signed};
use crate::report::metrics::{Metric, metric_name};
use crate::report::seeds::{SeededSettings, Seeds};
use crate::report::settings::{SEED, short_label, value_text};
use crate::report::tables::schema::{Meaning, SETTINGS};
use crate::report::text_table::Table;

#[derive(Template)]
#[template(path = "seeds.html")]
pub struct SeedsSection {
    ranked_by: &'static str,
    split: &'static str,
    images: usize,
    settings: Table,
    columns: &'static [Meaning],
}

pub fn seeds_section(study: &Study, seeds: &Seeds) -> SeedsSection {
    SeedsSection {
        ranked_by: metric_name(study.ranked_by),
        split: seeds.images.name(),
        images: seeds.common,
        settings: table(study, seeds),
        columns: SETTINGS,
    }
}

/// The settings that differ, but for the seed.
fn varying(study: &Study) -> Vec<String> {
    study.varying.iter().filter(|path| *path != SEED).cloned().collect()
}

fn table(study: &Study, seeds: &Seeds) -> Table {
    let varying = varying(study);
    let mut table = Table::new(&["best run"]);
    varying.iter().for_each(|path| table.add_column(short_name(path)));
    let numbers = [
        "#seeds",
        "#score",
        "95 % interval",
        "#seed error",
        "#image error",
        "behind the best",
        "METEOR",
        "ROUGE-L",
        "CIDEr-D",
        "#BLEU-4",
    ];
    table.columns.extend(Table::new(&numbers).columns);
    for settings in &seeds.settings {
        let Some(run) = settings.best_run() else { continue };
        let score = settings.replicated(Metric::Score);
        let error = |value: fn(Replicated) -> f64| decimals(score.map(value));
        let value = |path: &String| run.settings.get(path).map_or_else(|| ABSENT.to_owned(), value_text);
        let with_interval = |metric| in_words(settings.mean(metric), settings.replicated(metric));
        let behind = settings.behind.map(|behind| signed_interval(behind.interval));
        let judged = [
            settings.runs.len().to_string(),
            decimals(settings.mean(Metric::Score)),
            score.map_or_else(|| ABSENT.to_owned(), |score| ends(score.interval)),
            error(|score| score.seed_error),
            error(|score| score.image_error),
            behind.unwrap_or_else(|| ABSENT.to_owned()),
            with_interval(Metric::Meteor),
            with_interval(Metric::RougeL),
            with_interval(Metric::CiderD),
            decimals(settings.bleu_4),
        ];
        table.add(std::iter::once(run.name()).chain(varying.iter().map(value)).chain(judged));
    }
    table
}

fn ends(interval: Interval) -> String {
    from_to(interval, |end| decimals(Some(end)))
}

fn signed_interval(interval: Interval) -> String {
    format!("{} ({})", signed(interval.estimate), from_to(interval, signed))
}

fn in_words(mean: Option<f64>, replicated: Option<Replicated>) -> String {
    match replicated {
        Some(found) => format!("{} ({})", decimals(mean), ends(found.interval)),
        None => decimals(mean),
    }
}

/// Whether the best settings really are, for other seeds and other images.
pub fn lead_of_settings(study: &Study, seeds: &Seeds) -> String {
    let (several, single): (Vec<_>, Vec<_>) =
        seeds.settings.iter().partition(|settings| settings.has_several_seeds());
    let parts = [
        judgement(study, seeds, &several),
        more_tied(&several),
        not_judged(&single),
        winner_elsewhere(seeds),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn judgement(study: &Study, seeds: &Seeds, several: &[&SeededSettings]) -> Option<String> {
    let named = |settings: &SeededSettings| {
        let label =
            settings.best_run().map(|run| short_label(&run.settings, &varying(study))).unwrap_or_default();
        let label = if label.is_empty() { String::new() } else { format!("{label}; ") };
        format!("({label}{})", plural(settings.runs.len(), "seed"))
    };
    let caution = match seeds.images {
        Images::Test => "",
        Images::Validation => ", the ones that chose the best epochs",
    };
    let on = format!("on {} {} images{caution}", seeds.common, seeds.images.name());
    let best = several.first()?;
    let score = best.replicated(Metric::Score)?;
    let mean = decimals(best.mean(Metric::Score));
    let Some((next, lead)) = several.get(1).and_then(|next| Some((next, next.behind?))) else {
        return Some(format!(
            "Not known: only one combination of settings {} has several seeds. It scores {mean}, 95 % interval {} for \
             other seeds and other images, {on}.",
            named(best),
            ends(score.interval)
        ));
    };
    let numbers = format!(
        "{} in score, 95 % interval {} for other seeds and other images, {on}",
        signed(lead.interval.estimate),
        from_to(lead.interval, signed)
    );
    let errors = format!(
        "Its standard error is {} for seeds and {} for images.",
        decimals(Some(lead.seed_error)),
        decimals(Some(lead.image_error))
    );
    let (best, next) = (named(best), named(next));
    Some(match lead.interval {
        interval if interval.low > 0.0 => {
            format!("Yes, as settings: the best ones {best} lead the next {next} by {numbers}. {errors}")
        }
        interval if interval.high < 0.0 => {
            format!(
                "No: the next settings {next} are better than the best by validation {best} ({numbers} for these). {errors}"
            )
        }
        _ => format!(
            "No significant winner among settings: from the next {next} to the best {best} it is {numbers}. {errors}"
        ),
    })
}

/// How many others are as good.
fn more_tied(several: &[&SeededSettings]) -> Option<String> {
    let others = several.get(1..).filter(|others| others.len() > 1)?;
    let tied =
        others.iter().filter(|settings| settings.behind.is_some_and(|behind| behind.interval.low <= 0.0));
    Some(format!(
        "Of the {} other settings with several seeds {} cannot be told from the best, each pair alone.",
        others.len(),
        tied.count()
    ))
}

fn not_judged(single: &[&SeededSettings]) -> Option<String> {
    match single.len() {
        0 => None,
        1 => Some("One more combination has a single seed and is not judged.".to_owned()),
        count => Some(format!("{count} more combinations have a single seed and are not judged.")),
    }
}

/// The best run may owe its place to its seed.
fn winner_elsewhere(seeds: &Seeds) -> Option<String> {
    let place =
        seeds.settings.iter().position(|settings| settings.runs.iter().any(|run| run.rank == Some(1)))?;
    let seeds_of_it = seeds.settings.get(place)?.runs.len();
    (place > 0 && seeds_of_it > 1).then(|| {
        format!("Run #1 is of other settings, which come {} in the mean over their seeds: its place is its seed's.", ordinal(place + 1))
    })
}

fn ordinal(place: usize) -> String {
    match place {
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        _ => format!("{place}th"),
    }
}
