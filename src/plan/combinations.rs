//! The combinations of values that a sweep means, before it is known which of them are the same run.

use serde_json::Value;

use super::expand::{MAX_COMBINATIONS, Plan, PlanError};
use crate::record::Recipe;
use crate::spec::{Axis, Exclusion, Method, Setting, SweepSpec};

/// A combination of values: one for each setting that varies.
pub(super) type Combination = Vec<(&'static Setting, Value)>;

pub(super) fn check_size(spec: &SweepSpec) -> Result<(), PlanError> {
    let lengths = dimensions(spec, |_| true).into_iter().filter_map(|axes| Some(axes.first()?.values.len()));
    let factors = lengths.chain([spec.points.len().max(1), spec.seeds.len()]);
    let size = factors.map(|factor| factor as f64).product::<f64>();
    if size > MAX_COMBINATIONS as f64 {
        let combinations = if size < 1e15 { size.to_string() } else { format!("{size:.0e}") };
        return Err(PlanError::TooMany { combinations });
    }
    Ok(())
}

/// Settings of the points in the order of their first occurrence, then the axes.
pub(super) fn varying(spec: &SweepSpec) -> Vec<&'static Setting> {
    let mut varying: Vec<&'static Setting> = Vec::new();
    let of_points = spec.points.iter().flatten().map(|(setting, _)| *setting);
    for setting in of_points.chain(spec.axes.iter().map(|axis| axis.setting)) {
        if !varying.contains(&setting) {
            varying.push(setting);
        }
    }
    varying
}

/// The combinations to run: those that no exclusion leaves out, up to the cap.
pub(super) fn selected(spec: &SweepSpec, plan: &mut Plan) -> Result<Vec<Combination>, PlanError> {
    let mut kept = combinations(spec, |_| true);
    let all = kept.len();
    for exclusion in &spec.exclude {
        let before = kept.len();
        kept.retain(|combination| !is_excluded(combination, exclusion, &spec.base));
        // What is drawn may happen to be none of it.
        if kept.len() == before && spec.method != Method::Random {
            return Err(PlanError::ExcludesNothing { exclusion: exclusion.clone() });
        }
    }
    plan.ruled_out = all - kept.len();
    if kept.is_empty() {
        return Err(PlanError::ExcludesAll);
    }
    let cap = spec.run_cap.unwrap_or(usize::MAX).min(kept.len());
    plan.beyond_cap = kept.len() - cap;
    kept.truncate(cap);
    Ok(kept)
}

fn is_excluded(combination: &Combination, exclusion: &Exclusion, base: &Recipe) -> bool {
    exclusion.iter().all(|(setting, values)| match combination.iter().find(|(other, _)| other == setting) {
        Some((_, value)) => values.contains(value),
        None => values.contains(&setting.read(base)),
    })
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

/// Every point with every combination of the axes, of the settings that are wanted: the first axis varies
/// slowest, as the nested loops that a reader has in mind.
pub(super) fn combinations(spec: &SweepSpec, is_wanted: impl Fn(&Setting) -> bool) -> Vec<Combination> {
    let mut combinations: Vec<Combination> = if spec.points.is_empty() {
        vec![Vec::new()]
    } else {
        let wanted =
            |point: &Combination| point.iter().filter(|(setting, _)| is_wanted(setting)).cloned().collect();
        spec.points.iter().map(wanted).collect()
    };
    for axes in dimensions(spec, &is_wanted) {
        let length = axes.first().map_or(0, |axis| axis.values.len());
        let values =
            |place: usize| axes.iter().map(move |axis: &&Axis| (axis.setting, axis.values[place].clone()));
        let extended = combinations.iter().flat_map(|combination| {
            (0..length).map(move |place| combination.iter().cloned().chain(values(place)).collect())
        });
        combinations = extended.collect();
    }
    combinations
}
