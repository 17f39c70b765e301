//! The settings of a run that a sweep can set or vary: names, valid values, and their field of the recipe.
//!
//! One table, [`SETTINGS`], serves the sweep file, the command line, expansion and the plan's table. A test
//! keeps it equal to the fields of [`Recipe`], so none can be forgotten.

use std::fmt;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::RangeBounds;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::problem::{did_you_mean, one_of};
use super::yaml::{Content, Node, shortest};
use crate::record::Recipe;
use crate::record::grouping::Grouping;

/// A setting, by its dotted path.
pub struct Setting {
    /// Group and key, such as `training.learning_rate`; `model` has no group.
    pub path: &'static str,
    /// What it means, in a sentence.
    pub about: &'static str,
    pub(super) range: Range,
    pub(super) write: fn(&mut Recipe, &Value) -> serde_json::Result<()>,
    pub(super) read: fn(&Recipe) -> Value,
}

/// The values that a setting takes.
pub(super) enum Range {
    /// `true` or `false`.
    Flag,
    /// `true`, `false` or this word.
    FlagOr(&'static str),
    /// Whole numbers from the first to the second.
    Count(usize, usize),
    /// The same from 0 to this, and, with a decimal point, shares of a whole: above 0 and at most 1.
    CountOrShare(usize),
    /// Finite numbers within two bounds.
    Number(Bound<f64>, Bound<f64>),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text on one line.
    Text,
    /// The same, or none. Spaces around it do not count.
    Line,
    /// A regular expression, or nothing.
    Pattern,
}

use Range::{Count, CountOrShare, Flag, FlagOr, Line, Number, Pattern, Text, Word};

pub use super::table::{GROUPS, SETTINGS};
pub(super) use super::table::{MANY, METRICS};

pub(super) fn assign<T: DeserializeOwned>(field: &mut T, value: &Value) -> serde_json::Result<()> {
    *field = T::deserialize(value)?;
    Ok(())
}

impl Setting {
    /// The key within its group: `learning_rate`.
    pub fn key(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The shortest name that means this setting and no other: its key, or its path where the key occurs in
    /// several groups or is a group's name.
    pub fn short_name(&self) -> &'static str {
        let is_unique = SETTINGS.iter().filter(|other| other.key() == self.key()).count() == 1;
        if is_unique && !GROUPS.contains(&self.key()) { self.key() } else { self.path }
    }

    /// Whether its values are whole numbers, if they are no shares.
    pub(super) fn counts(&self) -> bool {
        matches!(self.range, Count(..) | CountOrShare(_))
    }

    /// A value as people write it.
    pub fn shown(&self, value: &Value) -> String {
        match self.range {
            // 1 would be a count.
            CountOrShare(_) if value.as_f64() == Some(1.0) && value.is_f64() => "1.0".to_owned(),
            _ => shown(value),
        }
    }

    /// The setting's value in a recipe.
    pub fn read(&self, recipe: &Recipe) -> Value {
        (self.read)(recipe)
    }

    /// Sets the field of the recipe. An error means that `value` did not come from [`Setting::check`].
    pub fn write(&self, recipe: &mut Recipe, value: &Value) -> serde_json::Result<()> {
        (self.write)(recipe, value)
    }

    /// The canonical value that a node means, or what is wrong with it: a sentence without its subject.
    /// However a number is spelt, equal settings give equal values.
    pub(super) fn check(&self, node: &Node) -> Result<Value, String> {
        match (&self.range, &node.content) {
            (Flag | FlagOr(_), Content::Flag(flag)) => Ok(json!(flag)),
            (FlagOr(word), Content::Text(text)) if text == word => Ok(json!(word)),
            (Count(least, most), content) => match whole(content) {
                Some(count) if (*least..=*most).contains(&count) => Ok(json!(count)),
                _ => Err(self.refusal(node)),
            },
            (CountOrShare(most), content) => match (share(content), whole(content)) {
                (Some(share), _) => Ok(json!(share)),
                // 0.0 is neither.
                (None, Some(count)) if count <= *most && *content != Content::Number(0.0) => Ok(json!(count)),
                _ => Err(self.refusal(node)),
            },
            (Number(low, high), content) => match number(content) {
                Some(number) if number.is_finite() && (*low, *high).contains(&number) => {
                    Ok(json!(number + 0.0))
                }
                _ => Err(self.refusal(node)),
            },
            (Word(words), Content::Text(text)) if words.contains(&text.as_str()) => Ok(json!(text)),
            (Word(words), Content::Text(text)) => Err(self.misspelt(node, text, words)),
            (FlagOr(word), Content::Text(text)) => Err(self.misspelt(node, text, &["true", "false", word])),
            (Text, Content::Text(text)) if !text.is_empty() && !text.contains(char::is_control) => {
                Ok(json!(text))
            }
            (Line, Content::Text(text)) if !text.contains(char::is_control) => Ok(json!(text.trim())),
            (Pattern, Content::Text(text)) => match Grouping::new(text) {
                Ok(_) => Ok(json!(text)),
                Err(reason) => Err(format!("{}: {reason}", self.refusal(node))),
            },
            _ => Err(self.refusal(node)),
        }
    }

