//! The rule on made-up curves.

use super::*;
use crate::record::Event;
use crate::record::event::Evaluated;
use crate::run::dispatch::tests::{planned, started};

const IMAGES: usize = 16;

/// A run that was scored so after its epochs, each image by this and a spread of its own.
fn run(id: &str, seed: u64, rate: f64, scores: &[f64]) -> Seen {
    let mut spec = planned(id);
    spec.seed = seed;
    spec.recipe.training.learning_rate = rate;
    spec.recipe.training.epochs = 9;
    spec.recipe.training.warmup_steps = 0;
    let Event::Started(mut began) = started(id) else { unreachable!() };
    (began.steps_per_epoch, began.total_steps) = (10, 90);
    let mut record = RunRecord::planned(spec);
    record.started = Some(*began);
    let mut per_image = Vec::new();
    for (epoch, score) in scores.iter().enumerate() {
        record.curve.push(Evaluated {
            epoch,
            score: Some(*score),
            val_nll: Some(1.0 - score),
            ..Evaluated::default()
        });
        for image in 0..IMAGES {
            // Pictures differ much, and runs on the same picture little.
            let of_picture = image as f64 / 100.0;
            let of_run = if (image + id.len() + epoch).is_multiple_of(2) { 0.01 } else { -0.01 };
            let value = score + of_picture + of_run;
            per_image.push(PerImage {
                epoch,
                image: image.to_string(),
                split: "validation".to_owned(),
                loss: Some(1.0 - value),
                meteor: Some(value),
                rouge_l: Some(value),
                // A weight of 0.1.
                cider_d: Some(10.0 * value),
            });
        }
    }
    Seen { record, per_image }
}

/// Points of one seed each, with these scores after the first epoch.
fn field(scores: &[f64]) -> Vec<Seen> {
    let one = |(index, score): (usize, &f64)| {
        run(&format!("r{index}"), 0, 1e-4 * (index + 1) as f64, &[0.0, *score])
    };
    scores.iter().enumerate().map(one).collect()
}

fn rule(rule: Rule) -> EarlyTerminate {
    EarlyTerminate { rule, min_iter: 1, noise: 1.0, metric: None }
}

/// Which points stop after the first epoch.
fn stopped(of: Rule, runs: &[Seen]) -> Vec<usize> {
    let verdicts = judge(&rule(of), &entrants(runs, 1, MetricName::Score));
    (0..verdicts.len()).filter(|index| matches!(verdicts[*index], Verdict::Stops(_))).collect()
}

#[test]
fn the_best_third_half_or_few_go_on() {
    let runs = field(&[0.1, 0.6, 0.2, 0.5, 0.3, 0.4]);
    assert_eq!(stopped(Rule::Halving { eta: 3 }, &runs), [0, 2, 4, 5]);
    assert_eq!(stopped(Rule::Halving { eta: 2 }, &runs), [0, 2, 4]);
    assert_eq!(stopped(Rule::Median { interval: 1 }, &runs), [0, 2, 4]);
    assert_eq!(stopped(Rule::TopK { k: 5 }, &runs), [0]);
    assert!(stopped(Rule::TopK { k: 6 }, &runs).is_empty());
    assert!(stopped(Rule::Halving { eta: 3 }, &[]).is_empty());
}

#[test]
fn what_is_no_worse_than_the_last_that_goes_on_beyond_the_noise_goes_on_too() {
    // Differences of the spread are 0 or 0.02: a standard error of about 0.0026 over 16 images.
    let runs = [
        run("r0", 0, 1e-4, &[0.0, 0.5]),
        run("r10", 0, 2e-4, &[0.0, 0.499]),
        run("r20", 0, 3e-4, &[0.0, 0.48]),
    ];
    let judged = |noise: f64| {
        let rule = EarlyTerminate { noise, ..rule(Rule::TopK { k: 1 }) };
        judge(&rule, &entrants(&runs, 1, MetricName::Score))
    };
    let [Verdict::GoesOn, Verdict::IsTooClose(close), Verdict::Stops(far)] = &judged(1.0)[..] else {
        panic!("{:?}", judged(1.0))
    };
    assert_eq!((close.than.as_str(), close.images), ("r0", IMAGES));
    assert!((close.mean - 0.001).abs() < 1e-9 && close.standard_error > 0.004, "{close:?}");
    assert!((far.mean - 0.02).abs() < 1e-9, "{far:?}");
    assert!(judged(0.0)[1..].iter().all(|verdict| matches!(verdict, Verdict::Stops(_))));
    assert!(judged(10.0)[1..].iter().all(|verdict| matches!(verdict, Verdict::IsTooClose(_))));
}

