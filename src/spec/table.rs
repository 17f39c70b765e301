//! Every setting: which values it takes, and what it means.

use std::ops::Bound::{Excluded, Included, Unbounded};

use serde_json::json;

use super::setting::Range::{Count, CountOrShare, Flag, FlagOr, Line, Number, Pattern, Text, Word};
use super::setting::{Setting, assign};

/// Far above every sensible count, and low enough that products of two do not overflow.
pub(super) const MANY: usize = 1_000_000_000;

/// The words for a recorded metric.
pub(super) const METRICS: &[&str] = &["score", "meteor", "rouge_l", "cider_d", "val_loss", "val_nll"];

macro_rules! setting {
    ($field:ident, $range:expr, $about:expr) => {
        setting!(@ stringify!($field), $range, $about, $field)
    };
    ($group:ident.$field:ident, $range:expr, $about:expr) => {
        setting!(@ concat!(stringify!($group), ".", stringify!($field)), $range, $about, $group.$field)
    };
    (@ $path:expr, $range:expr, $about:expr, $($field:ident).+) => {
        Setting {
            path: $path,
            range: $range,
            about: $about,
            write: |recipe, value| assign(&mut recipe.$($field).+, value),
            read: |recipe| json!(recipe.$($field).+),
        }
    };
}

