//! Simple models beside the fine-tuned runs: which settings they take from the sweep, and what the others are.

use crate::record::Recipe;
use crate::record::recipe::{EarlyStopping, Evaluation, LrSchedule, StartToken, Training};

/// Whether a small decoder takes a setting from the sweep: what captions it sees and how, and how it is judged. How it trains is
/// its own, so that it is one run whatever the sweep varies. It begins captions as generation does.
pub(super) fn matters(group: &str, path: &str) -> bool {
    const OWN: [&str; 6] = [
        "training.max_length",
        "training.prompt",
        "training.mask_padding",
        "training.train_examples",
        "early_stopping.metric",
        "early_stopping.zero_cider",
    ];
    const EVALUATES: [&str; 2] = ["evaluation.eval_every", "evaluation.diagnostics"];
    (matches!(group, "model" | "evaluation" | "generation") && !EVALUATES.contains(&path))
        || OWN.contains(&path)
}

/// What a small decoder is trained with, for a few hundred to a few thousand images; the rest is neutral. It is part of the ids of
/// runs and never changes.
pub(super) fn small_decoder(neutral: Recipe) -> Recipe {
    let training = Training {
        train_text_decoder: true,
        learning_rate: 3e-3,
        weight_decay: 0.01,
        batch_size: 16,
        epochs: 15,
        lr_scheduler_type: LrSchedule::Linear,
        max_grad_norm: 5.0,
        dropout: 0.3,
        start_token: StartToken::Dec,
        shuffle: true,
        ..neutral.training
    };
    // Seldom, since captioning takes as long as training.
    let evaluation = Evaluation { eval_every: 3, ..neutral.evaluation };
    let early_stopping = EarlyStopping { patience: 3, ..neutral.early_stopping };
    Recipe { training, evaluation, early_stopping, ..neutral }
}
