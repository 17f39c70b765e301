//! Which runs the made-up sweep has and how they go, and what an audit of them might have found.

use std::path::Path;

use serde_json::Value;

use crate::record::RunSpec;
use crate::record::audit::{
    self, AttainableRange, Audit, Finding, FindingKind, Lengths, MetricRange, Quantiles, Remedy, Severity,
    Unit,
};
use crate::record::event::Status;
use crate::record::recipe::*;

/// Images of each split.
pub const VALIDATION: usize = 48;
pub const TEST: usize = 128;

/// How a made-up run goes.
pub struct Fate {
    pub spec: RunSpec,
    /// Epochs evaluated after epoch 0.
    pub epochs: usize,
    pub status: Option<Status>,
    pub reason: Option<&'static str>,
    pub started: bool,
}

/// What an audit might have found: a finding of each severity, and a range that holds the scores.
pub fn audit(fates: &[Fate]) -> Audit {
    let trained = fates.iter().filter(|fate| fate.spec.recipe.kind == Kind::FineTuned);
    let runs: Vec<String> = trained.map(|fate| fate.spec.id.clone()).collect();
    let finding =
        |kind, severity, number, meaning: &str, setting: &str, value: Value, runs: &[String]| Finding {
            kind,
            severity,
            number,
            unit: Unit::Share,
            meaning: meaning.to_owned(),
            remedy: Some(Remedy { setting: setting.to_owned(), value }),
            runs: runs.to_vec(),
        };
    let findings = vec![
        finding(
            FindingKind::ForbiddenRepeats,
            Severity::Severe,
            0.97,
            "97 % of the references repeat a pair of tokens that `no_repeat_ngram_size: 2` forbids; on average only 41 % of \
             a reference can be said before the first.",
            "generation.no_repeat_ngram_size",
            0.into(),
            &runs[..2],
        ),
        finding(
            FindingKind::CutInTraining,
            Severity::Warning,
            0.12,
            "12 % of the training captions have more than 60 tokens (mean 52, longest 85) and are cut in mid-sentence: the \
             model learns to stop there.",
            "training.max_length",
            88.into(),
            &runs,
        ),
    ];
    let metric = |constant: f64, ceiling: f64| MetricRange {
        constant,
        random: 0.8 * constant,
        nearest: None,
        ceiling,
        is_bound: false,
    };
    let metrics = [
        ("meteor", metric(0.2, 0.9)),
        ("rouge_l", metric(0.3, 0.95)),
        ("cider_d", metric(0.4, 4.0)),
        ("score", metric(0.2, 0.8)),
    ];
    let range = |split: &str, images| AttainableRange {
        runs: runs.clone(),
        split: split.to_owned(),
        convention: "coco".to_owned(),
        images,
        metrics: metrics.iter().map(|(name, range)| ((*name).to_owned(), *range)).collect(),
    };
    let quantiles = |mean, max| Quantiles { mean, median: mean as usize, p95: max - 10, max };
    let lengths = Lengths {
        model: "lab".to_owned(),
        captions: 320,
        tokens: quantiles(52.0, 85),
        words: quantiles(41.0, 63),
        unigram_nll: 4.0,
    };
    Audit {
        v: audit::VERSION,
        findings,
        ranges: vec![range("validation", VALIDATION), range("test", TEST)],
        lengths: vec![lengths],
        domain: None,
    }
}

pub fn fates(images: &Path) -> Vec<Fate> {
    let mut fates = Vec::new();
    for kind in [Kind::ZeroShot, Kind::ConstantCaption, Kind::NearestImage] {
        fates.push(fate(fates.len(), spec(kind, images, [0.0; 4]), 0, Some(Status::Finished), None));
    }
    for layers in [0.0, 2.0, 6.0] {
        for rate in [2e-4, 5e-4, 1e-3, 4e-3] {
            for multiplier in if layers == 0.0 { vec![0.1] } else { vec![0.1, 1.0] } {
                let decay = if layers == 6.0 && rate == 5e-4 { 0.05 } else { 0.01 };
                if layers == 6.0 && rate == 2e-4 {
                    continue;
                }
                let spec = spec(Kind::FineTuned, images, [layers, rate, multiplier, decay]);
                fates.push(match (layers, rate, multiplier) {
                    (6.0, 4e-3, 1.0) => {
                        let reason = "the loss was not a number at step 51";
                        fate(fates.len(), spec, 2, Some(Status::Diverged), Some(reason))
                    }
                    (6.0, 1e-3, 1.0) => {
                        fate(fates.len(), spec, 0, Some(Status::OutOfMemory), Some("killed by the kernel"))
                    }
                    (6.0, 4e-3, 0.1) => fate(fates.len(), spec, 7, None, None),
                    (2.0, 4e-3, 1.0) => Fate { started: false, ..fate(fates.len(), spec, 0, None, None) },
                    _ => fate(
                        fates.len(),
                        spec,
                        if rate > 6e-4 { 16 } else { 20 },
                        Some(Status::Finished),
                        None,
                    ),
                });
            }
        }
    }
    fates
}

