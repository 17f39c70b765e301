//! What the columns of the tables mean. A test keeps these lists complete.

/// A group of columns and what they say.
pub struct Meaning {
    /// Names, separated by spaces; `*` stands for any ending.
    pub columns: &'static str,
    pub meaning: &'static str,
}

const fn meaning(columns: &'static str, meaning: &'static str) -> Meaning {
    Meaning { columns, meaning }
}

/// The columns of `runs`: a row a run, best first.
pub const RUNS: &[Meaning] = &[
    meaning(
        "rank",
        "place among the fine-tuned runs, from 1; absent for reference runs and runs without a result",
    ),
    meaning(
        "run kind",
        "the run's id; fine-tuned, zero-shot, constant caption, nearest image, matched length or shuffled captions; of \
         another system its name, and `other system`",
    ),
    meaning(
        "status reason",
        "how the run ended, or not_started, or unfinished (cut off or still running), or given (another system's \
         captions); why, in words",
    ),
    meaning("attempts last_seen", "starts of the run; time of its last event"),
    meaning(
        "convention meteor_variant",
        "the rules by which captions were scored, and the definition of METEOR: scores of others do not compare",
    ),
    meaning("setting.*", "each setting that acts on the run's result, by its dotted path"),
    meaning("best_epoch", "the epoch that the run's metric chose; 0 is the model before training"),
    meaning("train_loss", "mean over the best epoch's steps, nats a token"),
    meaning(
        "val_loss val_nll",
        "validation loss at the best epoch, nats a token: as trained, and without pads and smoothing",
    ),
    meaning(
        "score meteor rouge_l cider_d bleu_4",
        "captions of the best epoch on the validation split; CIDEr-D from 0 to 10, the others from 0 to 1",
    ),
    meaning("initial_score", "score before training"),
    meaning(
        "val_loss_lowest_epoch last_epoch",
        "where the validation loss was lowest, and the last epoch evaluated",
    ),
    meaning("val_loss_rise", "validation loss at the last epoch relative to its lowest, minus 1"),
    meaning("train_loss_at_lowest train_loss_at_last", "training loss at these two epochs"),
    meaning(
        "val_nll_rise val_nll_rise_low val_nll_rise_high",
        "mean rise of the validation images' NLL between these two epochs, with its 95 % paired bootstrap interval",
    ),
    meaning(
        "score_at_lowest",
        "score at the epoch of the lowest validation loss: what stopping there would have kept",
    ),
    meaning(
        "overfit",
        "the validation loss rose by 5 % or more while the training loss fell, and there is an onset: the rise is no \
         accident of the images; absent where the images' losses are not known",
    ),
    meaning(
        "onset_epoch onset_rise onset_rise_low onset_rise_high",
        "the first epoch from which on, to the end, the validation images' NLL is surely above that of their best epoch; \
         how far above it is there, in nats a token, with an interval (95 %) that allows for the best epoch having been \
         chosen by these losses. Stricter than the interval of val_nll_rise, which does not; absent where no rise is sure",
    ),
    meaning(
        "gap_at_best gap_at_last",
        "generalisation gap, val_nll minus train_nll, at the epoch that was kept and at the last",
    ),
    meaning(
        "gap_area",
        "the gap summed over the epochs after the one of the lowest val_nll (trapezoids, nats times epochs)",
    ),
    meaning("gap_early gap_middle gap_late", "mean gap over each third of the epochs"),
    meaning("test_*", "captions of the best epoch on the test split"),
    meaning(
        "captions_* different_*",
        "captions that were compared with the training captions, and how many of them are different: `_test` of test \
         images, `_train` of a fixed part of the training images, `_references` the test images' own, as a yardstick. \
         These and the following are absent where the training captions' file is gone",
    ),
    meaning(
        "copied_* nearly_copied_*",
        "share of these that have the words of a training caption, in lower case; that have them or nearly: a longest \
         common subsequence of at least 9/10 of the words of the longer of both",
    ),
    meaning("novel_4_grams_*", "share of their 4-grams that no training caption has"),
    meaning("distinct_1_* distinct_2_*", "different words over all words, and likewise of pairs of words"),
    meaning(
        "floor_score ceiling_score",
        "from the audit: the most that captions score which look at no picture or copy the nearest one's, and the best \
         found within the run's limits on captions",
    ),
    meaning(
        "place_*",
        "where a score lies between its floor (0) and its ceiling (1); below 0 it is beaten by a floor; `test_place_*` \
         likewise",
    ),
    meaning("epochs steps seconds", "how far the run came, and its wall-clock time over all attempts"),
    meaning(
        "peak_memory_bytes images_encoded",
        "largest resident memory; images that went through the frozen part of the vision model",
    ),
    meaning(
        "skipped_steps",
        "steps of a run in f16 that updated nothing, as their gradients overflowed; absent in other precisions",
    ),
    meaning(
        "trainable trainable_vision_layers trainable_vision_other trainable_text frozen trainable_tensors",
        "parameters by part (tied weights once), and how many tensors train",
    ),
    meaning(
        "frozen_digest_before frozen_digest_after",
        "SHA-256 of the frozen weights before and after training: equal unless something went wrong",
    ),
    meaning("program device threads", "what ran it"),
    meaning(
        "model_digest data_digest",
        "SHA-256 of the weights as loaded, and of the captions and images of all splits",
    ),
    meaning("train_examples validation_examples test_examples steps_per_epoch total_steps", "sizes"),
];

