//! Settings of training that were added later: each makes another run, and gradients accumulated are those of one batch.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::Value;
use sweep::model::Weights;
use sweep::record::RunRecord;

use crate::toy::{command, csv_rows, prepared, records};
use crate::workdir::Workdir;

/// Trains the toy once for each point. The records are in their order.
fn trained(points: &[&str]) -> Vec<RunRecord> {
    records(&prepared_with(points).path().join("runs"), "toy")
}

/// A folder in which the toy was trained once for each point.
fn prepared_with(points: &[&str]) -> Workdir {
    const SPEC: &str = "\
name: toy
model: model
data:
  train: {captions: train.json, images: images}
  validation: {captions: validation.json, images: images}
method: list
training: {learning_rate: 1.0e-2, weight_decay: 0.1, max_length: 16, epochs: 2, warmup_steps: 1}
generation: {max_length: 8, num_beams: 1}
references: {zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false, simple_models: false}
points:
";
    let work = prepared();
    work.file("more.json", r#"{"0.png": ["a red thing", "something red"], "3.png": "a thing on the grass"}"#);
    let points: Vec<String> = points.iter().map(|point| format!("  - {{{point}}}\n")).collect();
    work.file("toy.yaml", &format!("{SPEC}{}", points.concat()));
    let seen = work.sweep(&command(1));
    assert!(seen.starts_with("exit 0\n"), "{seen}");
    assert_eq!(records(&work.path().join("runs"), "toy").len(), points.len());
    work
}

/// A model's tensors.
fn tensors(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let weights = Weights::load(folder, &Device::Cpu).unwrap();
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    weights.tensors().iter().map(|(name, tensor)| (name.clone(), values(tensor))).collect()
}

/// What the plan says that a run trains.
fn planned_of(work: &Workdir, id: &str) -> Value {
    let shown = work.sweep("plan toy.yaml --format json");
    let plan: Value = serde_json::from_str(&shown[shown.find('{').unwrap()..]).unwrap();
    let runs = plan["runs"].as_array().unwrap();
    runs.iter().find(|run| run["id"] == id).unwrap()["trainable_by_part"].clone()
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
        "unfrozen_vision_layers: 2, training.batch_size: 2, train_examples: 0.5",
        "unfrozen_vision_layers: 2, training.batch_size: 2, precision: bf16",
        "unfrozen_vision_layers: 2, training.batch_size: 2, precision: f16",
        "unfrozen_vision_layers: 2, training.batch_size: 2, balance: 1.0, balance_by: '^[01]'",
        "unfrozen_vision_layers: 2, training.batch_size: 2, balance: 1.0, balance_by: '^[012]'",
        "unfrozen_vision_layers: 2, training.batch_size: 2, balance: 0.5, balance_by: '^[01]'",
        "unfrozen_vision_layers: 2, training.batch_size: 2, decay_norms_and_biases: false",
        "unfrozen_vision_layers: 2, training.batch_size: 2, gradient_accumulation_steps: 2",
        "unfrozen_vision_layers: 2, training.batch_size: 2, prompt: a red",
        "unfrozen_vision_layers: 2, training.batch_size: 2, trainable_text: cross_attention",
        "unfrozen_vision_layers: 2, training.batch_size: 2, trainable_text_layers: 1",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lora_rank: 2",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lora_rank: 2, lora_alpha: 4",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lora_rank: 3, lora_alpha: 12",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lora_rank: 2, lora_targets: all-linear",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lora_rank: 2, train_embeddings: true",
        "unfrozen_vision_layers: 2, training.batch_size: 2, trainable_text_layers: 1, train_embeddings: true",
        "unfrozen_vision_layers: 2, training.batch_size: 2, lora_rank: 2, ema_decay: 0.5",
        "unfrozen_vision_layers: 2, training.batch_size: 2, ema_decay: 0.5",
        "unfrozen_vision_layers: 2, training.batch_size: 2, ema_decay: 0.2",
        "unfrozen_vision_layers: 2, training.batch_size: 2, max_steps: 5",
        "unfrozen_vision_layers: 2, training.batch_size: 2, eval_every: 2",
        "unfrozen_vision_layers: 2, training.batch_size: 2, horizontal_flip: 1",
        "unfrozen_vision_layers: 2, training.batch_size: 2, random_resized_crop: 0.5",
        "unfrozen_vision_layers: 2, training.batch_size: 2, random_resized_crop: 0.5, augmentation_views: 1",
        "unfrozen_vision_layers: 2, training.batch_size: 2, rotation: 30",
        "unfrozen_vision_layers: 2, training.batch_size: 2, color_jitter: 0.5",
        "unfrozen_vision_layers: 2, training.batch_size: 2, synonym_replacement: 0.9",
        "unfrozen_vision_layers: 2, training.batch_size: 2, synonym_replacement: 0.9, protected_words: standing house",
        "unfrozen_vision_layers: 2, training.batch_size: 2, paraphrases: more.json",
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
fn a_share_of_the_images_trains_as_the_count_that_it_comes_to() {
    let work = prepared_with(&[
        "unfrozen_vision_layers: 0, training.batch_size: 1, train_examples: 0.5",
        "unfrozen_vision_layers: 0, training.batch_size: 1, train_examples: 3",
        "unfrozen_vision_layers: 0, training.batch_size: 1, train_examples: 1.0",
        "unfrozen_vision_layers: 0, training.batch_size: 1, train_examples: 1",
    ]);
    let runs = records(&work.path().join("runs"), "toy");
    let images =
        |run: &RunRecord| run.started.as_ref().map(|started| (started.train_examples, started.total_steps));
    assert_eq!(
        [0, 1, 2, 3].map(|run| images(&runs[run])),
        [3, 3, 6, 1].map(|images| Some((images, 2 * images)))
    );
    assert_eq!(losses(&runs[0]), losses(&runs[1]), "they are the same images");
    assert_ne!(runs[0].spec.id, runs[1].spec.id, "what a share comes to is not known to a plan");
    let shown = work.sweep("plan toy.yaml");
    for (run, cell) in runs.iter().zip(["0.5 (3 images)", "", "1.0 (6 images)", ""]) {
        let line = shown.lines().find(|line| line.starts_with(&run.spec.id)).unwrap();
        assert!(line.contains(cell) && line.contains("images") != cell.is_empty(), "{line}");
    }
    let as_json = work.sweep("plan toy.yaml --format json");
    let plan: Value = serde_json::from_str(&as_json[as_json.find('{').unwrap()..]).unwrap();
    let of =
        |run: usize| plan["runs"].as_array().unwrap().iter().find(|found| found["id"] == *runs[run].spec.id);
    assert_eq!(
        (&of(0).unwrap()["train_images"], of(0).unwrap()["steps"].as_u64()),
        (&Value::from(3), Some(6))
    );
    // The report has the numbers of images.
    assert!(work.sweep("report runs --out reports").starts_with("exit 0\n"));
    let table = std::fs::read_to_string(work.path().join("reports/toy/runs.csv")).unwrap();
    let rows = csv_rows(&table);
    let place = |name: &str| rows[0].iter().position(|column| column == name).unwrap();
    let (run, setting) = (place("run"), place("setting.training.train_examples"));
    let mut shown: Vec<(String, String)> =
        rows[1..].iter().map(|row| (row[run].clone(), row[setting].clone())).collect();
    let mut wanted: Vec<(String, String)> = runs
        .iter()
        .zip(["3", "3", "6", "1"])
        .map(|(run, images)| (run.spec.id.clone(), images.to_owned()))
        .collect();
    shown.sort();
    wanted.sort();
    assert_eq!(shown, wanted);
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

#[test]
fn of_the_decoder_only_the_chosen_part_changes_and_has_a_state_of_the_optimizer() {
    let points = [
        "training.batch_size: 2, unfrozen_vision_layers: 0, trainable_text: cross_attention",
        "training.batch_size: 2, unfrozen_vision_layers: 1, trainable_text_layers: 1",
        "training.batch_size: 2, unfrozen_vision_layers: 1, trainable_text_layers: 1, trainable_text: cross_attention",
    ];
    let work = prepared_with(&points);
    let before = tensors(&work.path().join("model"));
    let runs = records(&work.path().join("runs"), "toy");
    let parts: [fn(&str) -> bool; 3] = [
        |name| name.contains(".crossattention."),
        |name| name.contains("decoder.bert.encoder.layer.1.") || name.contains("encoder.layers.1."),
        |name| {
            name.contains("decoder.bert.encoder.layer.1.crossattention.")
                || name.contains("encoder.layers.1.")
        },
    ];
    for (run, part) in runs.iter().zip(parts) {
        let after = tensors(&work.path().join("runs/toy").join(&run.spec.id).join("last"));
        for (name, values) in &before {
            // The bias of a key has no gradient but rounding.
            let is_same = after[name] == *values;
            assert!(is_same != part(name) || name.ends_with("key.bias"), "{name} in {:?}", run.spec.point);
        }
        let trainable = &run.started.as_ref().unwrap().trainable;
        assert_eq!(trainable.tensors, before.keys().filter(|name| part(name)).count());
        let planned = planned_of(&work, &run.spec.id);
        assert_eq!(planned, serde_json::to_value(trainable).unwrap(), "{:?}", run.spec.point);
    }
}

#[test]
fn with_adapters_nothing_but_their_layers_changes_and_what_is_saved_is_a_model_like_any_other() {
    let points = [
        "training.batch_size: 2, unfrozen_vision_layers: 1, lora_rank: 2",
        "training.batch_size: 2, unfrozen_vision_layers: 0, lora_rank: 3, lora_targets: all-linear",
        "training.batch_size: 2, unfrozen_vision_layers: 2, lora_rank: 1, trainable_text: cross_attention, lora_targets: all-linear",
        "training.batch_size: 2, unfrozen_vision_layers: 0, lora_rank: 1, trainable_text_layers: 1, ema_decay: 0.9",
        "training.batch_size: 2, unfrozen_vision_layers: 0, lora_rank: 1, lora_targets: all-linear, train_embeddings: true",
    ];
    let is_attention = |name: &str| {
        name.contains(".self_attn.") || name.contains(".self.") || name.contains("attention.output.dense.")
    };
    let is_outer = |name: &str| name.starts_with("text_decoder.") && !name.contains(".layer.");
    let parts: [&dyn Fn(&str) -> bool; 5] = [
        &|name| is_attention(name) && !name.contains("encoder.layers.0."),
        &|name| {
            !name.contains("embedding")
                && !name.to_lowercase().contains("norm")
                && name.starts_with("text_decoder.")
        },
        &|name| {
            name.contains(".crossattention.") && !name.contains("Norm")
                || name.contains("encoder.layers.") && !name.contains("norm")
        },
        &|name| is_attention(name) && name.contains("text_decoder.bert.encoder.layer.1."),
        &|name| name.contains("text_decoder.bert.encoder.layer.") && !name.contains("Norm"),
    ];
    let work = prepared_with(&points);
    let before = tensors(&work.path().join("model"));
    for (run, part) in records(&work.path().join("runs"), "toy").iter().zip(parts) {
        let adapted = |name: &str| name.ends_with(".weight") && part(name);
        let itself = |name: &str| run.spec.recipe.training.train_embeddings && is_outer(name);
        let last = work.path().join("runs/toy").join(&run.spec.id).join("last");
        let after = tensors(&last);
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        for (name, values) in &before {
            let changes = adapted(name) || itself(name);
            assert_eq!(after[name] != *values, changes, "{name} in {:?}", run.spec.point);
        }
        let trainable = &run.started.as_ref().unwrap().trainable;
        let count = |is_it: &dyn Fn(&str) -> bool| before.keys().filter(|name| is_it(name)).count();
        assert_eq!(trainable.tensors, 2 * count(&adapted) + count(&itself));
        assert_eq!(planned_of(&work, &run.spec.id), serde_json::to_value(trainable).unwrap());
        let summary = run.summary.as_ref().unwrap();
        assert_ne!(summary.last.as_ref().unwrap().val_nll, summary.initial.as_ref().unwrap().val_nll);
    }
}

#[test]
fn a_run_takes_so_many_steps_and_is_evaluated_every_so_many_epochs_and_at_its_end() {
    let runs = trained(&[
        "unfrozen_vision_layers: 0, training.batch_size: 2, max_steps: 5",
        "unfrozen_vision_layers: 0, training.batch_size: 2, max_steps: 15, eval_every: 2",
        "unfrozen_vision_layers: 0, training.batch_size: 2, max_steps: 15",
    ]);
    let places = |run: &RunRecord| run.curve.iter().map(|at| (at.epoch, at.step)).collect::<Vec<_>>();
    assert_eq!(places(&runs[0]), [(0, 0), (1, 3), (2, 5)]);
    assert_eq!(places(&runs[1]), [(0, 0), (2, 6), (4, 12), (5, 15)]);
    let seldom = losses(&runs[1]);
    assert_eq!(seldom, [0, 2, 4, 5].map(|epoch| losses(&runs[2])[epoch]), "training is the same");
    let total = |run: &RunRecord| run.started.as_ref().map(|started| started.total_steps);
    assert_eq!((total(&runs[0]), total(&runs[1])), (Some(5), Some(15)));
}

#[test]
fn a_run_without_diagnostics_comes_to_the_same_and_looks_for_nothing_else() {
    let work = prepared_with(&[
        "unfrozen_vision_layers: 1, training.batch_size: 2",
        "unfrozen_vision_layers: 1, training.batch_size: 2, diagnostics: false",
    ]);
    let runs = records(&work.path().join("runs"), "toy");
    let [with, without] = [&runs[0], &runs[1]];
    assert_eq!(losses(with), losses(without));
    let folder = |run: &RunRecord| work.path().join("runs/toy").join(&run.spec.id);
    let weights = |run: &RunRecord| tensors(&folder(run).join("best"));
    assert!(weights(with) == weights(without));
    let scores = |run: &RunRecord| run.summary.as_ref().unwrap().best.as_ref().unwrap().score;
    assert_eq!(scores(with), scores(without));

    let of_training = |run: &RunRecord| {
        let text = |name: &str| std::fs::read_to_string(folder(run).join(name)).unwrap();
        ["per_image.jsonl", "predictions.jsonl"].map(|name| text(name).contains(r#""split":"train""#))
    };
    assert_eq!((of_training(with), of_training(without)), ([true, true], [false, false]));
    let looked_for = |run: &RunRecord| {
        let found = std::fs::read_dir(folder(run).join("diagnostics"));
        found.map_or(0, Iterator::count)
    };
    assert!(looked_for(with) > 0 && looked_for(without) == 0);
    assert!(with.curve.iter().all(|at| at.train_nll.is_some()));
    assert!(without.curve.iter().all(|at| at.train_nll.is_none()));
    assert!(
        with.summary.as_ref().unwrap().train.is_some() && without.summary.as_ref().unwrap().train.is_none()
    );
    let report = work.sweep("report runs --out report");
    assert!(report.starts_with("exit 0\n"), "{report}");
}

#[test]
fn mirroring_every_image_is_training_on_mirrored_files() {
    let work = prepared();
    let folder = |name: &str| work.path().join(name);
    std::fs::create_dir_all(folder("mirrored")).unwrap();
    for file in std::fs::read_dir(folder("images")).unwrap() {
        let path = file.unwrap().path();
        let mirrored = image::open(&path).unwrap().fliph();
        mirrored.save(folder("mirrored").join(path.file_name().unwrap())).unwrap();
    }
    let captions = std::fs::read_to_string(folder("train.json")).unwrap();
    assert!(!captions.contains("left") && !captions.contains("right"), "{captions}");
    let steps = |name: &str, images: &str, flip: f64| {
        let text = format!(
            "name: {name}\nmodel: model\ndata:\n  train: {{captions: train.json, images: {images}}}\n  \
             validation: {{captions: validation.json, images: images}}\n\
             training: {{unfrozen_vision_layers: 1, learning_rate: 1.0e-2, batch_size: 2, epochs: 2, warmup_steps: 1, \
             max_length: 16, horizontal_flip: {flip}}}\n\
             generation: {{max_length: 8, num_beams: 1}}\n\
             references: {{zero_shot: false, constant_caption: false, nearest_image: false, matched_length: false, simple_models: false}}\n"
        );
        work.file("toy.yaml", &text);
        let seen = work.sweep(&command(1));
        assert!(seen.starts_with("exit 0\n"), "{seen}");
        let run = records(&folder("runs"), name).remove(0);
        run.steps.iter().map(|step| step.loss).collect::<Vec<_>>()
    };
    let [files, flips, neither] =
        [("files", "mirrored", 0.0), ("flips", "images", 1.0), ("neither", "images", 0.0)]
            .map(|(name, images, flip)| steps(name, images, flip));
    assert_eq!(files, flips);
    assert_ne!(files, neither);
}

#[test]
fn an_image_whose_captions_speak_of_sides_is_never_mirrored_and_that_is_said() {
    let work = prepared();
    let captions = std::fs::read_to_string(work.path().join("train.json")).unwrap();
    let captions: BTreeMap<String, String> = serde_json::from_str(&captions).unwrap();
    let on_the_left: BTreeMap<&String, String> =
        captions.iter().map(|(image, caption)| (image, format!("{caption} on the left"))).collect();
    work.file("train.json", &serde_json::to_string(&on_the_left).unwrap());
    let text = std::fs::read_to_string(work.path().join("toy.yaml")).unwrap();
    work.file("toy.yaml", &text.replace("{values: [0, 1]}", "{values: [1]}\n  horizontal_flip: [0, 1]"));
    let seen = work.sweep(&command(1));
    assert!(seen.starts_with("exit 0\n"), "{seen}");
    let runs = records(&work.path().join("runs"), "toy");
    let trained: Vec<&RunRecord> = runs.iter().filter(|run| run.spec.recipe.kind.trains()).collect();
    assert_eq!(trained.len(), 2);
    assert_eq!(losses(trained[0]), losses(trained[1]));
    let notes = |run: &RunRecord| run.started.as_ref().unwrap().notes.join("\n");
    let said = "6 of 6 training images are never mirrored, since their captions speak of left or right";
    assert_eq!([notes(trained[0]).contains(said), notes(trained[1]).contains(said)], [false, true]);
}