    /// The refusal of a word that may be meant for one of `words`.
    fn misspelt(&self, node: &Node, text: &str, words: &[&str]) -> String {
        let guess = did_you_mean(text, words.iter().copied());
        format!("is {}; it must be {}{guess}", node.shown(), self.valid())
    }

    /// As [`Setting::check`], of a value that stands alone, such as that of a flag. What is wrong with it goes without
    /// the value, which the command line shows itself.
    pub fn check_text(&self, text: &str) -> Result<(), String> {
        let node = super::yaml::parse(text).map_err(|problem| problem.message)?;
        self.check(&node).map(drop).map_err(|_| format!("it must be {}", self.valid()))
    }

    fn refusal(&self, node: &Node) -> String {
        let shown = match (&self.range, &node.content) {
            // Its decimal point is what may be wrong with it.
            (CountOrShare(_), Content::Number(number)) => format!("{number:?}"),
            _ => node.shown(),
        };
        let is_quoted_number = match &node.content {
            Content::Text(text) => {
                matches!(self.range, Count(..) | CountOrShare(_) | Number(..)) && text.parse::<f64>().is_ok()
            }
            _ => false,
        };
        let remedy = if is_quoted_number { ", written without quotes" } else { "" };
        format!("is {shown}; it must be {}{remedy}", self.valid())
    }

    /// The valid values in words.
    pub fn valid(&self) -> String {
        match &self.range {
            Flag => "`true` or `false`".to_owned(),
            FlagOr(word) => one_of(["true", "false", *word]),
            Count(least, most) if *most >= MANY => format!("a whole number of at least {least}"),
            Count(least, most) => format!("a whole number from {least} to {most}"),
            CountOrShare(_) => {
                "a whole number of at least 0, or a share above 0 and at most 1.0, which has a decimal point"
                    .to_owned()
            }
            Number(low, high) => {
                let low = match low {
                    Included(low) => format!(" of at least {}", shortest(*low)),
                    Excluded(low) => format!(" above {}", shortest(*low)),
                    Unbounded => String::new(),
                };
                let high = match high {
                    Included(high) => format!(" and at most {}", shortest(*high)),
                    Excluded(high) => format!(" and below {}", shortest(*high)),
                    Unbounded => String::new(),
                };
                format!("a number{low}{high}")
            }
            Word(words) => one_of(words.iter().copied()),
            Text => "a name on one line".to_owned(),
            Line => "text on one line, or `''` for none".to_owned(),
            Pattern => "a regular expression".to_owned(),
        }
    }
}

/// A setting's value as people write it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "''".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(shortest).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// The same of a setting that has this path.
pub fn shown_of(path: &str, value: &Value) -> String {
    SETTINGS
        .iter()
        .find(|setting| setting.path == path)
        .map_or_else(|| shown(value), |setting| setting.shown(value))
}

/// A whole number, also one written as `1e3`.
fn whole(content: &Content) -> Option<usize> {
    match content {
        Content::Whole(number) => usize::try_from(*number).ok(),
        Content::Number(number) if number.fract() == 0.0 && (0.0..1e15).contains(number) => {
            Some(*number as usize)
        }
        _ => None,
    }
}

/// A share of a whole: a number that is not written as a whole one. 1.0 is all of it.
fn share(content: &Content) -> Option<f64> {
    match content {
        Content::Number(number) if *number > 0.0 && *number <= 1.0 => Some(*number),
        _ => None,
    }
}

fn number(content: &Content) -> Option<f64> {
    match content {
        Content::Number(number) => Some(*number),
        Content::Whole(number) => Some(*number as f64),
        _ => None,
    }
}

/// The setting that a name means: a dotted path, or a key that occurs in one group only. Otherwise what is
/// wrong with the name, as a whole sentence.
pub fn named(name: &str) -> Result<&'static Setting, String> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.path == name) {
        return Ok(setting);
    }
    if GROUPS.contains(&name) {
        let prefix = format!("{name}.");
        let inside =
            SETTINGS.iter().filter(|setting| setting.path.starts_with(&prefix) || setting.key() == name);
        let paths = inside.map(|setting| setting.path).take(5);
        return Err(format!("`{name}` is a group of settings; name one of them, such as {}", one_of(paths)));
    }
    let same_key: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.key() == name).collect();
    match same_key.as_slice() {
        [setting] => Ok(setting),
        [] => {
            let names = SETTINGS.iter().flat_map(|setting| [setting.short_name(), setting.path]);
            Err(format!("unknown setting {}{}", super::problem::quoted(name), did_you_mean(name, names)))
        }
        several => {
            let paths = one_of(several.iter().map(|setting| setting.path));
            Err(format!("`{name}` occurs in several groups; write {paths}"))
        }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.path)
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

