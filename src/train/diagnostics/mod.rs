//! What needs the model to be known: how it sees the two domains, and what training changed and made it forget.
//!
//! [`Observer`] looks with a model at a fixed part of both domains' images; [`domain`] and [`alignment`] compare what
//! it saw. The measures themselves ([`cka`], [`mmd`], [`distance`], [`pairing`]) are pure functions of [`Vectors`].

pub mod cka;
pub mod distance;
#[cfg(test)]
mod fixtures;
mod linear;
pub mod mmd;
pub mod pairing;
pub mod vectors;

use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::Tensor;

use super::Session;
use super::evaluate::{self, Speaker, Split};
use super::features::Features;
use super::material::{Material, Pretrained};
use super::observed::chosen;
use super::shared_states::SharedStates;
use crate::data::Example;
use crate::model::Blip;
use crate::random::Random;
use crate::record::diagnostics::{Cka, CkaLayer, Domain, DomainLayer, VERSION};
use vectors::Vectors;

/// Random assignments that a p-value is of: the smallest one is one in 500.
const PERMUTATIONS: usize = 499;
/// At most this many images of each domain are compared with each other.
const MOST_COMPARED: usize = 256;
/// At most this many images of each domain are looked at before and after training.
const MOST_ALIGNED: usize = 128;
/// At most this many source images are captioned, and at most half as many as there are validation images: they are
/// captioned twice, and every epoch captions those.
const MOST_CAPTIONED: usize = 100;

/// Share of assignments at least as extreme, the one at hand counted with the random ones.
fn p_value(as_extreme: usize) -> f64 {
    (as_extreme + 1) as f64 / (PERMUTATIONS + 1) as f64
}

/// Mean patch features of images, one entry a boundary from 0 to the depth of the vision model.
pub type Layers = Vec<Vectors>;

/// The images that diagnostics look at, in a fixed order: the same for all runs on a data set.
pub struct Observer<'a> {
    session: &'a Session<'a>,
    pretrained: &'a Pretrained,
    target: &'a [Example],
    source: &'a [Example],
    target_order: Vec<usize>,
    source_order: Vec<usize>,
}

impl<'a> Observer<'a> {
    pub fn new(session: &'a Session<'a>, pretrained: &'a Pretrained, material: &'a Material) -> Self {
        let (target, source) = (&material.dataset.validation, &material.dataset.source);
        let order = |purpose, examples: &[Example]| {
            chosen(&session.inputs.data, purpose, examples.len(), examples.len())
        };
        Self {
            session,
            pretrained,
            target,
            source,
            target_order: order("observed validation images", target),
            source_order: order("observed source images", source),
        }
    }

    /// Whether source data are given.
    pub fn has_source(&self) -> bool {
        !self.source.is_empty()
    }

