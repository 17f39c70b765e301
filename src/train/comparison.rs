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
    /// Whether the weights from before training were put into the model for it.
    pub has_put_back: bool,
}

impl<'a> Comparison<'a> {
    /// Looks with the weights from before training. They are put into the model only where other runs on the same images have
    /// not left all there is to see.
    pub fn before(bench: &mut Bench<'a>) -> Result<Self> {
        let Bench { session, pretrained, material, .. } = *bench;
        let observer = Observer::new(session, pretrained, material);
        let known = if observer.has_source() { None } else { observer.known_layers() };
        let has_put_back = known.is_none();
        if has_put_back {
            bench.restore_pretrained()?;
        }
        let unfrozen = session.spec.recipe.training.unfrozen_vision_layers;
        let boundary = pretrained.config.vision.num_hidden_layers - unfrozen;
        let examples = &material.dataset.source;
        let features = Features::new(examples, pretrained, &session.device, boundary, BUDGET_BYTES / 8);
        let mut source = observer.source_split(material, features);
        let layers = match known {
            Some(known) => known,
            None => observer.both_layers(&bench.observer)?,
        };
        let scores = if observer.has_source() {
            Some(source_scores(session, &mut bench.speaker(0), &mut source, material)?)
        } else {
            None
        };
        Ok(Self { observer, boundary, source, layers, scores, has_put_back })
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