#[cfg(test)]
mod tests {
    use super::super::preset::Preset;
    use super::super::yaml;
    use super::*;
    use crate::record::recipe::{Amount, LoraTargets, LrSchedule, Precision, TextParts};

    #[test]
    fn the_table_has_every_field_of_the_recipe_once_and_in_order() {
        let mut recipe = Preset::AsOriginal.recipe();
        // Written only where it is not the one that goes with the convention.
        recipe.evaluation.cider_weight = 0.5;
        // Left out where they are those of before there was a setting.
        recipe.training.dropout = 0.1;
        recipe.training.precision = Precision::Bf16;
        recipe.training.gradient_checkpointing = true;
        (recipe.training.horizontal_flip, recipe.training.random_resized_crop) = (0.5, 0.5);
        (recipe.training.rotation, recipe.training.color_jitter) = (5.0, 0.1);
        recipe.training.augmentation_views = 3;
        recipe.training.synonym_replacement = 0.1;
        (recipe.training.protected_words, recipe.training.paraphrases) = ("a".to_owned(), "b".to_owned());
        recipe.training.layer_lr_decay = 0.9;
        (recipe.training.unfreeze_from_epoch, recipe.training.unfreeze_every) = (2, 1);
        recipe.training.train_examples = Amount::Count(5);
        recipe.training.prompt = "a picture of".to_owned();
        recipe.training.trainable_text = TextParts::CrossAttention;
        recipe.training.trainable_text_layers = 2;
        recipe.training.train_embeddings = true;
        (recipe.training.lora_rank, recipe.training.lora_alpha) = (4, 4.0);
        recipe.training.lora_targets = LoraTargets::AllLinear;
        recipe.training.ema_decay = 0.9;
        recipe.training.max_steps = 70;
        (recipe.evaluation.eval_every, recipe.evaluation.diagnostics) = (2, false);
        (recipe.training.balance, recipe.training.balance_by) = (0.5, "x".to_owned());
        recipe.training.decay_norms_and_biases = false;
        recipe.training.gradient_accumulation_steps = 2;
        recipe.training.lr_scheduler_type = LrSchedule::Cosine;
        recipe.training.warmup_ratio = 0.1;
        let recipe = serde_yaml::to_value(recipe).unwrap();
        let mut paths = Vec::new();
        for (group, fields) in recipe.as_mapping().unwrap() {
            let group = group.as_str().unwrap();
            match fields.as_mapping() {
                Some(fields) => {
                    paths.extend(fields.keys().map(|key| format!("{group}.{}", key.as_str().unwrap())))
                }
                None => paths.push(group.to_owned()),
            }
        }
        paths.retain(|path| path != "kind" && path != "data");
        assert_eq!(SETTINGS.iter().map(|setting| setting.path).collect::<Vec<_>>(), paths);
    }

    #[test]
    fn every_setting_writes_and_reads_its_own_field() {
        for setting in &SETTINGS {
            let mut recipe = Preset::AsOriginal.recipe();
            let before = setting.read(&recipe);
            let other = match &before {
                Value::Bool(flag) => json!(!flag),
                Value::Number(number) if number.is_f64() => json!(0.125),
                Value::Number(_) => json!(77),
                _ => match setting.range {
                    Word(words) => json!(words.iter().find(|word| json!(word) != before).unwrap()),
                    _ => json!("elsewhere"),
                },
            };
            setting.write(&mut recipe, &other).unwrap();
            assert_eq!(setting.read(&recipe), other, "{setting:?}");
            setting.write(&mut recipe, &before).unwrap();
            assert_eq!(recipe, Preset::AsOriginal.recipe(), "{setting:?}");
        }
    }

    #[test]
    fn names_resolve_to_their_setting() {
        assert_eq!(named("learning_rate").unwrap().path, "training.learning_rate");
        assert_eq!(named("generation.max_length").unwrap().path, "generation.max_length");
        assert_eq!(named("metric").unwrap().path, "early_stopping.metric");
        assert_eq!(named("model").unwrap().short_name(), "model");
        assert_eq!(named("learning_rate").unwrap().short_name(), "learning_rate");
        assert_eq!(named("training.batch_size").unwrap().short_name(), "training.batch_size");
        assert_eq!(named("generation.early_stopping").unwrap().short_name(), "generation.early_stopping");
    }