    /// The source examples as a split, evaluated on a fixed part of them.
    pub fn source_split(&self, material: &'a Material, features: Features<'a>) -> Split<'a> {
        let mut observed = self.source_order.clone();
        observed.truncate(MOST_CAPTIONED.min(self.target.len().div_ceil(2)));
        Split { observed, ..Split::whole("source", self.source, &material.source, features) }
    }

    /// How alike the domains look to the pretrained model; the losses are those of its evaluation.
    pub fn domain(&self, model: &Blip, target_nll: f64, source_nll: f64) -> Result<Domain> {
        let images = self.target.len().min(self.source.len()).min(MOST_COMPARED);
        let target = self.layers(model, self.target, &self.target_order[..images])?;
        let source = self.layers(model, self.source, &self.source_order[..images])?;
        let seed = self.session.inputs.data.validation.seed.unwrap_or_default();
        let layer = |(boundary, (target, source)): (usize, (&Vectors, &Vectors))| {
            let random = |purpose| Random::new(seed, purpose, &[boundary as u64]);
            let distance = distance::a_distance(target, source, &mut random("proxy A-distance"));
            let discrepancy = mmd::mmd(target, source, &mut random("maximum mean discrepancy"));
            DomainLayer {
                boundary,
                proxy_a_distance: distance.map(|distance| distance.value),
                classifier_error: distance.map(|distance| distance.error),
                classifier_p: distance.map(|distance| distance.p),
                mmd2: discrepancy.map(|discrepancy| discrepancy.squared),
                mmd2_p: discrepancy.map(|discrepancy| discrepancy.p),
            }
        };
        let layers = target.iter().zip(&source).enumerate().map(layer).collect();
        Ok(Domain { v: VERSION, images, layers, target_nll, source_nll })
    }

    /// What the model makes of the images that are looked at before and after training: of the target, of the source.
    pub fn both_layers(&self, model: &Blip) -> Result<[Layers; 2]> {
        let [target, source] = self.aligned();
        Ok([self.layers(model, self.target, target)?, self.layers(model, self.source, source)?])
    }

    /// The same of the model before training, where other runs have left all of it.
    pub fn known_layers(&self) -> Option<[Layers; 2]> {
        let [target, source] = self.aligned();
        let known = |examples: &'a [Example], images: &[usize]| -> Option<Layers> {
            let (_, rows) = self.shared_rows(examples, images)?;
            Some(in_layers(self.boundaries(), &rows.into_iter().collect::<Option<Vec<_>>>()?))
        };
        Some([known(self.target, target)?, known(self.source, source)?])
    }

    /// The same after training, from the states below the first layer that trained: up to there nothing changed.
    pub fn tuned_layers(
        &self,
        model: &Blip,
        boundary: usize,
        before: &[Layers; 2],
        target: &mut Features,
        source: &mut Features,
    ) -> Result<[Layers; 2]> {
        let [target_images, source_images] = self.aligned();
        let tuned = |features: &mut Features, images: &[usize], before: &Layers| {
            let mut layers = before.get(..=boundary).unwrap_or(before).to_vec();
            let rows = self.pooled(model, features, boundary, images)?;
            let boundaries = model.vision_model.depth() - boundary + 1;
            layers.extend(in_layers(boundaries, &rows).into_iter().skip(1));
            anyhow::Ok(layers)
        };
        Ok([tuned(target, target_images, &before[0])?, tuned(source, source_images, &before[1])?])
    }

    fn aligned(&self) -> [&[usize]; 2] {
        [&self.target_order, &self.source_order].map(|order| &order[..order.len().min(MOST_ALIGNED)])
    }

    /// The layers of the pretrained model, which other runs on the same images share.
    fn layers(&self, model: &Blip, examples: &'a [Example], images: &[usize]) -> Result<Layers> {
        let mut embedded = Features::new(examples, self.pretrained, &self.session.device, 0, 0);
        let Some((shared, mut rows)) = self.shared_rows(examples, images) else {
            return Ok(in_layers(self.boundaries(), &self.pooled(model, &mut embedded, 0, images)?));
        };
        let missing: Vec<usize> = (0..images.len()).filter(|place| rows[*place].is_none()).collect();
        let computed: Vec<usize> = missing.iter().map(|place| images[*place]).collect();
        for (place, row) in missing.iter().zip(self.pooled(model, &mut embedded, 0, &computed)?) {
            rows[*place] = Some(row);
        }
        let digest = |place: &usize| examples[images[*place]].digest;
        let new = missing.iter().filter_map(|place| Some((digest(place)?, rows[*place].clone()?)));
        shared.write_means(&new.collect::<Vec<_>>());
        Ok(in_layers(self.boundaries(), &rows.into_iter().flatten().collect::<Vec<_>>()))
    }

    /// Of each image what [`Observer::pooled`] made of it at all boundaries in another run, where any is shared.
    fn shared_rows(
        &self,
        examples: &[Example],
        images: &[usize],
    ) -> Option<(&SharedStates, Vec<Option<Vec<f32>>>)> {
        let shared = self.pretrained.states.as_ref()?;
        let values = self.boundaries() * self.pretrained.config.vision.hidden_size;
        let read = |index: &usize| shared.read_means(values, examples[*index].digest.as_ref()?);
        Some((shared, images.iter().map(read).collect()))
    }

    /// Below each layer, and above the last.
    fn boundaries(&self) -> usize {
        self.pretrained.config.vision.num_hidden_layers + 1
    }

    /// Of each image the mean patch features, one boundary behind the other from that of the states up. In batches of a
    /// fixed size, as features are encoded.
    fn pooled(
        &self,
        model: &Blip,
        features: &mut Features,
        boundary: usize,
        images: &[usize],
    ) -> Result<Vec<Vec<f32>>> {
        let mut rows = Vec::with_capacity(images.len());
        for images in images.chunks(super::features::ENCODE_BATCH) {
            self.session.go_on()?;
            let states = model.vision_model.states(&features.states(model, images)?, boundary)?;
            let means: Vec<Tensor> = states.iter().map(patch_means).collect::<candle_core::Result<_>>()?;
            rows.extend(Tensor::cat(&means, 1)?.to_vec2::<f32>()?);
        }
        Ok(rows)
    }
}

/// What an image's patches are on average: (images, width) of states (images, tokens, width).
pub fn patch_means(states: &Tensor) -> candle_core::Result<Tensor> {
    // The class token is no patch.
    states.narrow(1, 1, states.dim(1)? - 1)?.mean(1)
}

/// The features at each of so many boundaries, from all that is known of each image.
fn in_layers(boundaries: usize, rows: &[Vec<f32>]) -> Layers {
    let width = rows.first().map_or(1, |row| row.len() / boundaries);
    let at = |boundary: usize| rows.iter().flat_map(move |row| &row[boundary * width..][..width]);
    let vectors = |boundary| Vectors::new(width, at(boundary).copied().map(f64::from).collect());
    (0..boundaries).map(vectors).collect()
}

/// How alike both models see the same images.
pub fn alignment(before: &[Layers; 2], after: &[Layers; 2]) -> Cka {
    let at = |layers: &Layers, other: &Layers, boundary: usize| {
        cka::linear_cka(layers.get(boundary)?, other.get(boundary)?)
    };
    let [target_images, source_images] =
        [0, 1].map(|domain| before.get(domain).and_then(|layers| layers.first()).map_or(0, Vectors::len));
    let layers = (0..before[0].len()).map(|boundary| CkaLayer {
        boundary,
        target: at(&before[0], &after[0], boundary),
        source: at(&before[1], &after[1], boundary),
    });
    Cka { v: VERSION, target_images, source_images, layers: layers.collect() }
}

/// Loss and scores of what a model says of the source images.
pub fn source_scores(
    session: &Session,
    speaker: &mut Speaker,
    split: &mut Split,
    material: &Material,
) -> Result<BTreeMap<String, f64>> {
    let losses = evaluate::losses(session, speaker, split, material)?;
    let said = evaluate::captions(session, speaker, split, 0)?;
    let recipe = &session.spec.recipe;
    Ok(evaluate::summary_of(recipe, Some(&losses), &evaluate::scores(recipe, &said)))
}
