//! The combinations of values that a sweep means, before it is known which of them are the same run.

use std::collections::HashSet;

use serde_json::Value;

use super::conditions;
use super::expand::{MAX_COMBINATIONS, Plan, PlanError};
use crate::record::Recipe;
use crate::spec::{Axis, Method, Pattern, Setting, SweepSpec};

/// A combination of values: one for each setting that varies.
pub(super) type Combination = Vec<(&'static Setting, Value)>;

pub(super) fn check_size(spec: &SweepSpec) -> Result<(), PlanError> {
    let crossed = |is_wanted: &dyn Fn(&Setting) -> bool| {
        let lengths =
            dimensions(spec, is_wanted).into_iter().filter_map(|axes| Some(axes.first()?.values.len()));
        lengths.map(|length| length as f64).product::<f64>()
    };
    let included = spec.include.iter().map(|line| {
        let own: f64 = line.iter().map(|(_, values)| values.len() as f64).product();
        own * crossed(&|setting| !names(line, setting))
    });
    let points = spec.points.len().max(1) as f64 * crossed(&|_| true) + included.sum::<f64>();
    let size = points * spec.seeds.len() as f64;
    if size > MAX_COMBINATIONS as f64 {
        let combinations = if size < 1e15 { size.to_string() } else { format!("{size:.0e}") };
        return Err(PlanError::TooMany { combinations });
    }
    Ok(())
}

fn names(pattern: &Pattern, setting: &Setting) -> bool {
    pattern.iter().any(|(other, _)| *other == setting)
}

/// Settings of the points in the order of their first occurrence, then the axes, then what only included lines name.
pub(super) fn varying(spec: &SweepSpec) -> Vec<&'static Setting> {
    let mut varying: Vec<&'static Setting> = Vec::new();
    let of_points = spec.points.iter().flatten().map(|(setting, _)| *setting);
    let of_axes = spec.axes.iter().map(|axis| axis.setting);
    let of_included = spec.include.iter().flatten().map(|(setting, _)| *setting);
    for setting in of_points.chain(of_axes).chain(of_included) {
        if !varying.contains(&setting) {
            varying.push(setting);
        }
    }
    varying
}

/// The combinations to run: those that no exclusion leaves out, up to the cap, and those that are included.
pub(super) fn selected(spec: &SweepSpec, plan: &mut Plan) -> Result<Vec<Combination>, PlanError> {
    let mut kept = conditions::apply(combinations(spec, |_| true), spec)?;
    let all = kept.len();
    for exclusion in &spec.exclude {
        let before = kept.len();
        kept.retain(|combination| !fits(combination, exclusion, &spec.base));
        // What is drawn may happen to be none of it.
        if kept.len() == before && spec.method != Method::Random {
            return Err(PlanError::ExcludesNothing { exclusion: exclusion.clone() });
        }
    }
    plan.ruled_out = all - kept.len();
    let cap = spec.run_cap.unwrap_or(usize::MAX).min(kept.len());
    plan.beyond_cap = kept.len() - cap;
    kept.truncate(cap);
    if !spec.include.is_empty() {
        kept.extend(included(spec));
        fill(&mut kept, spec);
    }
    if kept.is_empty() { Err(PlanError::ExcludesAll) } else { Ok(kept) }
}

/// Whether every setting of the pattern has one of its values.
pub(super) fn fits(combination: &Combination, pattern: &Pattern, base: &Recipe) -> bool {
    pattern.iter().all(|(setting, values)| match combination.iter().find(|(other, _)| other == setting) {
        Some((_, value)) => values.contains(value),
        None => values.contains(&setting.read(base)),
    })
}

/// Each line's combinations, crossed with the axes that it does not name. Settings that points decide are as in the base.
fn included(spec: &SweepSpec) -> impl Iterator<Item = Combination> {
    spec.include.iter().flat_map(|line| {
        let mut own = vec![Combination::new()];
        for (setting, values) in line {
            own = crossed(&own, values.len(), |place| vec![(*setting, values[place].clone())]);
        }
        let all = with_axes(own, spec, |setting| !names(line, setting));
        conditions::apply_to_others(all, spec, line)
    })
}

/// Gives every combination a value of all that varies: what one line names has the sweep's value in the others.
fn fill(combinations: &mut [Combination], spec: &SweepSpec) {
    let varying: Vec<_> =
        varying(spec).into_iter().map(|setting| (setting, setting.read(&spec.base))).collect();
    for combination in combinations {
        let is_missing = |setting: &Setting| combination.iter().all(|(other, _)| *other != setting);
        let missing: Vec<_> = varying.iter().filter(|(setting, _)| is_missing(setting)).cloned().collect();
        combination.extend(missing);
    }
}

/// The axes of settings that are wanted; those that vary together stand together, where the first of them is written.
fn dimensions(spec: &SweepSpec, is_wanted: impl Fn(&Setting) -> bool) -> Vec<Vec<&Axis>> {
    let mut dimensions: Vec<Vec<&Axis>> = Vec::new();
    for axis in spec.axes.iter().filter(|axis| is_wanted(axis.setting)) {
        let group = spec.zipped.iter().find(|group| group.contains(&axis.setting));
        let partner = group.and_then(|group| {
            dimensions.iter_mut().find(|axes| axes.iter().any(|other| group.contains(&other.setting)))
        });
        match partner {
            Some(axes) => axes.push(axis),
            None => dimensions.push(vec![axis]),
        }
    }
    dimensions
}

/// Every point with every combination of the axes, of the settings that are wanted.
pub(super) fn combinations(spec: &SweepSpec, is_wanted: impl Fn(&Setting) -> bool) -> Vec<Combination> {
    let points: Vec<Combination> = if spec.points.is_empty() {
        vec![Vec::new()]
    } else {
        let wanted =
            |point: &Combination| point.iter().filter(|(setting, _)| is_wanted(setting)).cloned().collect();
        spec.points.iter().map(wanted).collect()
    };
    with_axes(points, spec, is_wanted)
}

/// The combinations with each of the axes: the first axis varies slowest, as the nested loops that a reader has in mind.
fn with_axes(
    mut combinations: Vec<Combination>,
    spec: &SweepSpec,
    is_wanted: impl Fn(&Setting) -> bool,
) -> Vec<Combination> {
    for axes in dimensions(spec, &is_wanted) {
        let length = axes.first().map_or(0, |axis| axis.values.len());
        let values =
            |place: usize| axes.iter().map(|axis| (axis.setting, axis.values[place].clone())).collect();
        combinations = crossed(&combinations, length, values);
    }
    combinations
}

fn crossed(
    combinations: &[Combination],
    length: usize,
    values: impl Fn(usize) -> Combination,
) -> Vec<Combination> {
    let with = |combination: &Combination, place| combination.iter().cloned().chain(values(place)).collect();
    combinations
        .iter()
        .flat_map(|one| (0..length).map(|place| with(one, place)).collect::<Vec<_>>())
        .collect()
}

/// The combinations of the wanted settings that occur in these, each once.
pub(super) fn projected(all: &[Combination], is_wanted: impl Fn(&Setting) -> bool) -> Vec<Combination> {
    let mut seen = HashSet::new();
    let part = |combination: &Combination| -> Combination {
        combination.iter().filter(|(setting, _)| is_wanted(setting)).cloned().collect()
    };
    all.iter().map(part).filter(|combination| seen.insert(text_of(combination))).collect()
}

/// A combination as a text that equal ones share.
pub(super) fn text_of(combination: &Combination) -> String {
    combination.iter().map(|(setting, value)| format!("{}={value};", setting.path)).collect()
}
