//! What the optimizer keeps from step to step: moments, their saving, and the first update.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use sweep::record::RunSpec;
use sweep::record::event::Evaluated;
use sweep::spec::Preset;
use sweep::train::checkpoint::{
    Found, GoingOn, Saved, State, Training, WeightsFrom, read_state, restore, save_resumable,
};
use sweep::train::optimizer::{AdamW, Moments, Multipliers};
use sweep::train::origin::Origin;
use sweep::train::provenance::Provenance;

use crate::training::{Course, Trainer, courses};

fn with_dropout() -> Course {
    courses().into_iter().rfind(Course::has_dropout).unwrap()
}

fn origin() -> Origin {
    Origin {
        program: "0.1.0".to_owned(),
        device: "cpu".to_owned(),
        model_digest: "model".to_owned(),
        data_digest: "data".to_owned(),
        settings: [("seed".to_owned(), 0.into())].into(),
    }
}

fn bits(values: (f64, f64)) -> (u64, u64) {
    (values.0.to_bits(), values.1.to_bits())
}

#[test]
fn a_hundred_steps_are_fifty_and_a_checkpoint_and_fifty_more_to_the_bit() {
    let course = with_dropout();
    let steps = |trainer: &Trainer, optimizer: &mut AdamW, steps: std::ops::Range<usize>| {
        steps.map(|step| bits(course.step(trainer, optimizer, step))).collect::<Vec<_>>()
    };
    let whole = course.trainer();
    let mut whole_optimizer = course.optimizer(&whole);
    let wanted = steps(&whole, &mut whole_optimizer, 0..100);

    let folder = tempfile::tempdir().unwrap();
    let last = folder.path().join("last");
    {
        let first = course.trainer();
        let mut optimizer = course.optimizer(&first);
        assert_eq!(steps(&first, &mut optimizer, 0..50), wanted[..50]);
        let initial = Some(Evaluated::default());
        let state = State { batch: 50, step: optimizer.steps, initial, ..State::beginning() };
        let spec = RunSpec {
            id: "r0123456789".to_owned(),
            sweep: "resume".to_owned(),
            point: BTreeMap::new(),
            seed: 0,
            recipe: Preset::Corrected.recipe(),
        };
        let provenance = Provenance { spec: &spec, longest_caption: 0 };
        let saved = Saved::new(&origin(), &state);
        let training = Training { optimizer: &optimizer, apart: &BTreeMap::new() };
        let going_on = GoingOn { saved: &saved, training: Some(training) };
        let weights = WeightsFrom::Memory(&first.weights);
        save_resumable(&last, &course.model(), weights, provenance, going_on).unwrap();
    }
    let second = course.trainer();
    let mut optimizer = course.optimizer(&second);
    // Fifty steps are the whole of a first epoch.
    let Found::Whole(saved) = read_state(&last, 50, 100).unwrap() else { panic!("no state") };
    assert_eq!(saved.origin, origin());
    let step = saved.state.step;
    restore(&last, &second.weights, &mut optimizer, &BTreeMap::new(), step, &Device::Cpu).unwrap();
    assert_eq!(optimizer.steps, 50);
    assert_eq!(steps(&second, &mut optimizer, 50..100), wanted[50..]);
    assert_eq!(second.weights.digest().unwrap(), whole.weights.digest().unwrap());
    assert!(moment_bits(&optimizer) == moment_bits(&whole_optimizer), "other moments");
}

fn moment_bits(optimizer: &AdamW) -> BTreeMap<String, [Vec<u32>; 2]> {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let moments = optimizer.moments().unwrap().into_iter();
    moments.map(|(name, Moments { first, second })| (name, [bits(first), bits(second)])).collect()
}

#[test]
fn moments_of_other_tensors_are_refused() {
    let course = with_dropout();
    let trainer = course.trainer();
    let mut optimizer = course.optimizer(&trainer);
    let mut moments = optimizer.moments().unwrap();
    let (_, first) = moments.pop_first().unwrap();
    assert!(!optimizer.restore(1, moments.clone()), "a tensor lacks its moments");
    moments.insert("another".to_owned(), first);
    assert!(!optimizer.restore(1, moments), "moments of a tensor that does not train");
}

#[test]
fn the_first_update_has_rate_zero_and_still_advances_the_moments() {
    let course = with_dropout();
    let trainer = course.trainer();
    let before = trainer.weights.digest().unwrap();
    let trained = trainer.weights.trainable();
    let mut optimizer =
        AdamW::new(&trainer.weights, 0.05, Multipliers { text: 1.0, vision: 1.0, other: 1.0 });
    // The gradient of the sum of 0.5 x^2 is x itself.
    let squares = trained.values().map(|var| (var.sqr().unwrap().sum_all().unwrap() * 0.5).unwrap());
    let loss = squares.reduce(|a: Tensor, b| (a + b).unwrap()).unwrap();
    let grads = loss.backward().unwrap();
    optimizer.step(&grads, 0.0, 0.5).unwrap();
    assert_eq!(trainer.weights.digest().unwrap(), before, "an update at rate 0 changed a weight");
    assert_eq!(optimizer.steps, 1);
    for (name, Moments { first, second }) in optimizer.moments().unwrap() {
        let values = trained[&name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for ((value, first), second) in values.iter().zip(first).zip(second) {
            // Half the gradient, as if clipped; betas 0.9 and 0.999.
            let gradient = 0.5 * value;
            let close = |found: f32, wanted: f32| (found - wanted).abs() <= 1e-6 * wanted.abs();
            assert!(close(first, 0.1 * gradient), "{name}: first moment {first} of {gradient}");
            assert!(close(second, 0.001 * gradient * gradient), "{name}: second {second} of {gradient}");
        }
    }
    // What the first update left changes the second: PyTorch's p - lr m^ / (sqrt(v^) + eps), with both updates in m^ and v^.
    let (name, var) = trained.iter().next().unwrap();
    let old = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    optimizer.step(&grads, 1e-2, 1.0).unwrap();
    for (old, new) in old.iter().zip(var.flatten_all().unwrap().to_vec1::<f32>().unwrap()) {
        let (old, half) = (*old as f64, 0.5 * *old as f64);
        let (first, second) = (0.9 * 0.1 * half + 0.1 * old, 0.999 * 0.001 * half * half + 0.001 * old * old);
        let (first, second) = (first / (1.0 - 0.9f64.powi(2)), second / (1.0 - 0.999f64.powi(2)));
        let wanted = old * (1.0 - 1e-2 * 0.05) - 1e-2 * first / (second.sqrt() + 1e-8);
        assert!((new as f64 - wanted).abs() < 1e-6 * old.abs().max(1e-2), "{name}: {new}, not {wanted}");
    }
}