#[test]
fn the_best_epoch_so_far_counts_and_none_beyond_the_rung() {
    let runs = [run("r0", 0, 1e-4, &[0.9, 0.5, 0.2, 0.1]), run("r1", 0, 2e-4, &[0.0, 0.1, 0.4, 0.9])];
    let at = |epoch| {
        entrants(&runs, epoch, MetricName::Score).iter().map(|entrant| entrant.value).collect::<Vec<_>>()
    };
    assert_eq!(at(2), [0.5, 0.4], "epoch 0 is the model before training");
    assert_eq!(at(3), [0.5, 0.9]);
    let images = &entrants(&runs, 2, MetricName::Score)[0].images;
    let mean = images.values().sum::<f64>() / images.len() as f64;
    assert!((mean - (0.5 + 0.075)).abs() < 1e-9, "the rows of that epoch: {mean}");
}

#[test]
fn a_loss_is_better_where_it_is_lower() {
    let runs = field(&[0.1, 0.6, 0.2]);
    let found = judge(&rule(Rule::TopK { k: 1 }), &entrants(&runs, 1, MetricName::ValNll));
    assert!(matches!(found[..], [Verdict::Stops(_), Verdict::GoesOn, Verdict::Stops(_)]), "{found:?}");
}

#[test]
fn seeds_of_a_point_stand_or_fall_together() {
    let runs = [
        run("r0", 0, 1e-4, &[0.0, 0.9]),
        run("r1", 1, 1e-4, &[0.0, 0.1]),
        run("r2", 0, 2e-4, &[0.0, 0.6]),
        run("r3", 1, 2e-4, &[0.0, 0.7]),
    ];
    let points = entrants(&runs, 1, MetricName::Score);
    assert_eq!(points.iter().map(|point| point.runs.len()).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(
        stopped(Rule::TopK { k: 1 }, &runs),
        [0],
        "the lucky seed of the first point does not save it"
    );
}

#[test]
fn nothing_is_stopped_before_its_warmup_has_ended_and_all_its_layers_train() {
    let with = |change: fn(&mut crate::record::recipe::Training)| {
        let mut runs = field(&[0.9, 0.1]);
        change(&mut runs[1].record.spec.recipe.training);
        stopped(Rule::TopK { k: 1 }, &runs)
    };
    assert_eq!(with(|_| {}), [1]);
    assert_eq!(with(|training| training.warmup_steps = 10), [1], "an epoch has ten steps");
    assert!(with(|training| training.warmup_steps = 11).is_empty());
    assert!(with(|training| training.warmup_ratio = 0.2).is_empty());
    assert!(with(|training| training.unfreeze_from_epoch = 2).is_empty());
    assert!(with(|training| training.unfreeze_every = 1).is_empty(), "the second layer joins in epoch 2");
    let one_layer = |training: &mut crate::record::recipe::Training| {
        (training.unfreeze_every, training.unfrozen_vision_layers) = (1, 1);
    };
    assert_eq!(with(one_layer), [1]);
}

#[test]
fn runs_that_have_ended_take_part_and_stay_and_failed_or_stopped_ones_do_not_take_part() {
    let mut runs = field(&[0.9, 0.1, 0.8]);
    for run in &mut runs {
        run.record.curve.push(Evaluated { epoch: 2, score: Some(0.0), ..Evaluated::default() });
    }
    let part = |runs: &[Seen]| entrants(runs, 3, MetricName::Score).len();
    assert_eq!(part(&runs), 0, "none has come so far");
    runs[0].record.status = Some(Status::EarlyStopped);
    runs[1].record.status = Some(Status::Finished);
    runs[2].record.status = Some(Status::Pruned);
    assert_eq!(part(&runs), 2);
    assert!(
        judge(&rule(Rule::TopK { k: 1 }), &entrants(&runs, 3, MetricName::Score))
            .iter()
            .all(|v| *v == Verdict::GoesOn)
    );
    for status in [Status::Failed, Status::Diverged, Status::OutOfMemory, Status::TimedOut] {
        runs[0].record.status = Some(status);
        assert_eq!(entrants(&runs, 1, MetricName::Score).len(), 2, "{status:?}");
    }
}

#[test]
fn without_scores_of_images_or_a_number_there_is_no_telling() {
    let mut runs = field(&[0.9, 0.1]);
    runs[1].per_image.clear();
    assert!(stopped(Rule::TopK { k: 1 }, &runs).is_empty());
    let mut runs = field(&[0.9, 0.1, f64::NAN]);
    let points = entrants(&runs, 1, MetricName::Score);
    assert!(points[2].value.is_nan());
    assert_eq!(stopped(Rule::TopK { k: 1 }, &runs), [1]);
    runs[0].record.curve.clear();
    assert_eq!(entrants(&runs, 1, MetricName::Score).len(), 2);
}

#[test]
fn references_are_never_compared() {
    let mut runs = field(&[0.9, 0.1]);
    runs[1].record.spec.recipe.kind = Kind::ShuffledCaptions;
    assert_eq!(entrants(&runs, 1, MetricName::Score).len(), 1);
}
