//! What two plans have in common, and what only one of them has: `sweep plan --diff`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::expand::Plan;
use super::settings;
use super::table::{aligned, count};
use crate::record::RunSpec;
use crate::record::recipe::Kind;
use crate::spec::SweepSpec;
use crate::spec::setting::{named, shown_of};

/// Runs of each list that people are shown; programs get all.
const MOST_SHOWN: usize = 20;

/// Two plans, as `sweep plan --diff A B --format json` prints them.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The sweeps' names.
    pub a: String,
    pub b: String,
    pub only_in_a: Vec<RunView>,
    pub only_in_b: Vec<RunView>,
    /// Ids, in the order of B.
    pub in_both: Vec<String>,
    /// Settings, data and seeds that are not the same.
    pub settings: Vec<SettingView>,
}

/// A run that only one plan has.
#[derive(Debug, Serialize)]
pub struct RunView {
    pub id: String,
    pub kind: Kind,
    pub point: BTreeMap<String, Value>,
    pub seed: u64,
}

/// A setting by its dotted path, with the values that it takes.
#[derive(Debug, PartialEq, Serialize)]
pub struct SettingView {
    pub setting: String,
    pub a: Vec<Value>,
    pub b: Vec<Value>,
}

/// Compares two sweeps by their runs' ids, which are the same where the settings are.
pub fn of([a, b]: [(&SweepSpec, &Plan); 2]) -> Difference {
    let ids = |plan: &Plan| -> BTreeSet<String> { plan.runs.iter().map(|run| run.id.clone()).collect() };
    let (in_a, in_b) = (ids(a.1), ids(b.1));
    let only = |plan: &Plan, others: &BTreeSet<String>| -> Vec<RunView> {
        plan.runs.iter().filter(|run| !others.contains(&run.id)).map(run_view).collect()
    };
    let shared = b.1.runs.iter().filter(|run| in_a.contains(&run.id));
    Difference {
        a: a.0.name.clone(),
        b: b.0.name.clone(),
        only_in_a: only(a.1, &in_b),
        only_in_b: only(b.1, &in_a),
        in_both: shared.map(|run| run.id.clone()).collect(),
        settings: settings_that_differ(a.0, b.0),
    }
}

fn run_view(run: &RunSpec) -> RunView {
    RunView { id: run.id.clone(), kind: run.recipe.kind, point: run.point.clone(), seed: run.seed }
}

fn settings_that_differ(a: &SweepSpec, b: &SweepSpec) -> Vec<SettingView> {
    let line =
        |setting: &str, a: Vec<Value>, b: Vec<Value>| SettingView { setting: setting.to_owned(), a, b };
    let seeds = |spec: &SweepSpec| spec.seeds.iter().map(|seed| json!(seed)).collect();
    let of_both = settings::view(a).settings.into_iter().zip(settings::view(b).settings);
    let all = of_both.map(|(a, b)| line(a.setting, a.values, b.values)).chain([
        line("data", vec![json!(a.base.data)], vec![json!(b.base.data)]),
        line("seeds", seeds(a), seeds(b)),
    ]);
    // The order of values is that in which runs are done, and of no influence on them.
    let has_all = |some: &[Value], others: &[Value]| some.iter().all(|value| others.contains(value));
    all.filter(|line| !has_all(&line.a, &line.b) || !has_all(&line.b, &line.a)).collect()
}

