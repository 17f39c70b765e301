//! The plan as people and programs read it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::consistency::{self, Warning};
use super::cost::{self, Cost, Facts};
use super::expand::Plan;
use super::settings::{SettingsView, wrapped};
use crate::record::RunSpec;
use crate::record::event::Trainable;
use crate::record::recipe::{Amount, Kind};
use crate::spec::Setting;

/// Merged combinations that are listed one by one; of more, only the number and the reasons are.
const MAX_MERGED_SHOWN: usize = 10;
/// The setting whose values may be shares of the images.
const TRAIN_EXAMPLES: &str = "training.train_examples";

/// The plan as `sweep plan --format json` prints it.
#[derive(Debug, Serialize)]
pub struct PlanView {
    pub sweep: String,
    pub runs: Vec<RunView>,
    pub merged: Vec<MergedView>,
    /// Combinations left out because nothing would train.
    pub excluded: usize,
    /// Combinations that `exclude` leaves out.
    pub ruled_out: usize,
    /// Combinations beyond `run_cap`.
    pub beyond_cap: usize,
    /// Points of a search that follow from results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_come: Option<usize>,
    /// What of training and generation does not fit together.
    pub warnings: Vec<Warning>,
    /// Every setting, where they are asked for.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub settings: Option<SettingsView>,
}

/// A run of the plan. Numbers are `null` where the model's sizes or the number of examples are not known.
#[derive(Debug, Serialize)]
pub struct RunView {
    pub id: String,
    pub kind: Kind,
    pub point: BTreeMap<String, Value>,
    pub seed: u64,
    pub trainable: Option<usize>,
    pub trainable_by_part: Option<Trainable>,
    /// What a share of the training images comes to; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
    pub steps: Option<usize>,
    pub memory_bytes: Option<usize>,
    pub disk_bytes: Option<usize>,
}

/// A combination that is the same run as `kept`.
#[derive(Debug, Serialize)]
pub struct MergedView {
    pub kept: String,
    pub point: BTreeMap<String, Value>,
    pub seed: u64,
    pub why: String,
}

/// The plan for programs.
pub fn view(plan: &Plan, facts: &Facts) -> PlanView {
    let run = |run: &RunSpec| {
        let Cost { trainable, steps, memory_bytes, disk_bytes } = cost::of(run, facts);
        RunView {
            id: run.id.clone(),
            kind: run.recipe.kind,
            point: run.point.clone(),
            seed: run.seed,
            trainable: trainable.as_ref().map(Trainable::total),
            trainable_by_part: trainable,
            train_images: images(run, facts).filter(|_| is_share(run)),
            steps,
            memory_bytes,
            disk_bytes,
        }
    };
    let merged = plan.merged.iter().map(|merged| MergedView {
        kept: merged.kept.clone(),
        point: merged.point.iter().map(|(setting, value)| (setting.path.to_owned(), value.clone())).collect(),
        seed: merged.seed,
        why: merged.why.clone(),
    });
    PlanView {
        sweep: plan.sweep.clone(),
        runs: plan.runs.iter().map(run).collect(),
        merged: merged.collect(),
        excluded: plan.excluded,
        ruled_out: plan.ruled_out,
        beyond_cap: plan.beyond_cap,
        warnings: consistency::warnings(&plan.runs, facts),
        to_come: None,
        settings: None,
    }
}

/// The plan for people: a heading, the runs with the settings that vary, and notes on what was left out, what the
/// sweep will need and what of it does not fit together.
pub fn draw(plan: &Plan, facts: &Facts) -> String {
    let costs: Vec<Cost> = plan.runs.iter().map(|run| cost::of(run, facts)).collect();
    let sections =
        [heading(plan), run_table(plan, &costs, facts), notes(plan, &costs, facts), warnings(plan, facts)];
    sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
}

fn heading(plan: &Plan) -> String {
    let fine_tuned = plan.runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned).count();
    let references = plan.runs.len() - fine_tuned;
    format!(
        "{}: {}, {}\n",
        plan.sweep,
        count(fine_tuned, "fine-tuned run"),
        count(references, "reference run")
    )
}

