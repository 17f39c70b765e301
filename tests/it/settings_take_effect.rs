//! Settings of training that were added later: each makes another run, and gradients accumulated are those of one batch.

use std::collections::BTreeMap;

use sweep::record::RunRecord;

use crate::toy::{command, prepared, records};

/// Trains the toy once for each point. The records are in their order.
fn trained(points: &[&str]) -> Vec<RunRecord> {
    const SPEC: &str = "\
name: toy
model: model
data:
  train: {captions: train.json, images: images}
  validation: {captions: validation.json, images: images}
method: list
training: {learning_rate: 1.0e-2, weight_decay: 0.1, max_length: 16, epochs: 2, warmup_steps: 1}
generation: {max_length: 8, num_beams: 1}
references: {zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false}
points:
";
    let work = prepared();
    let points: Vec<String> = points.iter().map(|point| format!("  - {{{point}}}\n")).collect();
    work.file("toy.yaml", &format!("{SPEC}{}", points.concat()));
    let seen = work.sweep(&command(1));
    assert!(seen.starts_with("exit 0\n"), "{seen}");
    let runs = records(&work.path().join("runs"), "toy");
    assert_eq!(runs.len(), points.len());
    runs
}

/// What a run came to, to the last bit.
fn losses(run: &RunRecord) -> Vec<f64> {
    run.curve.iter().filter_map(|evaluated| evaluated.val_nll).collect()
}

#[test]
fn every_setting_of_an_update_makes_another_run() {
    let points = [
        "unfrozen_vision_layers: 2, training.batch_size: 2",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lr_scheduler_type: cosine",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lr_scheduler_type: constant",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lr_scheduler_type: constant_with_warmup",
        "unfrozen_vision_layers: 2, training.batch_size: 2, warmup_ratio: 0.5",
        "unfrozen_vision_layers: 2, training.batch_size: 2, layer_lr_decay: 0.1",
        "unfrozen_vision_layers: 2, training.batch_size: 2, unfreeze_from_epoch: 2",
        "unfrozen_vision_layers: 2, training.batch_size: 2, unfreeze_every: 1",
        "unfrozen_vision_layers: 2, training.batch_size: 2, train_examples: 4",
        "unfrozen_vision_layers: 2, training.batch_size: 2, balance: 1.0, balance_by: '^[01]'",
        "unfrozen_vision_layers: 2, training.batch_size: 2, balance: 1.0, balance_by: '^[012]'",
        "unfrozen_vision_layers: 2, training.batch_size: 2, balance: 0.5, balance_by: '^[01]'",
        "unfrozen_vision_layers: 2, training.batch_size: 2, decay_norms_and_biases: false",
        "unfrozen_vision_layers: 2, training.batch_size: 2, gradient_accumulation_steps: 2",
    ];
    let runs = trained(&points);
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (run, point) in runs.iter().zip(points) {
        let other = seen.insert(format!("{:?}", losses(run)), point);
        assert_eq!(other, None, "{point} trains as another setting does");
    }
}

#[test]
fn accumulated_gradients_are_those_of_one_batch() {
    // Of six images four, and then the two that are left.
    let runs = trained(&[
        "unfrozen_vision_layers: 2, training.batch_size: 2",
        "unfrozen_vision_layers: 2, training.batch_size: 4",
        "unfrozen_vision_layers: 2, training.batch_size: 2, gradient_accumulation_steps: 2",
        "unfrozen_vision_layers: 2, training.batch_size: 1, gradient_accumulation_steps: 4",
        "unfrozen_vision_layers: 2, training.batch_size: 4, mask_padding: false",
        "unfrozen_vision_layers: 2, training.batch_size: 1, gradient_accumulation_steps: 4, mask_padding: false",
    ]);
    let near = |a: &RunRecord, b: &RunRecord| {
        let (a, b) = (losses(a), losses(b));
        assert_eq!((a.len(), b.len()), (3, 3));
        a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    assert!(near(&runs[1], &runs[2]) < 1e-5 && near(&runs[1], &runs[3]) < 1e-5);
    assert!(near(&runs[4], &runs[5]) < 1e-5, "where pads count, they are those of one batch");
    assert!(near(&runs[1], &runs[4]) > 1e-4 && near(&runs[0], &runs[1]) > 1e-4, "others differ");
    let steps = |run: &RunRecord| run.started.as_ref().map(|started| started.total_steps);
    assert_eq!((steps(&runs[0]), steps(&runs[3])), (Some(6), Some(4)));
}

#[test]
fn runs_on_a_part_of_the_data_are_of_the_same_data() {
    let runs = trained(&[
        "unfrozen_vision_layers: 1, train_examples: 4",
        "unfrozen_vision_layers: 1, train_examples: 0",
    ]);
    let of = |run: &RunRecord| {
        let started = run.started.as_ref().unwrap();
        (started.train_examples, started.data_digest.clone())
    };
    let [(few, digest), (all, other)] = [0, 1].map(|run| of(&runs[run]));
    assert_eq!((few, all), (4, 6));
    assert_eq!(digest, other, "their scores compare");
}

#[test]
fn until_its_turn_comes_a_layer_stays_as_it_was() {
    let runs = trained(&[
        "training.batch_size: 2, unfrozen_vision_layers: 0",
        "training.batch_size: 2, unfrozen_vision_layers: 2, unfreeze_from_epoch: 2",
        "training.batch_size: 2, unfrozen_vision_layers: 1",
        "training.batch_size: 2, unfrozen_vision_layers: 2, unfreeze_every: 1",
    ]);
    let of = |run: usize, epoch: usize| losses(&runs[run])[epoch];
    for (frozen, later) in [(0, 1), (2, 3)] {
        assert!((of(frozen, 1) - of(later, 1)).abs() < 1e-6, "the first epoch is the same");
        assert!((of(frozen, 2) - of(later, 2)).abs() > 1e-5, "and the second is not");
    }
}
