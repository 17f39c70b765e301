//! Runs that differ in their patience alone: the epochs that they share are trained once, and each comes to what it would
//! have come to alone.

use std::fs;

use sweep::record::{RunDir, RunSpec, Status};

use crate::cuts::{ALWAYS, Bed, HOURLY, differences, steps_by_attempt};
use crate::end_to_end::{json_lines, plan};
use crate::toy;

/// The bed's run under another id and with so much patience, over epochs enough to lose it.
fn with_patience(bed: &Bed, id: &str, patience: usize) -> RunSpec {
    let mut run = RunSpec { id: id.to_owned(), ..bed.run.clone() };
    (run.recipe.early_stopping.patience, run.recipe.training.epochs) = (patience, 7);
    run
}

/// How many steps the run did itself.
fn own_steps(folder: &RunDir) -> usize {
    *steps_by_attempt(folder).last().unwrap()
}

#[test]
fn a_more_patient_run_goes_on_where_the_less_patient_one_stopped_and_comes_to_the_same_as_alone() {
    for (every, ema_decay) in [(HOURLY, 0.0), (ALWAYS, 0.0), (HOURLY, 0.5)] {
        let mut bed = Bed::new();
        bed.run.recipe.training.ema_decay = ema_decay;
        let [hasty, patient] =
            [("r0000000001", 1), ("r0000000004", 4)].map(|(id, n)| with_patience(&bed, id, n));
        let (alone, hasty_alone) = (bed.folder("alone"), bed.folder("hasty-alone"));
        bed.run = patient.clone();
        bed.finish(&alone, every);
        bed.run = hasty.clone();
        let stopped = bed.finish(&hasty_alone, every);
        assert_eq!(stopped.status, Status::EarlyStopped);
        assert!(own_steps(&hasty_alone) < own_steps(&alone), "patience makes no difference");

        let (first, heir) = (bed.folder("hasty"), bed.folder("heir"));
        bed.heir = Some((patient.clone(), heir.clone()));
        bed.finish(&first, every);
        assert_eq!(differences(&bed.results(&first), &bed.results(&hasty_alone)), [""; 0]);
        bed.heir = None;
        bed.run = patient;
        bed.finish(&heir, every);
        assert_eq!(differences(&bed.results(&heir), &bed.results(&alone)), [""; 0]);
        assert_eq!(own_steps(&heir), own_steps(&alone) - own_steps(&first), "trained anew");
    }
}

#[test]
fn an_heir_of_which_half_was_handed_on_begins_anew() {
    let mut bed = Bed::new();
    let [hasty, patient] = [("r0000000001", 1), ("r0000000004", 4)].map(|(id, n)| with_patience(&bed, id, n));
    let (alone, first, heir) = (bed.folder("alone"), bed.folder("hasty"), bed.folder("heir"));
    bed.run = patient.clone();
    bed.finish(&alone, HOURLY);
    bed.run = hasty;
    bed.heir = Some((patient.clone(), heir.clone()));
    bed.finish(&first, HOURLY);
    fs::remove_dir_all(heir.last()).unwrap();
    (bed.run, bed.heir) = (patient, None);
    bed.finish(&heir, HOURLY);
    assert_eq!(differences(&bed.results(&heir), &bed.results(&alone)), [""; 0]);
    assert_eq!(own_steps(&heir), own_steps(&alone));
}

#[test]
fn a_sweep_over_patience_trains_shared_epochs_once_however_many_runs_are_at_work() {
    let workdir = toy::prepared();
    let text = fs::read_to_string(workdir.path().join("toy.yaml")).unwrap();
    workdir.file("base.yaml", &text);
    let over = "extends: base.yaml\nname: patient\nparameters: {patience: [0, 1, 2], unfrozen_vision_layers: {value: 1}}\n\
                training: {epochs: 6, learning_rate: 3.0e-2}\n\
                references: {zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false}\n";
    workdir.file("toy.yaml", over);
    let said = workdir.sweep(&toy::command(3));
    assert!(said.starts_with("exit 0\n"), "{said}");
    let sweep = workdir.path().join("runs/patient");
    let mut runs = plan(&sweep);
    runs.retain(|run| run["recipe"]["kind"] == "fine_tuned");
    runs.sort_by_key(|run| match run["point"]["early_stopping.patience"].as_u64() {
        Some(0) => u64::MAX,
        patience => patience.unwrap(),
    });
    let ids: Vec<&str> = runs.iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    for pair in ids.windows(2) {
        let events = json_lines(&sweep.join(pair[1]).join("events.jsonl"));
        let started = events.iter().rfind(|event| event["event"] == "started").unwrap();
        assert!(started["notes"][0].as_str().unwrap().contains(pair[0]), "{started}");
        assert_eq!(started["run"], pair[1]);
    }
}
