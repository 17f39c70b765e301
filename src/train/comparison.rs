//! The model before training against the best epoch's: what it sees otherwise, and what it forgot.

use std::collections::BTreeMap;

use anyhow::Result;

use super::diagnostics::{Layers, Observer, alignment, source_scores};
use super::evaluate::Split;
use super::features::{BUDGET_BYTES, Features};
use super::fine_tune::Bench;
use crate::record::diagnostics::{Source, VERSION};

/// What is known of the model before training. It is looked at when training is over, so that a resumed run has it too.
pub struct Comparison<'a> {
    observer: Observer<'a>,
    /// Encoder layers below the first that trained.
    boundary: usize,
    source: Split<'a>,
    layers: [Layers; 2],
    scores: Option<BTreeMap<String, f64>>,
}

impl<'a> Comparison<'a> {
    /// Puts the weights from before training into the model and looks.
    pub fn before(bench: &mut Bench<'a>) -> Result<Self> {
        let Bench { session, pretrained, material, .. } = *bench;
        bench.restore_pretrained()?;
        let observer = Observer::new(session, pretrained, material);
        let unfrozen = session.spec.recipe.training.unfrozen_vision_layers;
        let boundary = pretrained.config.vision.num_hidden_layers - unfrozen;
        let examples = &material.dataset.source;
        let features = Features::new(examples, pretrained, &session.device, boundary, BUDGET_BYTES / 8);
        let mut source = observer.source_split(material, features);
        let layers = observer.both_layers(&bench.observer)?;
        let scores = if observer.has_source() {
            Some(source_scores(session, &mut bench.speaker(0), &mut source, material)?)
        } else {
            None
        };
        Ok(Self { observer, boundary, source, layers, scores })
    }

    /// Looks at what is in the model now, which is that of `epoch`, and writes down what changed.
    pub fn after(mut self, bench: &mut Bench<'a>, epoch: usize) -> Result<()> {
        let Bench { session, material, .. } = *bench;
        let (known, source) = (&mut bench.validation.features, &mut self.source.features);
        let tuned =
            self.observer.tuned_layers(&bench.observer, self.boundary, &self.layers, known, source)?;
        session.directory.write_diagnostic(&alignment(&self.layers, &tuned))?;
        if let Some(before) = self.scores {
            let images = self.source.observed.len();
            let after = source_scores(session, &mut bench.speaker(epoch), &mut self.source, material)?;
            session.directory.write_diagnostic(&Source { v: VERSION, images, before, after: Some(after) })?;
        }
        Ok(())
    }
}
