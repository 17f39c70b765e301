//! The sweeps that come with the program plan without a download, without data and at once. Their tables as a user sees
//! them are snapshots of `cli`.

use std::path::Path;

use sweep::plan::{Facts, Plan, expand, table};
use sweep::record::recipe::Kind;
use sweep::spec;

fn plan(name: &str, overrides: &[&str]) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps").join(name);
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let spec = spec::load(&path, &overrides).unwrap_or_else(|error| panic!("{error}"));
    expand(&spec).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_built_in_study_varies_all_four_axes() {
    let plan = plan("unfreeze.yaml", &[]);
    let fine_tuned: Vec<_> = plan.runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned).collect();
    assert!(fine_tuned.len() >= 8, "{}", fine_tuned.len());
    for path in ["unfrozen_vision_layers", "learning_rate", "vision_lr_multiplier", "weight_decay"] {
        let values = fine_tuned.iter().filter_map(|run| run.point.get(&format!("training.{path}")));
        let mut values: Vec<String> = values.map(ToString::to_string).collect();
        values.sort();
        values.dedup();
        assert!(values.len() >= 2, "{path} has {values:?}");
    }
    let references: Vec<Kind> =
        plan.runs.iter().map(|run| run.recipe.kind).filter(|kind| *kind != Kind::FineTuned).collect();
    assert_eq!(references, Kind::REFERENCES[..5]);
}

#[test]
fn the_original_experiment_has_the_steps_that_its_data_give() {
    let plan = plan("as_original.yaml", &[]);
    let table = table::draw(&plan, &Facts { train_examples: Some(9140), ..Facts::default() });
    let steps = |id: &str| {
        let row = table.lines().find(|line| line.starts_with(id)).unwrap_or_else(|| panic!("{table}"));
        row.split_whitespace().last().unwrap().to_owned()
    };
    let trained = plan.runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned);
    let trained: Vec<String> = trained.map(|run| steps(&run.id)).collect();
    // 1524 batches of 6, 15 epochs.
    assert_eq!(trained, ["22860"; 3]);
}

#[test]
fn overrides_make_other_sweeps_of_the_same_file() {
    let wider = plan("conservative.yaml", &["vision_lr_multiplier=0.05,0.1", "seeds=0,1"]);
    assert_eq!(wider.runs.len(), 5 + 2 * (2 + 2 * 2 * 2), "no multiplier for 0 layers");
    assert_eq!(wider.merged.len(), 2 * 2);
    let base = plan("conservative.yaml", &[]);
    let is_in_wider = |id: &String| wider.runs.iter().any(|run| run.id == *id);
    assert!(base.runs.iter().all(|run| is_in_wider(&run.id)), "adding values changes no id");
}

#[test]
fn when_beam_search_ends_can_vary_and_changes_no_other_id() {
    let base = plan("conservative.yaml", &[]);
    let varied = plan("conservative.yaml", &["generation.early_stopping=true,never"]);
    let fine_tuned = |plan: &Plan| {
        let trained = plan.runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned);
        trained.map(|run| run.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(fine_tuned(&varied).len(), 2 * fine_tuned(&base).len());
    assert!(fine_tuned(&base).iter().all(|id| fine_tuned(&varied).contains(id)));
    let table = table::draw(&varied, &Facts::default());
    assert!(table.contains("early_stopping") && table.contains("never"), "{table}");
}
