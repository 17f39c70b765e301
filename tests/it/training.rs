//! Training against PyTorch on random models of many shapes (fixtures: `tests/reference/training.py`).
//!
//! `SWEEP_TRAINING_FIXTURES=FOLDER` reads another folder that the script has written.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sweep::data::{TokenBatch, collate};
use sweep::model::blip::targets;
use sweep::model::ops::Dropout;
use sweep::model::{Blip, Config, Unfrozen, Weights};
use sweep::train::optimizer::{AdamW, Moments, Multipliers, clip_scale};
use sweep::train::schedule::linear_with_warmup;

fn fixtures() -> PathBuf {
    match std::env::var_os("SWEEP_TRAINING_FIXTURES") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/training"),
    }
}

fn unpacked(name: &str) -> Vec<u8> {
    let path = fixtures().join(name);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

fn json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&unpacked(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load_buffer(&unpacked(name), &Device::Cpu).unwrap()
}

/// What the pictures' bytes stand for.
fn pixels(pictures: &Tensor) -> Tensor {
    ((pictures.to_dtype(DType::F32).unwrap() - 128.0).unwrap() / 64.0).unwrap()
}

/// A setting of training that both fixtures have, with the names of the recipe.
#[derive(Deserialize)]
struct Mode {
    model: String,
    unfrozen_vision_layers: usize,
    start_token: String,
    mask_padding: bool,
    label_smoothing: f64,
    dropout: f64,
    seed: u64,
}

/// A model with what it trains on.
pub struct Trainer {
    config: Config,
    pub weights: Weights,
    model: Blip,
    boundary: usize,
}

impl Trainer {
    fn new(mode: &Mode) -> Self {
        let folder = fixtures().join("models").join(&mode.model);
        let config = Config::load(&folder).unwrap();
        let depth = config.vision.num_hidden_layers;
        let mut weights = Weights::load(&folder, &Device::Cpu).unwrap();
        let unfrozen = Unfrozen::Last { vision_layers: mode.unfrozen_vision_layers, text: true };
        weights.unfreeze(unfrozen, depth).unwrap();
        let model = Blip::new(&config, &weights).unwrap();
        Self { config, weights, model, boundary: depth - mode.unfrozen_vision_layers }
    }

    fn batch(&self, mode: &Mode, captions: &[Vec<u32>], chosen: impl Iterator<Item = usize>) -> TokenBatch {
        let start = |row: &[u32]| if mode.start_token == "dec" { self.config.tokens.start } else { row[0] };
        let rows: Vec<Vec<u32>> =
            chosen.map(|i| [&[start(&captions[i])], &captions[i][1..]].concat()).collect();
        collate(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), self.config.tokens.pad)
    }

    /// The loss and all gradients.
    fn gradients(
        &self,
        mode: &Mode,
        pixels: &Tensor,
        captions: &TokenBatch,
        step: u64,
    ) -> (Tensor, GradStore) {
        let dropout = Dropout { rate: mode.dropout, seed: mode.seed, step };
        let vision = &self.model.vision_model;
        let forward = || {
            let hidden = vision.encode(pixels, self.boundary)?;
            let image_embeds = vision.finish_training(&hidden, self.boundary, &dropout)?;
            let logits = self.model.training_logits(&image_embeds, captions, &dropout)?;
            self.model.mean_loss(&logits, &targets(captions, !mode.mask_padding), mode.label_smoothing)
        };
        self.model.gradients::<candle_core::Error>(forward).unwrap()
    }
}

fn norm(xs: &Tensor) -> f64 {
    xs.to_dtype(DType::F64).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt()
}

fn value(loss: &Tensor) -> f64 {
    loss.to_scalar::<f32>().unwrap() as f64
}

#[derive(Deserialize)]
struct GradientCase {
    case: String,
    #[serde(flatten)]
    mode: Mode,
    step: u64,
    captions: Vec<Vec<u32>>,
    loss: f64,
    /// How far PyTorch itself is off in f32.
    pytorch_f32_error: GradientError,
    /// How far exact arithmetic moves when each weight moves by at most half a unit in its last place: no f32
    /// program can promise less.
    conditioning: GradientError,
}

/// A relative difference of the loss; of the gradients the worst, in parts of what the test allows.
#[derive(Deserialize)]
struct GradientError {
    loss: f64,
    gradients: f64,
}