pub fn fates_with_seeds(images: &Path) -> Vec<Fate> {
    let mut fates = Vec::new();
    for (layers, rate, seeds) in [(2.0, 1e-3, 3), (6.0, 5e-4, 3), (0.0, 2e-4, 1)] {
        for seed in 0..seeds {
            let spec = RunSpec { seed, ..spec(Kind::FineTuned, images, [layers, rate, 0.1, 0.01]) };
            fates.push(fate(fates.len(), spec, 20, Some(Status::Finished), None));
        }
    }
    fates
}

fn fate(
    index: usize,
    mut spec: RunSpec,
    epochs: usize,
    status: Option<Status>,
    reason: Option<&'static str>,
) -> Fate {
    spec.id = format!("r{:010x}", 0x3a91_55c2_u64.wrapping_mul(index as u64 + 7) & 0xff_ffff_ffff);
    let status = match status {
        Some(Status::Finished) if (1..20).contains(&epochs) => Some(Status::EarlyStopped),
        other => other,
    };
    Fate { spec, epochs, status, reason, started: true }
}

fn spec(kind: Kind, images: &Path, [layers, rate, multiplier, decay]: [f64; 4]) -> RunSpec {
    let images = images.to_string_lossy().into_owned();
    let split = |name: &str| Split { captions: format!("{images}_{name}.json"), images: images.clone() };
    let data = DataFiles {
        train: split("train"),
        validation: Validation { fraction: Some(0.1), seed: Some(42), ..Validation::default() },
        test: Some(split("test")),
        source: None,
    };
    let recipe = Recipe {
        kind,
        model: "lab".to_owned(),
        data: DataSource::Files(Box::new(data)),
        training: Training {
            unfrozen_vision_layers: layers as usize,
            unfreeze_from_epoch: 1,
            unfreeze_every: 0,
            learning_rate: rate,
            vision_lr_multiplier: multiplier,
            text_lr_multiplier: 1.0,
            layer_lr_decay: 1.0,
            weight_decay: decay,
            decay_norms_and_biases: true,
            train_text_decoder: true,
            trainable_text: TextParts::All,
            trainable_text_layers: 0,
            train_embeddings: false,
            lora_rank: 0,
            lora_alpha: 8.0,
            lora_targets: LoraTargets::Attention,
            train_examples: Amount::ALL,
            balance: 0.0,
            balance_by: String::new(),
            batch_size: 8,
            gradient_accumulation_steps: 1,
            epochs: 20,
            max_steps: 0,
            lr_scheduler_type: LrSchedule::Linear,
            warmup_steps: 20,
            warmup_ratio: 0.0,
            max_grad_norm: 2.0,
            ema_decay: 0.0,
            max_length: 60,
            start_token: StartToken::Dec,
            prompt: String::new(),
            mask_padding: true,
            label_smoothing: 0.0,
            dropout: 0.0,
            shuffle: true,
            horizontal_flip: 0.0,
            random_resized_crop: 1.0,
            rotation: 0.0,
            color_jitter: 0.0,
            augmentation_views: 0,
            synonym_replacement: 0.0,
            protected_words: String::new(),
            paraphrases: String::new(),
            precision: Precision::F32,
            gradient_checkpointing: false,
        },
        evaluation: Evaluation {
            samples: 0,
            test_samples: 0,
            convention: Convention::Coco,
            cider_weight: 0.1,
            batch_size: 16,
            eval_every: 1,
            diagnostics: true,
        },
        early_stopping: EarlyStopping {
            patience: 5,
            min_delta: 0.0,
            metric: MetricName::Score,
            zero_cider: ZeroCider::Keep,
        },
        generation: Generation {
            max_length: 60,
            min_length: 0,
            num_beams: 5,
            no_repeat_ngram_size: 0,
            length_penalty: 1.0,
            early_stopping: BeamStopping::Yes,
            repetition_penalty: 1.0,
        },
    };
    let point = match kind {
        Kind::FineTuned => [
            ("training.learning_rate".to_owned(), Value::from(rate)),
            ("training.unfrozen_vision_layers".to_owned(), Value::from(layers as usize)),
        ]
        .into(),
        _ => Default::default(),
    };
    RunSpec { id: String::new(), sweep: "unfreeze".to_owned(), point, seed: 0, recipe }
}