fn run_table(plan: &Plan, costs: &[Cost], facts: &Facts) -> String {
    let mut header = vec!["id".to_owned(), "kind".to_owned()];
    header.extend(plan.varying.iter().map(|setting| setting.short_name().to_owned()));
    header.extend(["seed", "trainable", "steps"].map(str::to_owned));
    let mut rows = vec![header];
    for (run, cost) in plan.runs.iter().zip(costs) {
        let mut row = vec![run.id.clone(), run.recipe.kind.label().to_owned()];
        row.extend(plan.varying.iter().map(|setting| cell(setting, run, facts)));
        row.push(run.seed.to_string());
        row.push(known(cost.trainable.as_ref().map(Trainable::total), short_count));
        row.push(known(cost.steps, |steps| steps.to_string()));
        rows.push(row);
    }
    aligned(&rows, 2)
}

fn is_share(run: &RunSpec) -> bool {
    matches!(run.recipe.training.train_examples, Amount::Share(_))
}

/// How many images a run trains on, where that is known.
fn images(run: &RunSpec, facts: &Facts) -> Option<usize> {
    let all = facts.train_examples.filter(|_| run.recipe.kind.trains())?;
    Some(run.recipe.training.train_examples.of(all))
}

/// The value that a setting has in a run; a share of the training images with how many these are.
fn cell(setting: &Setting, run: &RunSpec, facts: &Facts) -> String {
    let Some(value) = run.point.get(setting.path) else { return "-".to_owned() };
    let shown = setting.shown(value);
    match images(run, facts) {
        Some(images) if setting.path == TRAIN_EXAMPLES && value.is_f64() => {
            format!("{shown} ({images} images)")
        }
        _ => shown,
    }
}

/// Nothing to say and not known look the same: a dash.
fn known(number: Option<usize>, show: impl Fn(usize) -> String) -> String {
    number.filter(|&number| number > 0).map_or("-".to_owned(), show)
}