    #[test]
    fn names_that_mean_nothing_or_too_much_are_refused() {
        let refused = |name| named(name).unwrap_err();
        assert_eq!(
            refused("max_length"),
            "`max_length` occurs in several groups; write `training.max_length` or `generation.max_length`"
        );
        assert_eq!(
            refused("batch_size"),
            "`batch_size` occurs in several groups; write `training.batch_size` or `evaluation.batch_size`"
        );
        assert_eq!(
            refused("early_stopping"),
            "`early_stopping` is a group of settings; name one of them, such as `early_stopping.patience`, `early_stopping.min_delta`, \
             `early_stopping.metric`, `early_stopping.zero_cider` or `generation.early_stopping`"
        );
        assert_eq!(refused("learning_rat"), "unknown setting `learning_rat`; did you mean `learning_rate`?");
        assert_eq!(
            refused("training.learning_rat"),
            "unknown setting `training.learning_rat`; did you mean `training.learning_rate`?"
        );
        assert_eq!(refused("optimizer"), "unknown setting `optimizer`");
    }

    fn check(name: &str, text: &str) -> Result<Value, String> {
        named(name).unwrap().check(&yaml::parse(text).unwrap())
    }

    #[test]
    fn values_are_canonical_however_they_are_spelt() {
        for text in ["1e-5", "0.00001", "1.0e-05", "+1E-5"] {
            assert_eq!(check("learning_rate", text), Ok(json!(1e-5)));
        }
        assert_eq!(check("weight_decay", "1"), Ok(json!(1.0)));
        assert_eq!(check("weight_decay", "-0.0").unwrap().to_string(), "0.0");
        assert_eq!(check("warmup_steps", "1e3"), Ok(json!(1000)));
        for (text, value) in
            [("1", json!(1)), ("1.0", json!(1.0)), ("0.25", json!(0.25)), ("1e2", json!(100))]
        {
            assert_eq!(check("train_examples", text), Ok(value), "{text}");
        }
        let shown = |value| named("train_examples").unwrap().shown(&value);
        assert_eq!([json!(1), json!(1.0), json!(0.25), json!(0)].map(shown), ["1", "1.0", "0.25", "0"]);
        assert_eq!(check("mask_padding", "true"), Ok(json!(true)));
        assert_eq!(check("start_token", "dec"), Ok(json!("dec")));
        for (text, value) in [("true", json!(true)), ("false", json!(false)), ("never", json!("never"))] {
            assert_eq!(check("generation.early_stopping", text), Ok(value));
        }
    }

    #[test]
    fn values_out_of_range_are_refused_with_what_is_valid() {
        let refused = |name, text| check(name, text).unwrap_err();
        let rate = "it must be a number above 0 and at most 1";
        assert_eq!(refused("learning_rate", "-1e-5"), format!("is -1e-5; {rate}"));
        assert_eq!(refused("learning_rate", "0"), format!("is 0; {rate}"));
        assert_eq!(refused("learning_rate", ".nan"), format!("is NaN; {rate}"));
        assert_eq!(refused("learning_rate", ".inf"), format!("is inf; {rate}"));
        assert_eq!(refused("learning_rate", "[1]"), format!("is a list; {rate}"));
        assert_eq!(
            refused("learning_rate", "'1e-5'"),
            format!("is the text `1e-5`; {rate}, written without quotes")
        );
        assert_eq!(refused("max_grad_norm", ".inf"), "is inf; it must be a number above 0");
        assert_eq!(refused("label_smoothing", "1"), "is 1; it must be a number of at least 0 and below 1");
        assert_eq!(refused("training.batch_size", "0"), "is 0; it must be a whole number from 1 to 65536");
        assert_eq!(
            refused("training.batch_size", "1.5"),
            "is 1.5; it must be a whole number from 1 to 65536"
        );
        let amount = "it must be a whole number of at least 0, or a share above 0 and at most 1.0, which has a decimal point";
        for text in ["1.5", "-0.5", "-1"] {
            assert_eq!(refused("train_examples", text), format!("is {text}; {amount}"));
        }
        assert_eq!(refused("train_examples", "0.0"), format!("is 0.0; {amount}"));
        assert_eq!(refused("samples", "-1"), "is -1; it must be a whole number of at least 0");
        assert_eq!(refused("mask_padding", "yes"), "is the text `yes`; it must be `true` or `false`");
        assert_eq!(
            refused("start_token", "CLS"),
            "is the text `CLS`; it must be `cls` or `dec`; did you mean `cls`?"
        );
        assert_eq!(refused("model", "''"), "is the text ``; it must be a name on one line");
        assert_eq!(refused("model", "3"), "is 3; it must be a name on one line");
        let stopping = "it must be `true`, `false` or `never`";
        assert_eq!(refused("generation.early_stopping", "1"), format!("is 1; {stopping}"));
        assert_eq!(
            refused("generation.early_stopping", "nevr"),
            format!("is the text `nevr`; {stopping}; did you mean `never`?")
        );
    }
}