#[test]
fn every_gradient_of_many_architectures_equals_that_of_pytorch_with_and_without_dropout() {
    let cases: Vec<GradientCase> = json("gradients.json.gz");
    assert!(cases.len() >= 18 && cases.iter().filter(|case| case.mode.dropout > 0.0).count() >= 9);
    let (mut worst, mut tensors_compared) = ((0.0, String::new()), 0);
    for GradientCase { case, mode, step, captions, loss: wanted, pytorch_f32_error, conditioning } in &cases {
        let stored = tensors(&format!("gradients/{case}.safetensors.gz"));
        let trainer = Trainer::new(mode);
        let batch = trainer.batch(mode, captions, 0..captions.len());
        let (loss, grads) = trainer.gradients(mode, &pixels(&stored["pictures"]), &batch, *step);
        let close = (value(&loss) / wanted - 1.0).abs()
            < conditioning.loss.max(2.0 * pytorch_f32_error.loss).max(1e-5);
        assert!(close, "{case}: loss {}, not {wanted}", value(&loss));

        let wanted: BTreeMap<&str, &Tensor> =
            stored.iter().filter_map(|(name, grad)| Some((name.strip_prefix("grad.")?, grad))).collect();
        let trainable = trainer.weights.trainable();
        assert!(trainable.keys().map(String::as_str).eq(wanted.keys().copied()), "{case}: what trains");
        let all = wanted.values().map(|grad| norm(grad).powi(2)).sum::<f64>().sqrt();
        for (name, var) in trainable {
            let ours = grads.get(var).unwrap_or_else(|| panic!("{case}: no gradient reached {name}"));
            let theirs = wanted[name.as_str()];
            // The second term is for what is zero in exact arithmetic: key biases, and attention over one key.
            // Some cases amplify rounding more than that, by as much as the script has measured.
            let amplified = conditioning.gradients.max(2.0 * pytorch_f32_error.gradients).max(1.0);
            let allowed = (1e-4 * norm(theirs) + 1e-7 * all) * amplified;
            let difference = norm(&(ours - theirs).unwrap());
            assert!(difference <= allowed, "{case}: {name} differs by {difference}, allowed {allowed}");
            tensors_compared += 1;
            if difference / allowed > worst.0 {
                worst = (difference / allowed, format!("{case} {name}"));
            }
        }
    }
    eprintln!("{tensors_compared} gradients; worst {:.3} of what is allowed, {}", worst.0, worst.1);
}

#[derive(Deserialize)]
struct Steps {
    captions: HashMap<String, Vec<Vec<u32>>>,
    runs: Vec<Run>,
}

/// A hundred steps, and what PyTorch says of them.
#[derive(Deserialize)]
pub struct Run {
    run: String,
    #[serde(flatten)]
    mode: Mode,
    learning_rate: f64,
    text_lr_multiplier: f64,
    vision_lr_multiplier: f64,
    weight_decay: f64,
    warmup_steps: usize,
    total_steps: usize,
    max_grad_norm: f64,
    batches: Vec<Vec<usize>>,
    losses: Vec<f64>,
    grad_norms: Vec<f64>,
    pytorch_f32_error: Drift,
}

/// Largest relative differences from the exact values, over the steps or over the tensors at the end. Key biases,
/// and `qkv.bias` with them, are kept apart: their gradient is zero, f32 makes it noise, and AdamW makes that
/// steps; no loss depends on them.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Drift {
    loss: f64,
    grad_norm: f64,
    weights: f64,
    key_biases: f64,
    first: f64,
    second: f64,
}

impl Drift {
    fn max(self, other: Self) -> Self {
        Self {
            loss: self.loss.max(other.loss),
            grad_norm: self.grad_norm.max(other.grad_norm),
            weights: self.weights.max(other.weights),
            key_biases: self.key_biases.max(other.key_biases),
            first: self.first.max(other.first),
            second: self.second.max(other.second),
        }
    }
}

/// A run with what it trains on.
pub struct Course {
    run: Run,
    captions: Vec<Vec<u32>>,
    pictures: Tensor,
}

impl Course {
    pub fn has_dropout(&self) -> bool {
        self.run.mode.dropout > 0.0
    }

    /// The folder of the model before training.
    pub fn model(&self) -> PathBuf {
        fixtures().join("models").join(&self.run.mode.model)
    }

    pub fn optimizer(&self, trainer: &Trainer) -> AdamW {
        let (text, vision) = (self.run.text_lr_multiplier, self.run.vision_lr_multiplier);
        AdamW::new(&trainer.weights, self.run.weight_decay, Multipliers { text, vision, other: 1.0 })
    }

    pub fn trainer(&self) -> Trainer {
        Trainer::new(&self.run.mode)
    }

    /// One step: the loss and the gradient's norm before clipping.
    pub fn step(&self, trainer: &Trainer, optimizer: &mut AdamW, step: usize) -> (f64, f64) {
        let run = &self.run;
        let chosen = &run.batches[step];
        let rows: Vec<u32> = chosen.iter().map(|i| *i as u32).collect();
        let rows = Tensor::new(rows, &Device::Cpu).unwrap();
        let pixels = pixels(&self.pictures.index_select(&rows, 0).unwrap());
        let batch = trainer.batch(&run.mode, &self.captions, chosen.iter().copied());
        let (loss, grads) = trainer.gradients(&run.mode, &pixels, &batch, step as u64);
        let norm = optimizer.gradient_norm(&grads).unwrap();
        let rate = run.learning_rate * linear_with_warmup(step, run.warmup_steps, run.total_steps);
        optimizer.step(&grads, rate, clip_scale(norm, run.max_grad_norm)).unwrap();
        (value(&loss), norm)
    }
}