/// The columns of `steps`: a row an evaluated epoch.
pub const STEPS: &[Meaning] = &[
    meaning("run epoch step", "the run's id; epoch 0 is the model before training; optimizer steps done"),
    meaning("train_loss", "mean over the epoch's steps, nats a token"),
    meaning("val_loss val_nll", "validation loss: as trained, and without pads and smoothing"),
    meaning(
        "train_nll",
        "loss on a fixed part of the training images, measured as val_nll is; val_nll exceeds it by the generalisation gap",
    ),
    meaning(
        "ece confidence accuracy",
        "the next token on the validation split: expected calibration error (15 bins), mean probability of the likeliest, how often it is right",
    ),
    meaning("score meteor rouge_l cider_d bleu_4", "captions generated for the validation split"),
    meaning("seconds", "wall-clock time since the evaluation before"),
    meaning(
        "learning_rate gradient_norm",
        "of the text decoder at the epoch's last recorded step; mean over the epoch's recorded steps, before clipping",
    ),
    meaning("is_best", "the epoch that the run's metric chose"),
];

/// The columns of `captions`: a row a caption that a run recorded, at its best epoch.
pub const CAPTIONS: &[Meaning] = &[
    meaning(
        "run split image",
        "the run's id; test, validation or train; the file name as in the captions file",
    ),
    meaning("caption references", "what the run says; what is true of the image, as a JSON list of texts"),
    meaning(
        "meteor rouge_l cider_d",
        "scores of this caption, by the run's convention; absent where the run recorded none",
    ),
    meaning("loss", "mean loss of the reference's tokens, without pads and smoothing, nats a token"),
];

/// The columns of `attributes`: a row for each run, split and kind of attribute that is named.
pub const ATTRIBUTES: &[Meaning] = &[
    meaning("run split", "the run's id; validation or test"),
    meaning("kind visible", "the kind of attribute, as the lexicon calls it, and whether a picture shows it"),
    meaning(
        "hits wrong missed",
        "values that caption and references name, the caption alone, the references alone, once an image",
    ),
    meaning(
        "precision recall f1",
        "of these counts over all images; absent where there is nothing to divide by",
    ),
];

/// The columns of `audit`: a row a finding, the worst first.
pub const AUDIT: &[Meaning] = &[
    meaning("kind severity", "what was found; severe, warning or note"),
    meaning("number unit", "how much of it: a share from 0 to 1, a count, or points of a metric"),
    meaning("meaning", "what that means, in a sentence or two"),
    meaning(
        "setting value",
        "the setting that mends it, and its value as JSON; absent where no setting does",
    ),
    meaning("runs", "ids of the runs that it concerns, separated by spaces"),
];