/// Every setting, in the order of the recipe.
pub static SETTINGS: [Setting; 64] = [
    setting!(
        model,
        Text,
        "A built-in model (`lab`), a folder in the Hugging Face layout, or a hub id: `owner/name[@revision]`."
    ),
    setting!(
        training.unfrozen_vision_layers,
        Count(0, 1000),
        "The last so many encoder layers of the vision model train; the rest of it is frozen."
    ),
    setting!(
        training.unfreeze_from_epoch,
        Count(1, 100_000),
        "The epoch, from 1, in which the last vision layer begins to train; until then only the text decoder does."
    ),
    setting!(
        training.unfreeze_every,
        Count(0, 100_000),
        "Epochs after which the vision layer below joins; 0 trains all unfrozen layers at once."
    ),
    setting!(
        training.learning_rate,
        Number(Excluded(0.0), Included(1.0)),
        "Peak learning rate, where a multiplier is 1."
    ),
    setting!(
        training.vision_lr_multiplier,
        Number(Included(0.0), Included(1000.0)),
        "The vision layers' rate as a multiple of `learning_rate`."
    ),
    setting!(
        training.text_lr_multiplier,
        Number(Included(0.0), Included(1000.0)),
        "The text decoder's rate as a multiple of `learning_rate`."
    ),
    setting!(
        training.layer_lr_decay,
        Number(Excluded(0.0), Included(10.0)),
        "Each unfrozen vision layer's rate as a multiple of that of the layer above it."
    ),
    setting!(
        training.weight_decay,
        Number(Included(0.0), Included(10.0)),
        "Decoupled weight decay of AdamW."
    ),
    setting!(
        training.decay_norms_and_biases,
        Flag,
        "Decays every trainable tensor; `false` leaves biases and layer norms alone, as `transformers.Trainer` does."
    ),
    setting!(training.train_text_decoder, Flag, "Trains the text decoder; `false` freezes all of it."),
    setting!(
        training.trainable_text,
        Word(&["all", "cross_attention"]),
        "Of the text decoder, `cross_attention` trains only the attention of its layers to the image."
    ),
    setting!(
        training.trainable_text_layers,
        Count(0, 1000),
        "Of the text decoder, only the last so many layers train; 0 trains all of it, embeddings and head too."
    ),
    setting!(
        training.train_embeddings,
        Flag,
        "Trains the decoder's embeddings and head, too, where only layers or adapters of it would: for words new to the model."
    ),
    setting!(
        training.lora_rank,
        Count(0, 1000),
        "Trains adapters (LoRA) of this rank beside the linear layers of what would train, and nothing else; 0 is none."
    ),
    setting!(
        training.lora_alpha,
        Number(Excluded(0.0), Unbounded),
        "What adapters add is multiplied by this over `lora_rank`."
    ),
    setting!(
        training.lora_targets,
        Word(&["attention", "all-linear"]),
        "The linear layers that have adapters: those of attention, or all but the output head."
    ),
    setting!(
        training.train_examples,
        CountOrShare(MANY),
        "Trains on so many of the training images, or on such a share of them (`0.25`; `1.0` and 0 are all, 1 is one image): drawn by the \
         seed of the split, of each kind of image in proportion."
    ),
    setting!(
        training.balance,
        Number(Included(0.0), Included(1.0)),
        "How far an epoch evens out groups of images: 0 not at all, 1 until each group is seen equally often."
    ),
    setting!(
        training.balance_by,
        Pattern,
        "What finds an image's group in its name; nothing stands for the letters that the name begins with."
    ),
    setting!(training.batch_size, Count(1, 65_536), "Images of a batch."),
    setting!(
        training.gradient_accumulation_steps,
        Count(1, 10_000),
        "Batches of which one update is made, as of one batch of them all."
    ),
    setting!(training.epochs, Count(1, 100_000), "Passes over the training images."),
    setting!(
        training.max_steps,
        Count(0, MANY),
        "Updates in all, through the images again and again; above 0 it takes the place of `epochs`."
    ),
    setting!(
        training.lr_scheduler_type,
        Word(&["linear", "cosine", "constant", "constant_with_warmup"]),
        "How the rate goes on after the warm-up; `constant` has none."
    ),
    setting!(training.warmup_steps, Count(0, MANY), "Updates over which the rate rises from 0."),
    setting!(
        training.warmup_ratio,
        Number(Included(0.0), Excluded(1.0)),
        "The warm-up as a share of all updates; above 0 it takes the place of `warmup_steps`."
    ),
    setting!(
        training.max_grad_norm,
        Number(Excluded(0.0), Unbounded),
        "Gradients are scaled down to this norm over all tensors."
    ),
    setting!(
        training.ema_decay,
        Number(Included(0.0), Excluded(1.0)),
        "Decay of an exponential moving average of the weights, which is what is evaluated and saved; 0 is none."
    ),
    setting!(
        training.max_length,
        Count(3, 65_536),
        "Captions are cut to so many tokens, start and end included."
    ),
    setting!(
        training.start_token,
        Word(&["cls", "dec"]),
        "What a training caption begins with: `dec`, as generation does, or `cls`, as the processor writes it."
    ),
    setting!(
        training.prompt,
        Line,
        "Words that every caption begins with: no loss counts them, generation is given them, no score sees them."
    ),
    setting!(training.mask_padding, Flag, "Leaves padding out of the loss."),
    setting!(
        training.label_smoothing,
        Number(Included(0.0), Excluded(1.0)),
        "Share of the target spread over all words, as in `torch.nn.CrossEntropyLoss`."
    ),
    setting!(
        training.dropout,
        Number(Included(0.0), Excluded(1.0)),
        "Share of values dropped where transformers drops them."
    ),
    setting!(training.shuffle, Flag, "Puts the training images into a new seeded order every epoch."),
    setting!(
        training.horizontal_flip,
        Number(Included(0.0), Included(1.0)),
        "Probability that a training image is mirrored; never where its captions speak of left or right."
    ),
    setting!(
        training.random_resized_crop,
        Number(Excluded(0.0), Included(1.0)),
        "Least share of a training image's area that is cut out at random and resized; 1 cuts nothing."
    ),
    setting!(
        training.rotation,
        Number(Included(0.0), Included(180.0)),
        "Most degrees that a training image is turned by at random, either way."
    ),
    setting!(
        training.color_jitter,
        Number(Included(0.0), Excluded(1.0)),
        "By how much brightness, contrast and saturation of a training image differ at random, as a share."
    ),
    setting!(
        training.augmentation_views,
        Count(0, 10_000),
        "Different views of an image that these make, whose features can be kept; 0 is a new one every epoch."
    ),
    setting!(
        training.synonym_replacement,
        Number(Included(0.0), Included(1.0)),
        "Probability that a word of a training caption gives way to a synonym, anew every epoch; never one that names an attribute."
    ),
    setting!(
        training.protected_words,
        Line,
        "Words that no synonym takes the place of, beside those that name colours, garments and other attributes."
    ),
    setting!(
        training.paraphrases,
        Line,
        "A file of other captions of the training images: every epoch draws one of an image's own and these. Empty is none."
    ),
    setting!(
        training.precision,
        Word(&["f32", "bf16", "f16"]),
        "What factors of matrix products are rounded to; weights and sums are f32 in any case. `bf16` is faster with AVX512_BF16; \
         `f16`, with losses scaled, is no faster than f32, and shows what a run elsewhere would come to: a step whose gradients \
         overflow is skipped, and counts in its epoch but neither in the schedule of the rate nor for `unfreeze_from_epoch` \
         and `unfreeze_every`, by which layers then begin as many steps later."
    ),
    setting!(
        training.gradient_checkpointing,
        Flag,
        "Computes layers again on the way back instead of keeping what they computed; of no influence on results."
    ),
    setting!(
        evaluation.samples,
        Count(0, MANY),
        "Validation images captioned every epoch; 0 is all of them."
    ),
    setting!(evaluation.test_samples, Count(0, MANY), "Test images captioned at the end; 0 is all of them."),
    setting!(
        evaluation.convention,
        Word(&["coco", "original"]),
        "The rules of scoring: pycocoevalcap's (`coco`), or those of the original script."
    ),
    setting!(
        evaluation.cider_weight,
        Number(Included(0.0), Included(10.0)),
        "What CIDEr-D, from 0 to 10, is multiplied by in the score."
    ),
    setting!(
        evaluation.batch_size,
        Count(1, 65_536),
        "Images captioned at once; of no influence on results."
    ),
    setting!(
        evaluation.eval_every,
        Count(1, 100_000),
        "Epochs from one evaluation to the next; the last epoch is evaluated in any case."
    ),
    setting!(
        evaluation.diagnostics,
        Flag,
        "Also looks for why scores are as they are: losses and captions of training images, what the model makes of pictures, what \
         training changed in it. Short runs take much less time without."
    ),
    setting!(
        early_stopping.patience,
        Count(0, 100_000),
        "Evaluated epochs without a new best after which training stops; 0 never stops."
    ),
    setting!(
        early_stopping.min_delta,
        Number(Included(0.0), Unbounded),
        "By how much a new best must beat the old one."
    ),
    setting!(early_stopping.metric, Word(METRICS), "What chooses the best epoch."),
    setting!(
        early_stopping.zero_cider,
        Word(&["keep", "minus_val_loss"]),
        "What an epoch is compared by whose CIDEr-D is 0: its score, or minus its loss as in the original script."
    ),
    setting!(generation.max_length, Count(2, 65_536), "Most tokens of a caption, the start token included."),
    setting!(
        generation.min_length,
        Count(0, 65_536),
        "Fewest tokens before the end, the start token included."
    ),
    setting!(generation.num_beams, Count(1, 1000), "Beams of the search; 1 is greedy."),
    setting!(
        generation.no_repeat_ngram_size,
        Count(0, 1000),
        "Sequences of so many tokens occur once in a caption; 0 allows all."
    ),
    setting!(
        generation.length_penalty,
        Number(Included(-100.0), Included(100.0)),
        "Exponent of the length by which a finished caption's score is divided."
    ),
    setting!(
        generation.early_stopping,
        FlagOr("never"),
        "When a search ends that has finished as many captions as beams."
    ),
    setting!(
        generation.repetition_penalty,
        Number(Excluded(0.0), Included(1000.0)),
        "Divides the logit of tokens already said; 1 does nothing."
    ),
];

/// The groups of the recipe.
pub const GROUPS: [&str; 4] = ["training", "evaluation", "early_stopping", "generation"];