/// All runs of a hundred steps.
pub fn courses() -> Vec<Course> {
    let fixture: Steps = json("steps.json.gz");
    let pictures: HashMap<&String, Tensor> = fixture
        .captions
        .keys()
        .map(|model| (model, tensors(&format!("items/{model}.safetensors.gz"))["pictures"].clone()))
        .collect();
    let course = |run: Run| Course {
        captions: fixture.captions[&run.mode.model].clone(),
        pictures: pictures[&run.mode.model].clone(),
        run,
    };
    fixture.runs.into_iter().map(course).collect()
}

/// Trains as the run says and returns how far from PyTorch's exact values it went.
fn drift(course: &Course) -> Drift {
    let (run, trainer) = (&course.run, course.trainer());
    let frozen = trainer.weights.frozen_fingerprint().unwrap();
    let mut optimizer = course.optimizer(&trainer);
    let mut drift = Drift::default();
    for step in 0..run.batches.len() {
        let (loss, norm) = course.step(&trainer, &mut optimizer, step);
        drift.loss = drift.loss.max((loss / run.losses[step] - 1.0).abs());
        drift.grad_norm = drift.grad_norm.max((norm / run.grad_norms[step] - 1.0).abs());
    }
    assert_eq!(trainer.weights.frozen_fingerprint().unwrap(), frozen, "{}: frozen weights changed", run.run);
    let stored = tensors(&format!("steps/{}.safetensors.gz", run.run));
    let wanted = |part: &str| stored[part].to_dtype(DType::F64).unwrap().to_vec2::<f64>().unwrap();
    let (weights, first, second) = (wanted("weights"), wanted("first"), wanted("second"));
    let trainable = trainer.weights.trainable();
    assert_eq!(
        (weights.len(), first.len(), second.len()),
        (trainable.len(), trainable.len(), trainable.len())
    );
    let moments = optimizer.moments().unwrap();
    for (i, (name, var)) in trainable.iter().enumerate() {
        let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let moved = difference(&values, &weights[i]);
        if name.ends_with(".key.bias") || name.ends_with(".qkv.bias") {
            drift.key_biases = drift.key_biases.max(moved);
            continue;
        }
        let Moments { first: ours_first, second: ours_second } = &moments[name];
        drift.weights = drift.weights.max(moved);
        drift.first = drift.first.max(difference(ours_first, &first[i]));
        drift.second = drift.second.max(difference(ours_second, &second[i]));
    }
    drift
}

/// The relative norm of the difference between a tensor and the one of this sketch: its norm and its products with
/// vectors of random signs, as `tests/reference/training_parts/sketch.py` draws them.
fn difference(values: &[f32], sketch: &[f64]) -> f64 {
    let (norm, theirs) = (sketch[0], &sketch[1..]);
    let mut products = vec![0.0; theirs.len()];
    for (value, number) in values.iter().zip(1u64..) {
        let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        for (bit, product) in products.iter_mut().enumerate() {
            *product += if z >> bit & 1 == 0 { *value as f64 } else { -*value as f64 };
        }
    }
    let squares = products.iter().zip(theirs).map(|(ours, theirs)| (ours - theirs).powi(2));
    (squares.sum::<f64>() / theirs.len() as f64).sqrt() / norm
}

#[test]
fn a_hundred_steps_in_every_mode_stay_with_pytorch() {
    let courses = courses();
    assert!(courses.iter().all(|course| course.run.losses.len() == 100));
    let is_elsewhere = std::env::var_os("SWEEP_TRAINING_FIXTURES").is_some();
    assert!(courses.len() >= 52 || is_elsewhere && !courses.is_empty());
    let (mut worst, mut pytorch) = (Drift::default(), Drift::default());
    for course in &courses {
        let run = &course.run;
        let clipped = run.grad_norms.iter().filter(|norm| **norm > run.max_grad_norm).count();
        assert!((5..=95).contains(&clipped), "{}: {clipped} steps clip", run.run);
        let drift = drift(course);
        if is_elsewhere {
            eprintln!(
                "{} {}: {drift:?}; PyTorch in f32: {:?}",
                run.run, run.mode.model, run.pytorch_f32_error
            );
        }
        let close = drift.loss < 1e-4 && drift.grad_norm < 1e-4 && drift.weights < 1e-4;
        assert!(close, "{}: {drift:?}; PyTorch in f32: {:?}", run.run, run.pytorch_f32_error);
        worst = worst.max(drift);
        pytorch = pytorch.max(run.pytorch_f32_error);
    }
    eprintln!("worst of {} runs: {worst:?}\nPyTorch in f32: {pytorch:?}", courses.len());
}
