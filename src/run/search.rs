//! The rounds of `method: bayes`: which points a sweep has so far, and which come next.
//!
//! A round is decided once every run of those before has had its turn, and written down before anything of it runs.
//! [`Search::so_far`] takes what is written; what is not follows from the runs' logs, and comes out the same.

use std::collections::BTreeMap;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::progress::Progress;
use crate::plan::{bayes, id};
use crate::record::search::Chosen;
use crate::record::{RunRecord, RunSpec, SweepDir};
use crate::spec::bayes::{Bayes, Values};
use crate::spec::{Setting, SweepSpec};
use crate::train::early_stopping::metric;

/// A sweep whose points follow from results.
#[derive(Debug, Clone)]
pub struct Search {
    spec: SweepSpec,
    space: Bayes,
    /// Names what is searched and how.
    digest: String,
}

type Point = Vec<(&'static Setting, serde_json::Value)>;

/// The points that are decided, and the plan that they make.
#[derive(Debug, Clone)]
pub struct SoFar {
    points: Vec<Point>,
    pub plan: Vec<RunSpec>,
}

impl SoFar {
    fn add(&mut self, runs: Vec<RunSpec>, points: Vec<Point>) {
        for run in runs {
            if self.plan.iter().all(|other| other.id != run.id) {
                self.plan.push(run);
            }
        }
        self.points.extend(points);
    }
}

impl Search {
    /// The search of a sweep, if it has one.
    pub fn of(spec: &SweepSpec) -> anyhow::Result<Option<Self>> {
        let Some(space) = spec.search.clone() else { return Ok(None) };
        Ok(Some(Self { digest: digest(spec, &space)?, spec: spec.clone(), space }))
    }

    /// The points that were decided before, behind those of the first round, whose plan this is.
    pub fn so_far(
        &self,
        sweep: &SweepDir,
        first: &[RunSpec],
        progress: &mut dyn Progress,
    ) -> anyhow::Result<SoFar> {
        let mut so_far = SoFar { points: self.spec.points.clone(), plan: first.to_vec() };
        let (rounds, problems) = sweep.read_chosen();
        for problem in problems {
            progress.note(&format!("warning: {}: {problem}", sweep.search_path().display()));
        }
        let of_this_search = |round: &&Chosen| round.search == self.digest;
        if !rounds.is_empty() && rounds.iter().all(|round| !of_this_search(&round)) {
            progress.note("the search is not the one of before: its points are chosen anew");
        }
        for round in rounds.iter().filter(of_this_search) {
            let room = self.space.points.saturating_sub(so_far.points.len());
            if round.after != so_far.points.len() {
                continue;
            }
            let points: Option<Vec<Point>> =
                round.points.iter().take(room).map(|point| bayes::read(&self.space, point)).collect();
            let Some(points) = points else { continue };
            so_far.add(bayes::runs_of(&self.spec, &points)?, points);
        }
        Ok(so_far)
    }

    /// Decides the next round by how the runs stand, and writes it down. Says whether there is one.
    pub fn go_on(
        &self,
        sweep: &SweepDir,
        records: &[RunRecord],
        so_far: &mut SoFar,
        progress: &mut dyn Progress,
    ) -> anyhow::Result<bool> {
        let found: BTreeMap<&str, f64> = records
            .iter()
            .filter_map(|record| Some((record.spec.id.as_str(), self.score(record)?)))
            .collect();
        let score = |ids: &[String]| {
            let of_seeds: Vec<f64> = ids.iter().filter_map(|id| found.get(id.as_str()).copied()).collect();
            (!of_seeds.is_empty()).then(|| of_seeds.iter().sum::<f64>() / of_seeds.len() as f64)
        };
        let points = bayes::next_round(&self.spec, &so_far.points, &score)?;
        if points.is_empty() {
            return Ok(false);
        }
        let written = points.iter().map(bayes::written).collect();
        let chosen = Chosen::now(&self.digest, (so_far.points.len(), self.space.points), written);
        sweep.append_chosen(&chosen).context("the next points cannot be written down")?;
        progress.note(&format!(
            "search: {} of {} points are done; the next {} follow from them",
            so_far.points.len(),
            self.space.points,
            points.len()
        ));
        so_far.add(bayes::runs_of(&self.spec, &points)?, points);
        Ok(true)
    }

    /// Writes down the first round, which the sweep file alone decides, so that the file tells the whole search.
    pub fn begin(&self, sweep: &SweepDir) -> anyhow::Result<()> {
        let is_known =
            sweep.read_chosen().0.iter().any(|round| round.search == self.digest && round.after == 0);
        if !is_known {
            let first = self.spec.points.iter().map(bayes::written).collect();
            sweep.append_chosen(&Chosen::now(&self.digest, (0, self.space.points), first))?;
        }
        Ok(())
    }

    /// What a run came to, the more the better: its best epoch, or its last where none was good enough to be one.
    fn score(&self, record: &RunRecord) -> Option<f64> {
        let summary =
            record.summary.as_ref().filter(|_| record.status.is_some_and(|status| status.is_complete()))?;
        let value = metric(summary.best.as_ref().or(summary.last.as_ref())?, self.spec.metric)?;
        Some(if self.spec.metric.higher_is_better() { value } else { -value })
    }
}

/// A search is what it chooses from, in which rounds, by which seed, and the recipe around it. More points or more seeds
/// of each make no other one.
fn digest(spec: &SweepSpec, space: &Bayes) -> anyhow::Result<String> {
    let mut text = format!("{} {} {}", space.seed, space.rounds.startup, space.rounds.round);
    for dimension in &space.space {
        text += &format!("\n{} ", dimension.setting.path);
        text += &match &dimension.values {
            Values::Listed(values) => serde_json::to_string(values)?,
            Values::Range(range) => format!("{:?} {:?} {}", range.bounds(), range.step(), range.is_log()),
        };
    }
    text += &format!("\n{}", id::of(&spec.base, 0)?);
    let digest = Sha256::digest(text.as_bytes());
    Ok(digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
