//! Runs with settings that keep something of their own from step to step come to the same when they are cut off.

use sweep::record::recipe::{LoraTargets, Training};

use crate::cuts::{ALWAYS, Bed, Cut, HOURLY, cut_and_compare_on};

/// Cuts the toy with some of its settings changed.
fn cut(change: impl Fn(&mut Training)) {
    let mut bed = Bed::new();
    change(&mut bed.run.recipe.training);
    for every in [ALWAYS, HOURLY] {
        assert!(cut_and_compare_on(&bed, every, 3) >= 6);
    }
}

#[test]
fn a_run_with_adapters_cut_off_anywhere_comes_to_the_same_to_the_last_bit() {
    cut(|training| {
        (training.lora_rank, training.lora_targets) = (2, LoraTargets::AllLinear);
        training.train_embeddings = true;
    });
}

#[test]
fn a_run_with_a_moving_average_cut_off_anywhere_comes_to_the_same_to_the_last_bit() {
    cut(|training| training.ema_decay = 0.7);
    cut(|training| (training.ema_decay, training.lora_rank) = (0.7, 2));
}

#[test]
fn a_run_of_so_many_steps_that_is_evaluated_now_and_then_cut_off_anywhere_comes_to_the_same() {
    // Three steps an epoch: the last of three epochs has one.
    cut(|training| training.max_steps = 7);
    let mut bed = Bed::new();
    (bed.run.recipe.evaluation.eval_every, bed.run.recipe.training.epochs) = (2, 5);
    bed.run.recipe.early_stopping.patience = 0;
    for every in [ALWAYS, HOURLY] {
        assert!(cut_and_compare_on(&bed, every, 3) >= 6);
    }
}

#[test]
fn a_run_on_images_changed_at_random_cut_off_anywhere_comes_to_the_same_to_the_last_bit() {
    cut(|training| {
        (training.horizontal_flip, training.random_resized_crop) = (0.5, 0.5);
        (training.rotation, training.color_jitter) = (10.0, 0.2);
    });
    cut(|training| training.horizontal_flip = 0.5);
    cut(|training| (training.color_jitter, training.augmentation_views) = (0.3, 2));
}

#[test]
fn a_run_on_captions_in_other_words_cut_off_anywhere_comes_to_the_same_to_the_last_bit() {
    let mut bed = Bed::new();
    bed.workdir
        .file("more.json", r#"{"0.png": ["a red thing", "something red"], "3.png": "a thing on the grass"}"#);
    let more = bed.workdir.path().join("more.json");
    bed.run.recipe.training.paraphrases = more.display().to_string();
    bed.run.recipe.training.synonym_replacement = 0.5;
    for every in [ALWAYS, HOURLY] {
        assert!(cut_and_compare_on(&bed, every, 3) >= 6);
    }
    // Other paraphrases are other data.
    let folder = bed.folder("other");
    bed.attempt(&folder, ALWAYS, Cut::Stopped(120));
    bed.workdir.file("more.json", r#"{"0.png": "another thing"}"#);
    let (ended, _) = bed.attempt(&folder, ALWAYS, Cut::Never);
    let error = format!("{:#}", ended.unwrap().unwrap_err());
    assert!(error.contains("training.paraphrases is ") && error.contains("when the run began"), "{error}");
}
