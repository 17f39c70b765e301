//! The weights that a run is judged by and that it saves, where they are not those that train.
//!
//! Adapters come in as part of the weights that they adapt, so that what is saved is a BLIP like any other. Where an
//! exponential moving average is kept, it is what is looked at in the place of the last step's weights.

use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::Var;

use super::average;
use crate::model::Weights;
use crate::model::lora::Pair;

/// A second set of weights, which shares with the first what neither an adapter nor an average changes.
pub struct Judged {
    weights: Weights,
    /// The decay of the average, and the average of every trainable tensor.
    average: Option<(f64, BTreeMap<String, Var>)>,
}

impl Judged {
    /// `None` where the weights that train are those that are judged.
    pub fn of(training: &Weights, ema_decay: f64) -> Result<Option<Self>> {
        if training.adapters().is_empty() && ema_decay == 0.0 {
            return Ok(None);
        }
        let weights = training.with_changes_apart(ema_decay > 0.0)?;
        let begin = |(name, var): (&String, &Var)| -> Result<(String, Var)> {
            let average = match weights.trainable().get(name) {
                Some(judged) => judged.clone(),
                None => Var::from_tensor(&var.as_tensor().copy()?)?,
            };
            Ok((name.clone(), average))
        };
        let average = if ema_decay > 0.0 {
            Some((ema_decay, training.trainable().iter().map(begin).collect::<Result<_>>()?))
        } else {
            None
        };
        Ok(Some(Self { weights, average }))
    }

    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Takes the weights after so many updates into the average.
    pub fn observe(&self, training: &Weights, updates: usize) -> Result<()> {
        if let Some((decay, averages)) = &self.average {
            let keep = average::decay_after(*decay, updates);
            for (name, average) in averages {
                if let Some(var) = training.trainable().get(name) {
                    average::update(average, var, keep)?;
                }
            }
        }
        Ok(())
    }

    /// Brings the weights up to date. An average is so at any time, adapters have to be merged.
    pub fn refresh(&self, training: &Weights) -> Result<()> {
        for (layer, pair) in training.adapters() {
            let of = |name: String, var: &Var| match &self.average {
                Some((_, averages)) => averages.get(&name).unwrap_or(var).as_tensor().clone(),
                None => var.as_tensor().clone(),
            };
            let [down, up] = Weights::adapter_names(layer);
            let pair = Pair { down: of(down, &pair.down), up: of(up, &pair.up) };
            training.merge_into(&self.weights, layer, &pair)?;
        }
        Ok(())
    }

    /// What there is to training and in no tensor of a model's file: the weights that train, and averages of adapters.
    pub fn apart(&self, training: &Weights) -> BTreeMap<String, Var> {
        let trained = training.trainable().iter().map(|(name, var)| (format!("value.{name}"), var.clone()));
        let averages = self.average.iter().flat_map(|(_, averages)| averages);
        let of_adapters = averages.filter(|(name, _)| !self.weights.trainable().contains_key(*name));
        trained.chain(of_adapters.map(|(name, var)| (format!("average.{name}"), var.clone()))).collect()
    }
}
