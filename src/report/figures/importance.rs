//! Figure: how much of the scatter of the scores each setting accounts for.

use std::cmp::Reverse;

use serde_json::Value;

use super::{Figure, Words, fitted, scoring, single};
use crate::analysis::importance::{Axis, Importance, LEAST_RUNS, Share, importance};
use crate::report::charts::share_bars::{ShareBar, ShareBars};
use crate::report::findings::Study;
use crate::report::format::{ABSENT, decimals, from_to, list, plural, share};
use crate::report::metrics::metric_name;
use crate::report::settings::{SEED, name_of, value_text};
use crate::report::text_table::Table;

pub const NAME: &str = "importance";

const LABEL_CHARACTERS: usize = 24;
/// An axis without effect has a smaller p in one of twenty studies.
const CLEAR: f64 = 0.05;

/// The values of a setting in the ranked runs; nothing where it does not act.
enum Values {
    Categories(Vec<Option<usize>>),
    Numbers(Vec<Option<f64>>),
}

/// The figure, or why there is none in a sentence. Nothing where no setting varies or no run has a result.
///
/// The seed is no axis: what it does is the noise that the others are held against.
pub fn figure(study: &Study) -> anyhow::Result<Option<Result<Figure, String>>> {
    let paths: Vec<&String> = study.varying.iter().filter(|path| *path != SEED).collect();
    let scores: Vec<f64> = study.ranked().map(|row| study.ranked_value(row).unwrap_or(f64::NAN)).collect();
    if paths.is_empty() || scores.is_empty() {
        return Ok(None);
    }
    let values: Vec<Values> = paths.iter().map(|path| Values::of(study, path)).collect();
    let axes: Vec<Axis> = values.iter().map(Values::axis).collect();
    let Some(found) = importance(&axes, &scores) else { return Ok(Some(Err(reason(study, &scores)))) };
    let mut found: Vec<(String, Importance)> = paths.iter().map(|path| name_of(path)).zip(found).collect();
    // In steps of rounding, so that equal ones keep the order of the settings.
    found.sort_by_key(|(_, found)| Reverse(known(found).map(|share| (share.share.estimate * 1e9) as i64)));
    let bars: Vec<ShareBar> =
        found.iter().filter_map(|(name, found)| Some(bar(name, known(found)?))).collect();
    if bars.is_empty() {
        return Ok(Some(Err(format!("No setting's importance can be told.{}", unknown(&found)))));
    }
    let words = Words {
        name: NAME,
        title: "The importance of each setting".to_owned(),
        caption: caption(study, scores.len(), &found),
        table: table(&found),
        footnote: scoring(study),
    };
    let x_title = format!("share of the variance of the validation {}", metric_name(study.ranked_by));
    single(words, &ShareBars { x_title, bars }).map(|figure| Some(Ok(figure)))
}

impl Values {
    fn of(study: &Study, path: &str) -> Self {
        let values = || study.ranked().map(|row| row.settings.get(path));
        if values().flatten().all(Value::is_number) {
            return Self::Numbers(values().map(|value| value?.as_f64()).collect());
        }
        let mut levels: Vec<String> = values().flatten().map(value_text).collect();
        levels.sort();
        levels.dedup();
        let place = |value: &Value| levels.binary_search(&value_text(value)).ok();
        Self::Categories(values().map(|value| place(value?)).collect())
    }

    fn axis(&self) -> Axis<'_> {
        match self {
            Self::Categories(values) => Axis::Categories(values),
            Self::Numbers(values) => Axis::Numbers(values),
        }
    }
}

fn known(importance: &Importance) -> Option<&Share> {
    match importance {
        Importance::Known(share) => Some(share),
        Importance::OneValue | Importance::Confounded => None,
    }
}

fn bar(name: &str, found: &Share) -> ShareBar {
    ShareBar {
        label: fitted(name, LABEL_CHARACTERS),
        share: found.share.estimate,
        interval: (found.share.low, found.share.high),
        note: format!("{}, p {}", share(Some(found.share.estimate)), p_text(found.p)),
        is_clear: found.p < CLEAR,
    }
}

fn p_text(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { decimals(Some(p)) }
}

fn interval(found: &Share) -> String {
    from_to(found.share, |end| share(Some(end)))
}

fn reason(study: &Study, scores: &[f64]) -> String {
    let metric = metric_name(study.ranked_by);
    let why = if scores.len() < LEAST_RUNS {
        format!(
            "{} have a validation {metric}, and it takes at least {LEAST_RUNS}",
            plural(scores.len(), "run")
        )
    } else if scores.iter().all(|score| score == &scores[0]) {
        format!("all runs have the same validation {metric}")
    } else {
        format!("{} are too few for the values of the settings that vary", plural(scores.len(), "run"))
    };
    format!("How important each setting is cannot be told: {why}.")
}

fn caption(study: &Study, runs: usize, found: &[(String, Importance)]) -> String {
    let most = found.iter().find_map(|(name, found)| Some((name, known(found)?)));
    let most = most.map_or_else(String::new, |(name, found)| {
        if found.share.estimate <= 0.0 {
            return " No setting accounts for more than one without effect would.".to_owned();
        }
        let not = if found.p < CLEAR { "" } else { ", which may be chance" };
        format!(
            " Most goes with {name}: {} (95 % interval {}){not}.",
            share(Some(found.share.estimate)),
            interval(found)
        )
    });
    format!(
        "How much of the scatter of the validation {} over {} each setting accounts for, less what one without effect \
         would take by chance (omega squared).{most} Solid bars are told from chance (p below {CLEAR}, each setting for \
         itself), outlined ones are not; whiskers are 95 % intervals. The rest is noise, the seed, and effects that hang \
         on each other.{}",
        metric_name(study.ranked_by),
        plural(runs, "run"),
        unknown(found)
    )
}

/// The settings that have no bar, and why.
fn unknown(found: &[(String, Importance)]) -> String {
    let names = |kind: Importance| -> Vec<String> {
        found.iter().filter(|(_, found)| *found == kind).map(|(name, _)| name.clone()).collect()
    };
    let (confounded, single) = (names(Importance::Confounded), names(Importance::OneValue));
    let mut words = String::new();
    if !confounded.is_empty() {
        words.push_str(&format!(
            " Not drawn: {}, because other settings change with it in part or wholly, and these runs cannot tell whose \
             the effect is.",
            list(&confounded)
        ));
    }
    if !single.is_empty() {
        words.push_str(&format!(" Not drawn: {}, of which only one value has a result.", list(&single)));
    }
    words
}

fn table(found: &[(String, Importance)]) -> Table {
    let mut table = Table::new(&["setting", "#share", "#95 % interval", "#p", "remark"]);
    for (name, importance) in found {
        let remark = match importance {
            Importance::Known(_) => "",
            Importance::OneValue => "one value",
            Importance::Confounded => "changes with other settings",
        };
        let found = known(importance);
        let cell = |text: fn(&Share) -> String| found.map_or_else(|| ABSENT.to_owned(), text);
        table.add([
            name.clone(),
            cell(|found| share(Some(found.share.estimate))),
            cell(interval),
            cell(|found| p_text(found.p)),
            remark.to_owned(),
        ]);
    }
    table
}
