use super::*;
use crate::record::run::tests::any_run;

fn plan(store: &Store, name: &str) -> SweepDir {
    let sweep = store.sweep(name);
    sweep.write_plan(&[any_run("r0123456789")]).unwrap();
    sweep
}

#[test]
fn sweeps_are_found_sorted_at_any_depth_but_not_in_hidden_folders_or_inside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    for name in ["b", "a", "group/c", ".hidden", "a/r0123456789"] {
        plan(&store, name);
    }
    fs::create_dir_all(folder.path().join("empty")).unwrap();
    let names: Vec<_> = store.sweeps().unwrap().iter().map(SweepDir::name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn the_folder_may_be_a_sweep_itself_even_a_hidden_one() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = plan(&Store::new(folder.path()), ".hidden");
    assert_eq!(Store::new(&sweep.path).sweeps().unwrap(), [sweep]);
}

#[test]
fn a_missing_runs_folder_is_an_error_with_a_hint() {
    let error = Store::new(Path::new("no/such/runs")).sweeps().unwrap_err();
    insta::assert_snapshot!(error, @r"
    no/such/runs: no such folder
    hint: `sweep run SPEC` creates it; `--runs DIR` names another
    ");
}

#[test]
fn a_plan_reads_back_as_it_was_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = Store::new(folder.path()).sweep("x");
    let runs = [any_run("r0123456789"), any_run("rabcdef0123")];
    sweep.write_plan(&runs).unwrap();
    assert_eq!(sweep.read_plan().unwrap(), runs);
    let records = sweep.read_records().unwrap();
    assert_eq!(
        records.iter().map(|record| &record.spec.id).collect::<Vec<_>>(),
        ["r0123456789", "rabcdef0123"]
    );
    assert!(records.iter().all(|record| record.status.is_none() && record.attempts == 0));
}

#[test]
fn a_plan_whose_ids_lead_elsewhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = Store::new(folder.path()).sweep("x");
    for id in ["../other", "", "0123", "r/0", "R0"] {
        sweep.write_plan(&[any_run(id)]).unwrap();
        let error = sweep.read_plan().unwrap_err().to_string();
        assert!(error.ends_with(&format!("`{id}` is not a run's id")), "{error}");
    }
}

#[test]
fn a_broken_plan_is_an_error_that_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = plan(&Store::new(folder.path()), "x");
    fs::write(sweep.plan_path(), "{\"id\":\"r1\"}\n").unwrap();
    let error = sweep.read_plan().unwrap_err().to_string();
    assert!(error.contains("plan.jsonl: line at byte 0: missing field `sweep`"), "{error}");
    plan(&Store::new(folder.path()), "x");
    let text = fs::read(sweep.plan_path()).unwrap();
    fs::write(sweep.plan_path(), &text[..text.len() / 2]).unwrap();
    let error = sweep.read_plan().unwrap_err().to_string();
    assert!(error.ends_with("plan.jsonl: it is cut off; `sweep run` writes it anew"), "{error}");
    fs::remove_file(sweep.plan_path()).unwrap();
    assert!(sweep.read_plan().unwrap_err().to_string().contains("plan.jsonl: no such file"));
}

#[test]
fn rows_of_an_epoch_done_again_replace_the_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir { path: folder.path().to_owned() };
    let row = |epoch, image: &str, loss| PerImage {
        epoch,
        image: image.to_owned(),
        split: "validation".to_owned(),
        loss: Some(loss),
        meteor: None,
        rouge_l: None,
        cider_d: None,
    };
    run.append_per_image(&[row(1, "a", 1.0), row(1, "b", 2.0)]).unwrap();
    run.append_per_image(&[row(2, "a", 3.0)]).unwrap();
    run.append_per_image(&[row(1, "b", 4.0)]).unwrap();
    let (rows, problems) = run.read_per_image();
    assert_eq!(rows, [row(1, "a", 1.0), row(1, "b", 4.0), row(2, "a", 3.0)]);
    assert!(problems.is_empty());
}

#[test]
fn broken_predictions_are_left_out_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir { path: folder.path().to_owned() };
    assert_eq!(run.read_predictions(), (vec![], vec![]));
    let prediction = Prediction {
        image: "a.png".into(),
        split: "test".into(),
        caption: "a red ball".into(),
        references: vec!["a ball".into()],
        token_ids: vec![],
        score: None,
    };
    run.write_predictions(std::slice::from_ref(&prediction)).unwrap();
    let text = fs::read_to_string(run.predictions()).unwrap();
    fs::write(run.predictions(), format!("{{\"image\":1}}\n{text}")).unwrap();
    let (rows, problems) = run.read_predictions();
    assert_eq!(rows, [prediction]);
    assert!(problems[0].starts_with("line at byte 0: "), "{}", problems[0]);
}