fn notes(plan: &Plan, costs: &[Cost], facts: &Facts) -> String {
    let mut lines = Vec::new();
    let is_axis = plan.varying.iter().any(|setting| setting.path == TRAIN_EXAMPLES);
    if let Some(run) = plan.runs.iter().find(|run| is_share(run) && !is_axis)
        && let (Some(images), Some(all)) = (images(run, facts), facts.train_examples)
    {
        let share = run.recipe.training.train_examples;
        lines.push(format!("train_examples: {share} of {} is {images}", count(all, "training image")));
    }
    if !plan.merged.is_empty() {
        lines.push(format!("merged: {} already in the plan", count(plan.merged.len(), "combination")));
        if plan.merged.len() <= MAX_MERGED_SHOWN {
            for merged in &plan.merged {
                let point = assignments(&merged.point);
                lines.push(format!("  {}: {point}, seed {} ({})", merged.kept, merged.seed, merged.why));
            }
        } else {
            let mut number_of = BTreeMap::new();
            plan.merged.iter().for_each(|merged| *number_of.entry(&merged.why).or_insert(0_usize) += 1);
            lines.extend(number_of.into_iter().map(|(why, number)| format!("  {number}: {why}")));
        }
    }
    if plan.excluded > 0 {
        lines.push(format!("excluded: {} in which nothing trains", count(plan.excluded, "combination")));
    }
    if plan.ruled_out > 0 {
        lines.push(format!("excluded: {} by `exclude`", count(plan.ruled_out, "combination")));
    }
    if plan.beyond_cap > 0 {
        lines.push(format!("left out: {} beyond `run_cap`", count(plan.beyond_cap, "combination")));
    }
    let memory = costs.iter().filter_map(|cost| cost.memory_bytes).max();
    let disk = costs.iter().filter_map(|cost| cost.disk_bytes).sum::<usize>();
    if let Some(memory) = memory.filter(|&memory| memory > 0) {
        let (memory, disk) = (short_bytes(memory), short_bytes(disk));
        lines.push(format!("needs: about {memory} of memory for the largest run, {disk} of disk for all"));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn warnings(plan: &Plan, facts: &Facts) -> String {
    let warnings = consistency::warnings(&plan.runs, facts);
    consistency::in_words(&warnings, &plan.runs).iter().flat_map(|line| wrapped(line, "", "  ")).collect()
}

fn assignments(point: &[(&'static Setting, Value)]) -> String {
    let assignment = |(setting, value): &(&'static Setting, Value)| {
        format!("{}={}", setting.short_name(), setting.shown(value))
    };
    point.iter().map(assignment).collect::<Vec<_>>().join(" ")
}

pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Columns two spaces apart, the first `left` ones to the left, numbers to the right.
pub(super) fn aligned(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `7.1 M`: parameters, to two or three digits.
pub fn short_count(number: usize) -> String {
    short(number as f64, &["", " k", " M", " G"], 0)
}

/// `2.8 GB`, in powers of ten.
pub fn short_bytes(bytes: usize) -> String {
    short(bytes as f64, &[" B", " kB", " MB", " GB", " TB"], 0)
}

fn short(number: f64, units: &[&str], rank: usize) -> String {
    match units.get(rank) {
        // 999.95 and more would be rounded to four digits.
        Some(_) if number >= 999.95 && rank + 1 < units.len() => short(number / 1000.0, units, rank + 1),
        Some(unit) if rank == 0 => format!("{number:.0}{unit}"),
        Some(unit) => format!("{number:.1}{unit}"),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::expand;
    use crate::spec::parse;

    fn plan(text: &str) -> Plan {
        expand(&parse(text, "study.yaml", &[]).unwrap()).unwrap()
    }

    const FACTS: Facts = Facts {
        train_examples: Some(100),
        validation_examples: None,
        test_examples: None,
        architectures: BTreeMap::new(),
        longest_captions: BTreeMap::new(),
    };

    #[test]
    fn the_table_shows_what_varies_what_was_merged_and_what_is_needed() {
        let plan = plan(
            "model: lab\nname: unfreeze\nseeds: [0, 1]\nparameters:\n  unfrozen_vision_layers: [0, 2]\n  \
             vision_lr_multiplier: [0.1, 1.0]\n  learning_rate: [5.0e-4]\n  train_text_decoder: [true, false]\n",
        );
        insta::assert_snapshot!(draw(&plan, &FACTS), @"
        unfreeze: 10 fine-tuned runs, 5 reference runs

        id           kind               unfrozen_vision_layers  vision_lr_multiplier  train_text_decoder  seed  trainable  steps
        rf53cef8680  zero-shot                               -                     -                   -     0          -      -
        r4acb2cc49f  constant caption                        -                     -                   -     0          -      -
        r52a9fd9dda  nearest image                           -                     -                   -     0          -      -
        r41fdee14bb  small GRU decoder                       -                     -                   -     0          -    105
        rf1a69e684d  matched length                          -                     -                   -     0          -      -
        rd4e4d91883  fine-tuned                              0                     -                true     0    904.8 k    170
        r2747d343ab  fine-tuned                              0                     -                true     1    904.8 k    170
        rd1662cd61a  fine-tuned                              2                   0.1                true     0      1.3 M    170
        rcddc0a6200  fine-tuned                              2                   0.1                true     1      1.3 M    170
        r90dd2949cf  fine-tuned                              2                   0.1               false     0    396.5 k    170
        r1781a7d95e  fine-tuned                              2                   0.1               false     1    396.5 k    170
        ra246e154d6  fine-tuned                              2                     1                true     0      1.3 M    170
        r1171044e0c  fine-tuned                              2                     1                true     1      1.3 M    170
        r4d954b1022  fine-tuned                              2                     1               false     0    396.5 k    170
        r996cafc85c  fine-tuned                              2                     1               false     1    396.5 k    170

        merged: 2 combinations already in the plan
          rd4e4d91883: unfrozen_vision_layers=0 vision_lr_multiplier=1 train_text_decoder=true, seed 0 (vision_lr_multiplier has no effect where no vision layer is unfrozen)
          r2747d343ab: unfrozen_vision_layers=0 vision_lr_multiplier=1 train_text_decoder=true, seed 1 (vision_lr_multiplier has no effect where no vision layer is unfrozen)
        excluded: 4 combinations in which nothing trains
        needs: about 70.7 MB of memory for the largest run, 256.1 MB of disk for all
        ");
    }

    #[test]
    fn a_model_and_data_that_are_not_known_leave_dashes() {
        let plan = plan(
            "model: models/mine\ndata: {train: {captions: c.json, images: i}}\nreferences: {nearest_image: false, simple_models: false}\n\
             parameters:\n  generation.max_length: [60, 96]\n",
        );
        insta::assert_snapshot!(draw(&plan, &Facts::default()), @"
        study: 2 fine-tuned runs, 4 reference runs

        id           kind              generation.max_length  seed  trainable  steps
        r6cd1701481  zero-shot                            60     0          -      -
        r3413aedf37  zero-shot                            96     0          -      -
        r988e1c1791  constant caption                      -     0          -      -
        r0874906df1  matched length                        -     0          -      -
        r6a0464592d  fine-tuned                           60     0          -      -
        rc76b6098ff  fine-tuned                           96     0          -      -

        warning: in 1 of 2 fine-tuned runs, `generation.max_length` is 60, below
          `training.max_length` (128): longer captions are learnt but cut off when
          generated
        warning: in 1 of 2 fine-tuned runs, `generation.max_length` is 96, below
          `training.max_length` (128): longer captions are learnt but cut off when
          generated
        ");
    }

    #[test]
    fn many_merged_combinations_are_summed_up() {
        let seeds: Vec<u64> = (0..20).collect();
        let plan = plan(&format!(
            "model: lab\nsimple_models: false\nseeds: {seeds:?}\nparameters: {{unfrozen_vision_layers: [0], vision_lr_multiplier: [0.1, 1.0]}}"
        ));
        let text = draw(&plan, &FACTS);
        let (_, notes) = text.split_once("\nmerged").unwrap();
        insta::assert_snapshot!(notes, @"
        : 20 combinations already in the plan
          20: vision_lr_multiplier has no effect where no vision layer is unfrozen
        needs: about 59.9 MB of memory for the largest run, 485.2 MB of disk for all
        ");
    }

    #[test]
    fn programs_read_the_plan_with_numbers_by_part() {
        let plan = plan(
            "model: lab\nreferences: {zero_shot: false, nearest_image: false, matched_length: false, simple_models: false}\nparameters: {unfrozen_vision_layers: [0], vision_lr_multiplier: [0.1, 0.2]}",
        );
        insta::assert_snapshot!(serde_json::to_string_pretty(&view(&plan, &FACTS)).unwrap(), @r#"
        {
          "sweep": "study",
          "runs": [
            {
              "id": "r4acb2cc49f",
              "kind": "constant_caption",
              "point": {},
              "seed": 0,
              "trainable": 0,
              "trainable_by_part": {
                "vision_layers": 0,
                "vision_other": 0,
                "text": 0,
                "frozen": 0,
                "tensors": 0
              },
              "steps": 0,
              "memory_bytes": 0,
              "disk_bytes": 0
            },
            {
              "id": "r7fba204a37",
              "kind": "fine_tuned",
              "point": {},
              "seed": 0,
              "trainable": 904794,
              "trainable_by_part": {
                "vision_layers": 0,
                "vision_other": 0,
                "text": 904794,
                "frozen": 1223040,
                "tensors": 87
              },
              "steps": 170,
              "memory_bytes": 59923744,
              "disk_bytes": 24261024
            }
          ],
          "merged": [
            {
              "kept": "r7fba204a37",
              "point": {
                "training.vision_lr_multiplier": 0.2
              },
              "seed": 0,
              "why": "vision_lr_multiplier has no effect where no vision layer is unfrozen"
            }
          ],
          "excluded": 0,
          "ruled_out": 0,
          "beyond_cap": 0,
          "warnings": []
        }
        "#);
    }

    #[test]
    fn numbers_are_shown_short() {
        let counts = [0, 7, 999, 1000, 12_345, 999_949, 999_950, 7_087_872, 223_971_644, 1_500_000_000];
        let expected = ["0", "7", "999", "1.0 k", "12.3 k", "999.9 k", "1.0 M", "7.1 M", "224.0 M", "1.5 G"];
        assert_eq!(counts.map(short_count), expected);
        assert_eq!(short_bytes(2_800_000_000), "2.8 GB");
    }
}
