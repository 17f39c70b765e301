//! The verdict: three to six plain sentences, each made of measured numbers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::advice::{advice, lead_is_open};
use super::seeds_section::lead_of_settings;
use super::simple::over_small_decoder;
use crate::analysis::Interval;
use crate::analysis::diagnosis::{Cause, Diagnosis};
use crate::report::comparison::{Comparison, Images};
use crate::report::contest::Contest;
use crate::report::findings::{Findings, Study};
use crate::report::format::{decimals, list, percent, plural, signed};
use crate::report::metrics::{Metric, metric_name};
use crate::report::settings::{long_label, short_label, value_text};
use crate::report::tables::RunRow;

/// A sentence or two, and what they are about.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub topic: &'static str,
    pub text: String,
    /// To copy into a sweep file or onto the command line; empty where there is nothing to copy.
    pub paste: String,
}

fn statement(topic: &'static str, text: String) -> Statement {
    Statement { topic, text, paste: String::new() }
}

/// More runs than this are counted, not named.
const MAX_NAMED: usize = 4;
/// Causes beyond this are left to the audit's section.
const MAX_CAUSES: usize = 3;

pub fn verdict(study: &Study, findings: &Findings) -> Vec<Statement> {
    let why = why(findings).map(|text| statement("Why no better?", text));
    let change = change(study, findings);
    let Some(best) = findings.best else {
        let nothing = statement("No result yet", nothing_yet(study));
        return [Some(nothing), why, change].into_iter().flatten().collect();
    };
    let against = [
        over_zero_shot(findings),
        over_floors(findings),
        over_small_decoder(findings),
        over_others(findings),
    ];
    let against: Vec<String> = against.into_iter().flatten().collect();
    let topics = [
        Some(statement("Best run", winner(study, findings, best))),
        (!against.is_empty()).then(|| statement("Does training pay?", against.join(" "))),
        lead(study, findings).map(|text| statement("Is the lead real?", text)),
        why,
        overfitting(study, findings).map(|text| statement("Overfitting", text)),
        change,
    ];
    topics.into_iter().flatten().collect()
}

/// The causes that were found, the worst first.
fn why(findings: &Findings) -> Option<String> {
    let told = |diagnosis: &&Diagnosis| diagnosis.cause != Cause::Overfitting;
    let mut causes: Vec<&str> =
        findings.diagnosis.iter().filter(told).map(|diagnosis| diagnosis.meaning.as_str()).collect();
    if causes.is_empty() {
        return None;
    }
    let more = causes.len().saturating_sub(MAX_CAUSES);
    causes.truncate(MAX_CAUSES);
    let rest = match more {
        0 => String::new(),
        1 => " The audit below has one more.".to_owned(),
        _ => format!(" The audit below has {more} more."),
    };
    Some(format!("{}{rest}", causes.join(" ")))
}

/// What to change next, in words and to paste.
fn change(study: &Study, findings: &Findings) -> Option<Statement> {
    let mut remedies: BTreeMap<&str, &Value> = BTreeMap::new();
    for remedy in findings.diagnosis.iter().filter_map(|diagnosis| diagnosis.remedy.as_ref()) {
        remedies.entry(&remedy.setting).or_insert(&remedy.value);
    }
    let advice = advice(study, findings);
    let wants_seeds = findings.best.is_some() && !findings.has_replications && lead_is_open(findings);
    if remedies.is_empty() && advice.is_none() {
        return None;
    }
    let mended = match remedies.len() {
        0 => None,
        1 => Some(
            "Mend what the diagnosis names, and run the sweep again: the new run is compared with the old."
                .to_owned(),
        ),
        count => Some(format!(
            "Mend the {count} settings that the diagnosis names, and run the sweep again: what they cost is then known."
        )),
    };
    let text: Vec<String> = mended.into_iter().chain(advice).collect();
    Some(Statement {
        topic: "What to change next",
        text: text.join(" "),
        paste: paste(&remedies, wants_seeds),
    })
}

/// The settings as groups of a sweep file.
fn paste(remedies: &BTreeMap<&str, &Value>, wants_seeds: bool) -> String {
    let mut lines = Vec::new();
    let mut group = "";
    for (path, value) in remedies {
        let (of, key) = path.split_once('.').unwrap_or(("", path));
        if of != group {
            lines.push(format!("{of}:"));
            group = of;
        }
        lines.push(format!("{}{key}: {}", if of.is_empty() { "" } else { "  " }, value_text(value)));
    }
    if wants_seeds {
        lines.push("seeds: [0, 1, 2]".to_owned());
    }
    lines.join("\n")
}

fn nothing_yet(study: &Study) -> String {
    let runs = study.fine_tuned().count();
    if runs == 0 {
        return "The plan has no run that fine-tunes the model; the tables below show the reference runs."
            .to_owned();
    }
    if study.fine_tuned().all(|row| row.is_complete()) {
        return "No epoch of any fine-tuned run was good enough to be its best: in all of them CIDEr-D was 0 and the \
                validation loss 1 or more. Their test scores are those of the model before training."
            .to_owned();
    }
    format!(
        "None of the {} has been evaluated after an epoch of training; the sections below show what there is.",
        plural(runs, "fine-tuned run")
    )
}