/// The difference for people, by the names of the two files.
pub fn draw(difference: &Difference, [a, b]: [&str; 2]) -> String {
    let Difference { only_in_a, only_in_b, in_both, settings, .. } = difference;
    let (left, right) = (count(only_in_a.len(), "run"), count(only_in_b.len(), "run"));
    let mut text = format!(
        "A: {a} ({})\nB: {b} ({})\n{} in both, {left} only in A, {right} only in B\n",
        difference.a,
        difference.b,
        count(in_both.len(), "run"),
    );
    if !settings.is_empty() {
        let row = |cells: [String; 3]| cells.to_vec();
        let mut rows = vec![row(["".into(), "A".into(), "B".into()])];
        rows.extend(
            settings.iter().map(|line| row([name(&line.setting), list(line, &line.a), list(line, &line.b)])),
        );
        text += &format!("\n{}", aligned(&rows, 3));
    }
    for (name, runs) in [("A", only_in_a), ("B", only_in_b)] {
        if runs.is_empty() {
            continue;
        }
        text += &format!("\nonly in {name}\n");
        text.extend(runs.iter().take(MOST_SHOWN).map(run_in_words));
        if runs.len() > MOST_SHOWN {
            text += &format!("  ... and {} more\n", runs.len() - MOST_SHOWN);
        }
    }
    text
}

fn name(setting: &str) -> String {
    named(setting).map_or(setting.to_owned(), |setting| setting.short_name().to_owned())
}

fn list(line: &SettingView, values: &[Value]) -> String {
    values.iter().map(|value| shown_of(&line.setting, value)).collect::<Vec<_>>().join(", ")
}

fn run_in_words(run: &RunView) -> String {
    let assignment =
        |(setting, value): (&String, &Value)| format!(" {}={}", name(setting), shown_of(setting, value));
    let point: String = run.point.iter().map(assignment).collect();
    format!("  {} {}{point} seed {}\n", run.id, run.kind.label(), run.seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::expand;
    use crate::spec::parse;

    fn difference(texts: [&str; 2]) -> Difference {
        let specs = texts.map(|text| parse(text, "study.yaml", &[]).unwrap());
        let plans = specs.each_ref().map(|spec| expand(spec).unwrap());
        of([(&specs[0], &plans[0]), (&specs[1], &plans[1])])
    }

    const A: &str = "model: lab\nname: first\nparameters: {learning_rate: [1e-5, 1e-4], epochs: [2, 3]}\n";
    const B: &str = "model: lab\nname: second\nseeds: [0, 1]\nexclude: [{epochs: 4, learning_rate: 1e-5}]\n\
                     parameters: {learning_rate: [1e-4, 1e-5], epochs: [2, 4]}\n";

    #[test]
    fn runs_are_told_apart_by_their_settings_and_not_by_their_order() {
        let difference = difference([A, B]);
        insta::assert_snapshot!(draw(&difference, ["a.yaml", "b.yaml"]), @"
        A: a.yaml (first)
        B: b.yaml (second)
        7 runs in both, 2 runs only in A, 4 runs only in B

                A     B
        epochs  2, 3  2, 4
        seeds   0     0, 1

        only in A
          r4ef053946e fine-tuned epochs=3 learning_rate=1e-5 seed 0
          rfb3675ab53 fine-tuned epochs=3 learning_rate=1e-4 seed 0

        only in B
          r996deeb882 fine-tuned epochs=2 learning_rate=1e-4 seed 1
          rb02012a528 fine-tuned epochs=4 learning_rate=1e-4 seed 0
          r76887f7ec8 fine-tuned epochs=4 learning_rate=1e-4 seed 1
          rb13bdf84f0 fine-tuned epochs=2 learning_rate=1e-5 seed 1
        ");
        assert_eq!(difference.in_both.len(), 5 + 2, "five reference runs and epochs: 2");
    }

    #[test]
    fn a_sweep_does_not_differ_from_itself_under_another_name() {
        let same = difference([A, &A.replace("first", "other")]);
        assert_eq!((same.settings.len(), same.only_in_a.len(), same.only_in_b.len()), (0, 0, 0));
        assert_eq!(same.in_both.len(), 9);
    }

    #[test]
    fn a_long_list_is_cut_short_for_people_alone() {
        let many = A.replace("[2, 3]", "[2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]");
        let difference = difference([A, &many]);
        assert_eq!(difference.only_in_b.len(), 22);
        assert!(draw(&difference, ["a", "b"]).ends_with("\n  ... and 2 more\n"));
    }
}