/// The columns of `settings`: a row a combination of settings, in the mean over its seeds; written where any has several.
pub const SETTINGS: &[Meaning] = &[
    meaning("setting.*", "each setting that acts on the results, by its dotted path, but for the seed"),
    meaning(
        "seeds best_run",
        "runs that differ in their seed alone; the id of the best of them by validation",
    ),
    meaning(
        "split images",
        "what the scores are of: images of this split that all runs of the table captioned",
    ),
    meaning("score meteor rouge_l cider_d bleu_4", "means over the seeds"),
    meaning(
        "score_low score_high meteor_low meteor_high rouge_l_low rouge_l_high cider_d_low cider_d_high",
        "95 % intervals of these means for other seeds and other images; absent for a single seed",
    ),
    meaning(
        "score_seed_error score_image_error meteor_seed_error meteor_image_error rouge_l_seed_error rouge_l_image_error \
         cider_d_seed_error cider_d_image_error",
        "the standard error of these means for other seeds on the same images, and for other images with the same seeds",
    ),
    meaning(
        "behind behind_low behind_high",
        "how much higher the mean score of the first row is, with its 95 % interval for other seeds and other images",
    ),
];

/// The columns of `ratings`: a row a caption and rater; written where files of ratings are given.
pub const RATINGS: &[Meaning] = &[
    meaning("image system", "the file name as in the captions file; the run's id"),
    meaning("rater", "the name that the rater gave"),
    meaning("caption", "what the run says of the image"),
    meaning("accuracy fluency", "from 1 to 5; absent where it was left open"),
    meaning(
        "preferred",
        "whether the rater prefers it to the image's other captions; false for all where none is preferred, absent where \
         the question was left open",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::lexicon::Lexicon;
    use polars::prelude::DataFrame;

    use crate::report::comparison::Images;
    use crate::report::example_runs::{gather_example, write_example_runs, write_runs_with_seeds};
    use crate::report::findings::Study;
    use crate::report::gather::gather;
    use crate::report::seeds::seeds;

    fn explains(meanings: &[Meaning], column: &str) -> bool {
        meanings.iter().flat_map(|meaning| meaning.columns.split(' ')).any(|name| matches(name, column))
    }

    fn matches(name: &str, column: &str) -> bool {
        name.strip_suffix('*').map_or(name == column, |prefix| column.starts_with(prefix))
    }

    #[test]
    fn every_column_is_explained_and_every_explanation_has_a_column() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let sweep = crate::record::Store::new(&folder.path().join("runs")).sweep("unfreeze");
        let tables = crate::report::tables::build(&gather(
            &sweep,
            "unfreeze".to_owned(),
            &Lexicon::clothing().unwrap(),
        ))
        .unwrap();
        for ((_, frame), meanings) in
            tables.frames().into_iter().zip([RUNS, STEPS, CAPTIONS, ATTRIBUTES, AUDIT])
        {
            check(frame, meanings);
        }
    }

    #[test]
    fn every_column_of_settings_is_explained_and_every_explanation_has_a_column() {
        let folder = tempfile::tempdir().unwrap();
        write_runs_with_seeds(folder.path()).unwrap();
        let data = gather_example(folder.path());
        let tables = crate::report::tables::build(&data).unwrap();
        let study = Study::new(&data, tables.run_rows().unwrap(), tables.ranked_by);
        let seeds = seeds(&study, Images::Test).unwrap();
        check(&crate::report::tables::settings_table(&seeds).unwrap(), SETTINGS);
    }

    fn check(frame: &DataFrame, meanings: &[Meaning]) {
        let columns: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
        for column in &columns {
            assert!(explains(meanings, column), "`{column}` is not explained");
        }
        for meaning in meanings {
            let is_there = |name: &str| columns.iter().any(|column| matches(name, column));
            for name in meaning.columns.split(' ') {
                assert!(is_there(name), "there is no column `{name}`");
            }
        }
    }
}
