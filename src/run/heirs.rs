//! Runs that differ in their patience alone train alike until the least patient stops: each goes on where the one before it
//! ended, and keeps its own best epoch.

use std::collections::BTreeMap;

use super::launcher::Task;
use crate::record::RunSpec;
use crate::record::recipe::Recipe;

/// Epochs without a new best one after which a run stops; a patience of 0 never ends.
fn patience(run: &RunSpec) -> usize {
    match run.recipe.early_stopping.patience {
        0 => usize::MAX,
        epochs => epochs,
    }
}

/// The recipe without its patience.
fn but_for_patience(run: &RunSpec) -> Recipe {
    let mut recipe = run.recipe.clone();
    recipe.early_stopping.patience = 0;
    recipe
}

/// The run of the plan that goes on where `run` ends: of those with more patience the one with the least.
pub fn heir<'a>(plan: &'a [RunSpec], run: &RunSpec) -> Option<&'a RunSpec> {
    if !run.recipe.kind.trains() {
        return None;
    }
    let may_be = |other: &&RunSpec| {
        patience(other) > patience(run)
            && other.seed == run.seed
            && other.recipe.training == run.recipe.training
            && but_for_patience(other) == but_for_patience(run)
    };
    plan.iter().filter(may_be).min_by_key(|other| patience(other))
}

/// Of each task the one, by index, that it goes on from, and so has to wait for. A task that has begun goes its own way.
pub fn predecessors(tasks: &[Task]) -> BTreeMap<usize, usize> {
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, task) in tasks.iter().enumerate().filter(|(_, task)| task.spec.recipe.kind.trains()) {
        let key = serde_json::to_string(&(task.spec.seed, but_for_patience(&task.spec)));
        alike.entry(key.unwrap_or_default()).or_default().push(index);
    }
    let mut found = BTreeMap::new();
    for mut group in alike.into_values() {
        group.sort_by_key(|index| patience(&tasks[*index].spec));
        let has_more = |heir: usize, than: usize| patience(&tasks[heir].spec) > patience(&tasks[than].spec);
        let pairs = group.windows(2).map(|pair| (pair[1], pair[0]));
        let waits = |(heir, before): &(usize, usize)| {
            has_more(*heir, *before) && !tasks[*heir].directory.events().exists()
        };
        found.extend(pairs.filter(waits));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::dispatch::tests::{planned, task};

    fn runs() -> Vec<RunSpec> {
        let run = |(id, patience): (&str, usize)| {
            let mut run = planned(id);
            run.recipe.early_stopping.patience = patience;
            run
        };
        let mut runs: Vec<RunSpec> = [("r5", 5), ("r0", 0), ("r2", 2), ("r9", 9)].map(run).into();
        runs[3].recipe.training.learning_rate *= 2.0;
        runs
    }

    #[test]
    fn the_heir_is_the_next_patient_run_with_the_same_settings_and_seed() {
        let runs = runs();
        let of = |run: &RunSpec| heir(&runs, run).map(|heir| heir.id.clone());
        let found: Vec<_> = runs.iter().map(of).collect();
        assert_eq!(found, [Some("r0".to_owned()), None, Some("r5".to_owned()), None]);
        let mut other = runs[2].clone();
        other.seed = 1;
        assert_eq!(of(&other), None, "another seed");
        other = runs[2].clone();
        other.recipe.early_stopping.min_delta = 0.1;
        assert_eq!(of(&other), None, "another bar");
    }

    #[test]
    fn who_goes_on_from_another_waits_for_it_unless_it_has_begun() {
        let folder = tempfile::tempdir().unwrap();
        let mut tasks: Vec<Task> = runs().into_iter().map(|spec| task(folder.path(), spec)).collect();
        tasks.push(task(folder.path(), RunSpec { id: "r9again".to_owned(), ..tasks[3].spec.clone() }));
        assert_eq!(predecessors(&tasks), [(0, 2), (1, 0)].into());
        std::fs::create_dir_all(&tasks[0].directory.path).unwrap();
        std::fs::write(tasks[0].directory.events(), "").unwrap();
        assert_eq!(predecessors(&tasks), [(1, 0)].into());
    }
}
