//! The sweeps that come with the program plan without a download, without data and at once.

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
fn the_original_experiment_has_the_parameters_it_asked_for_and_those_it_trained() {
    let plan = plan("as_original.yaml", &[]);
    insta::assert_snapshot!(table::draw(&plan, &Facts { train_examples: Some(9140), ..Facts::default() }), @"
    as_original: 3 fine-tuned runs, 5 reference runs

    id           kind               unfrozen_vision_layers  seed  trainable  steps
    r727269d770  zero-shot                               -     0          -      -
    r7db03a9f6f  constant caption                        -     0          -      -
    r49e1459187  nearest image                           -     0          -      -
    r310364f1dc  small GRU decoder                       -     0          -   8580
    r75e553a82f  matched length                          -     0          -      -
    re1b426d7ab  fine-tuned                              0     0    137.9 M  22860
    r8e52263d7c  fine-tuned                              3     0    159.1 M  22860
    rbb4536986a  fine-tuned                              6     0    180.4 M  22860

    needs: about 5.0 GB of memory for the largest run, 11.0 GB of disk for all

    warning: training begins captions with [CLS] (`start_token: cls`), generation
      always with [DEC]: it starts from a token that fine-tuning never showed the
      model
    ");
}

#[test]
fn the_conservative_sweep_is_small() {
    insta::assert_snapshot!(table::draw(&plan("conservative.yaml", &[]), &Facts::default()), @"
    conservative: 6 fine-tuned runs, 5 reference runs

    id           kind               unfrozen_vision_layers  learning_rate  seed  trainable  steps
    r289706eb8c  zero-shot                               -              -     0          -      -
    r950c7e1bef  constant caption                        -              -     0          -      -
    r44dc396d02  nearest image                           -              -     0          -      -
    r896a144fd9  small GRU decoder                       -              -     0          -      -
    re75649741b  matched length                          -              -     0          -      -
    r4385f3aaa6  fine-tuned                              0           5e-6     0    137.9 M      -
    r2041921b60  fine-tuned                              0           1e-5     0    137.9 M      -
    rdc3f9f7813  fine-tuned                              1           5e-6     0    145.0 M      -
    r22359f5bd9  fine-tuned                              1           1e-5     0    145.0 M      -
    rd82ab5331c  fine-tuned                              2           5e-6     0    152.1 M      -
    rdaa7bb6e13  fine-tuned                              2           1e-5     0    152.1 M      -

    needs: about 4.5 GB of memory for the largest run, 19.5 GB of disk for all
    ");
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
