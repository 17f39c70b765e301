//! What a run's numbers come from, kept with its checkpoints: on anything else none of them is gone on with.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::Session;
use super::execute::Loaded;
use super::wordings::digest_of_paraphrases;
use crate::record::RunSpec;

/// The names of model and data stand for what their digests say, and how many images are captioned at once changes
/// nothing.
const WITHOUT_EFFECT: [&str; 4] = ["model", "data", "training.paraphrases", "evaluation.batch_size"];
/// Digits of a digest that a message shows.
const SHOWN: usize = 12;

/// Settings by dotted path.
pub type Settings = BTreeMap<String, Value>;

/// What determines a run's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of this program.
    pub program: String,
    /// `cpu`, `cuda:0` or `metal`.
    pub device: String,
    /// SHA-256 of the weights as loaded.
    pub model_digest: String,
    /// SHA-256 of captions and image bytes of all splits.
    pub data_digest: String,
    /// The recipe and the seed by dotted paths, but for what is [`WITHOUT_EFFECT`].
    pub settings: Settings,
}

/// Why a checkpoint is not gone on from: it would mix results of different inputs.
#[derive(Debug, PartialEq, Error)]
pub enum Changed {
    #[error(
        "{model}: these are not the weights that the run began with: they have the SHA-256 {}..., and had {}...",
        short(new),
        short(old)
    )]
    Model { model: String, old: String, new: String },
    #[error(
        "{data}: captions or images are not those that the run began with: they have the SHA-256 {}..., and had {}...",
        short(new),
        short(old)
    )]
    Data { data: String, old: String, new: String },
    #[error("{path} is {new}, and was {old} when the run began")]
    Setting { path: String, old: String, new: String },
}

fn short(digest: &str) -> &str {
    digest.get(..SHOWN).unwrap_or(digest)
}

impl Origin {
    /// Takes the digests of what was loaded, before anything trains.
    pub fn of(session: &Session, loaded: &Loaded) -> Result<Self> {
        Ok(Self {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            device: session.device_name.clone(),
            model_digest: loaded.pretrained.weights.digest()?,
            data_digest: loaded.material.digest.clone(),
            settings: with_content(settings(session.spec)?, session.spec)?,
        })
    }

    /// Whether what was made of `self` may be gone on with on what `now` says.
    pub fn check(&self, now: &Self, session: &Session) -> Result<(), Changed> {
        if self.model_digest != now.model_digest {
            let model = session.inputs.model.display().to_string();
            return Err(Changed::Model {
                model,
                old: self.model_digest.clone(),
                new: now.model_digest.clone(),
            });
        }
        if self.data_digest != now.data_digest {
            let data = Path::new(&session.inputs.data.train.captions).display().to_string();
            return Err(Changed::Data { data, old: self.data_digest.clone(), new: now.data_digest.clone() });
        }
        match difference(&self.settings, &now.settings) {
            Some((path, [old, new])) => Err(Changed::Setting { path, old, new }),
            None => Ok(()),
        }
    }

    /// What may change numbers in their last digits, and no user would want to stop for.
    pub fn notes(&self, now: &Self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.program != now.program {
            notes.push(format!("begun by sweep {} and gone on with by sweep {}", self.program, now.program));
        }
        if self.device != now.device {
            notes.push(format!("begun on {} and gone on with on {}", self.device, now.device));
        }
        notes
    }
}

/// With what a file of paraphrases holds in the place of its name.
fn with_content(mut settings: Settings, spec: &RunSpec) -> Result<Settings> {
    let training = &spec.recipe.training;
    if let Some(digest) = digest_of_paraphrases(training)?.filter(|_| spec.recipe.kind.trains()) {
        settings.insert("training.paraphrases".to_owned(), Value::from(digest));
    }
    Ok(settings)
}

/// The settings of a run that determine its result, model and data aside.
pub fn settings(spec: &RunSpec) -> serde_json::Result<Settings> {
    let mut settings = Settings::new();
    add_leaves("", &serde_json::to_value(&spec.recipe)?, &mut settings);
    settings.insert("seed".to_owned(), spec.seed.into());
    settings.retain(|path, _| {
        !WITHOUT_EFFECT.iter().any(|group| {
            path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    });
    Ok(settings)
}

fn add_leaves(path: &str, value: &Value, settings: &mut Settings) {
    let Value::Object(fields) = value else {
        settings.insert(path.to_owned(), value.clone());
        return;
    };
    for (key, value) in fields {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        add_leaves(&path, value, settings);
    }
}

/// The first setting that differs, with both its values in words.
pub fn difference(old: &Settings, new: &Settings) -> Option<(String, [String; 2])> {
    let shown = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), Value::to_string);
    let mut paths = old.keys().chain(new.keys()).collect::<Vec<_>>();
    paths.sort();
    let path = paths.into_iter().find(|path| old.get(*path) != new.get(*path))?;
    Some((path.clone(), [old.get(path), new.get(path)].map(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::run::tests::any_run;

    #[test]
    fn the_first_setting_that_differs_is_named_with_both_values() {
        let old = any_run("r1");
        let mut new = old.clone();
        assert_eq!(difference(&settings(&old).unwrap(), &settings(&new).unwrap()), None);
        new.recipe.evaluation.batch_size = 99;
        new.recipe.model = "/elsewhere/lab".to_owned();
        assert_eq!(difference(&settings(&old).unwrap(), &settings(&new).unwrap()), None);
        let seed = new.seed;
        new.seed = 4;
        let words = |old: &str, new: &str| [old.to_owned(), new.to_owned()];
        let found = difference(&settings(&old).unwrap(), &settings(&new).unwrap());
        assert_eq!(found, Some(("seed".to_owned(), words("0", "4"))));
        (new.seed, new.recipe.training.learning_rate) = (seed, 1e-3);
        let found = difference(&settings(&old).unwrap(), &settings(&new).unwrap());
        assert_eq!(found, Some(("training.learning_rate".to_owned(), words("0.0005", "0.001"))));
    }
}