fn winner(study: &Study, findings: &Findings, best: &RunRow) -> String {
    let label = long_label(&best.settings, &study.varying);
    let settings = if label.is_empty() { String::new() } else { format!(" ({label})") };
    let epoch = best.best_epoch.map_or_else(String::new, |epoch| format!(", reached at epoch {epoch}"));
    let ranked = study.ranked().count();
    let test = match best.test.of(Metric::Score) {
        Some(score) => format!(" On the test images it scores {}.", decimals(Some(score))),
        None => " It has not been scored on test images.".to_owned(),
    };
    let state = if best.is_complete() { "" } else { " It has not come to its end." };
    let claim = match ranked {
        1 => "is the only fine-tuned run with a result; its validation".to_owned(),
        _ => format!("is the best of {} by validation", plural(ranked, "fine-tuned run")),
    };
    let start =
        if findings.best_below_start { " That is no better than the model before training." } else { "" };
    let name = metric_name(study.ranked_by);
    let value = decimals(study.ranked_value(best));
    format!("Run #1{settings} {claim} {name}: {value}{epoch}.{test}{state}{start}")
}

fn over_zero_shot(findings: &Findings) -> Option<String> {
    let comparison = findings.over_zero_shot.as_ref()?;
    let gains: Vec<(String, Interval)> = [Metric::Meteor, Metric::RougeL, Metric::CiderD]
        .into_iter()
        .filter_map(|metric| Some((metric.label().to_owned(), comparison.of(metric)?)))
        .collect();
    Some(format!(
        "On {} {}{}, compared with the model before training, it {}",
        comparison.images,
        findings.images.name(),
        if findings.images == Images::Test {
            " images"
        } else {
            " images (the ones it was chosen on, so read with care)"
        },
        gains_in_words(&gains)
    ))
}

fn over_floors(findings: &Findings) -> Option<String> {
    let gains = || findings.over_floors.iter().filter(|gain| gain.metric != Metric::Score);
    let floor = gains().next()?.floor;
    if gains().all(|gain| gain.floor == floor) {
        let gains: Vec<_> = gains().map(|gain| (gain.metric.label().to_owned(), gain.gain)).collect();
        return Some(format!(
            "Against the stronger floor, the {}, it {}",
            floor.label(),
            gains_in_words(&gains)
        ));
    }
    let gains: Vec<_> = gains()
        .map(|gain| (format!("{} over the {}", gain.metric.label(), gain.floor.label()), gain.gain))
        .collect();
    Some(format!("Against the stronger floor of each metric it {}", gains_in_words(&gains)))
}

fn over_others(findings: &Findings) -> Option<String> {
    let over = |(other, comparison): &(&RunRow, Option<Comparison>)| {
        let comparison = comparison.as_ref()?;
        let gain = |metric: Metric| Some((metric.label().to_owned(), comparison.of(metric)?));
        let gains: Vec<_> =
            [Metric::Meteor, Metric::RougeL, Metric::CiderD].into_iter().filter_map(gain).collect();
        let images = plural(comparison.images, "image");
        Some(format!("Against {}, on {images} that both captioned, it {}", other.run, gains_in_words(&gains)))
    };
    let said: Vec<String> = findings.others.iter().filter_map(over).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

/// `gains 0.1 in A (95 % interval 0.05 to 0.15), ...; it loses ...; it shows no significant difference in ...`
fn gains_in_words(gains: &[(String, Interval)]) -> String {
    let named = |keep: &dyn Fn(&Interval) -> bool, is_first: bool| -> Vec<String> {
        let mut interval_word = if is_first { "95 % interval " } else { "" };
        gains
            .iter()
            .filter(|(_, gain)| keep(gain))
            .map(|(name, gain)| {
                let word = std::mem::take(&mut interval_word);
                let size = |value: f64| decimals(Some(value.abs()));
                let (small, large) =
                    if gain.low > 0.0 { (gain.low, gain.high) } else { (gain.high, gain.low) };
                format!("{} in {name} ({word}{} to {})", size(gain.estimate), size(small), size(large))
            })
            .collect()
    };
    let better = named(&|gain| gain.low > 0.0, true);
    let worse = named(&|gain| gain.high < 0.0, better.is_empty());
    let open: Vec<String> = gains
        .iter()
        .filter(|(_, gain)| !gain.excludes_zero())
        .map(|(name, gain)| format!("{name} ({} to {})", signed(gain.low), signed(gain.high)))
        .collect();
    let mut parts = Vec::new();
    if !better.is_empty() {
        parts.push(format!("gains {}", list(&better)));
    }
    if !worse.is_empty() {
        parts.push(format!("loses {}", list(&worse)));
    }
    if !open.is_empty() {
        parts.push(format!("shows no significant difference in {}", list(&open)));
    }
    format!("{}.", parts.join("; it "))
}

fn lead(study: &Study, findings: &Findings) -> Option<String> {
    if let Some(seeds) = &findings.seeds {
        return Some(lead_of_settings(study, seeds));
    }
    let (runner_up, comparison) = findings.runner_up.as_ref()?;
    let gain = comparison.as_ref()?.of(Metric::Score)?;
    let label = short_label(&runner_up.settings, &study.varying);
    let numbers = format!(
        "{} in score, 95 % interval {} to {}",
        signed(gain.estimate),
        signed(gain.low),
        signed(gain.high)
    );
    let images = findings.images.name();
    let seeds = if findings.has_replications {
        ""
    } else {
        " The interval is over images alone: each setting was run with one seed."
    };
    let beyond = findings.contest.as_ref().map(beyond_the_next).unwrap_or_default();
    Some(if let Some(contest) = findings.contest.as_ref().filter(|contest| contest.is_real) {
        let others = match contest.behind {
            0 => "every other run".to_owned(),
            _ => format!("each of the {} runs that come next", contest.runs - 1),
        };
        format!(
            "Yes: it leads {others}; the next, #2 ({label}), by {numbers}, on the same {images} images.{beyond}{seeds}"
        )
    } else if gain.high < 0.0 {
        format!(
            "No: on the {images} images the next run #2 ({label}) is better ({numbers} for #1).{beyond}{seeds}"
        )
    } else {
        format!(
            "No significant winner: over the next run #2 ({label}) it is {numbers}, on the same {images} images.{beyond}{seeds}"
        )
    })
}

/// How many runs are as good, and what can be seen at all.
fn beyond_the_next(contest: &Contest) -> String {
    let tied = match contest.tied {
        0 => String::new(),
        tied => {
            let which = if contest.behind == 0 { "other" } else { "next" };
            format!(
                " Of the {which} {} runs these {} images do not tell {tied} from the best, all pairs considered.",
                contest.runs - 1,
                contest.images
            )
        }
    };
    let corrected = contest.corrected_score.map_or_else(String::new, |score| {
        format!(" Corrected for having been chosen, the best scores {}", decimals(Some(score.estimate)))
    });
    let seen = contest.detectable.map_or_else(String::new, |difference| {
        format!("differences below {} would hardly show", decimals(Some(difference)))
    });
    let both = match (corrected.is_empty(), seen.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!("{corrected}."),
        (true, false) => format!(" D{}.", seen.trim_start_matches('d')),
        (false, false) => format!("{corrected}; {seen}."),
    };
    format!("{tied}{both}")
}

fn overfitting(study: &Study, findings: &Findings) -> Option<String> {
    let trained = study.fine_tuned().filter(|row| row.val_loss_rise.is_some()).count();
    let mut overfit = findings.overfit.clone();
    overfit.sort_by(|a, b| b.val_loss_rise.unwrap_or(0.0).total_cmp(&a.val_loss_rise.unwrap_or(0.0)));
    if overfit.is_empty() {
        let rule = "no validation loss surely rose to 5 % above its lowest point, or more, while the training loss fell.";
        return match trained {
            0 => None,
            1 => Some(format!("The one trained run does not overfit: {rule}")),
            _ => Some(format!("None of the {trained} trained runs overfits: {rule}")),
        };
    }
    let named: Vec<String> = overfit.iter().take(MAX_NAMED).map(|row| overfit_run(row)).collect();
    let more = overfit.len().saturating_sub(MAX_NAMED);
    let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
    let verb = if overfit.len() == 1 { "overfits" } else { "overfit" };
    Some(format!(
        "{} of {} {verb}: the validation loss turns up while the training loss still falls. Most of all {}{rest}.",
        overfit.len(),
        plural(trained, "trained run"),
        list(&named)
    ))
}

fn overfit_run(row: &RunRow) -> String {
    let name = row.rank.map_or_else(|| row.run.clone(), |rank| format!("#{rank}"));
    let epochs = match (row.val_loss_lowest_epoch, row.last_epoch) {
        (Some(lowest), Some(last)) => format!(" from epoch {lowest} to {last}"),
        _ => String::new(),
    };
    format!(
        "{name} ({}{epochs}, training loss {} → {})",
        percent(row.val_loss_rise),
        decimals(row.train_loss_at_lowest),
        decimals(row.train_loss_at_last)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(estimate: f64, low: f64, high: f64) -> Interval {
        Interval { estimate, low, high }
    }

    #[test]
    fn gains_losses_and_open_questions_are_told_apart() {
        let gains = [
            ("METEOR".to_owned(), interval(0.1, 0.05, 0.15)),
            ("ROUGE-L".to_owned(), interval(0.01, -0.01, 0.03)),
            ("CIDEr-D".to_owned(), interval(-0.2, -0.3, -0.1)),
        ];
        insta::assert_snapshot!(gains_in_words(&gains), @"gains 0.100 in METEOR (95 % interval 0.050 to 0.150); it loses 0.200 in CIDEr-D (0.100 to 0.300); it shows no significant difference in ROUGE-L (−0.010 to +0.030).");
        insta::assert_snapshot!(gains_in_words(&gains[1..2]), @"shows no significant difference in ROUGE-L (−0.010 to +0.030).");
    }
}
