//! What the model says before training: the same in every run of a sweep, so it is said once and kept in the feature
//! cache, as a state is.

use candle_transformers::models::blip_text::Config;

use super::shared_states::{SharedStates, of_parts};
use crate::data::feature_cache::{ImageDigest, Key};
use crate::model::GeneratedCaption;
use crate::model::beam::BeamSettings;

/// The captions of images by one model and one way to generate.
#[derive(Clone)]
pub struct SharedCaptions {
    states: SharedStates,
    key: Key,
    /// Values of a caption: its score, how many tokens it has, these, and zeros up to the longest there may be. As `f32`
    /// all of them are exact.
    values: usize,
}

impl SharedCaptions {
    /// Those of the model whose decoder has this digest and configuration.
    pub fn new(states: &SharedStates, text: &str, config: &Config, settings: &BeamSettings) -> Self {
        // Version 1 did not round a decoder's products.
        let form = format!("captions 2 {config:?} {settings:?}");
        let key = of_parts(&[form.as_bytes(), &states.key_of_finished(), text.as_bytes()]);
        Self { states: states.clone(), key, values: 2 + settings.max_length }
    }

    /// What was said of these images, if it is known of all.
    pub fn said(&self, images: &[Option<ImageDigest>]) -> Option<Vec<GeneratedCaption>> {
        let said = |image: &Option<ImageDigest>| {
            let values = self.states.read_under(&self.key, self.values, image.as_ref()?)?;
            unpacked(&values)
        };
        images.iter().map(said).collect()
    }

    /// Keeps what was said of images.
    pub fn keep(&self, images: &[Option<ImageDigest>], said: &[GeneratedCaption]) {
        let row = |(image, said): (&Option<ImageDigest>, &GeneratedCaption)| {
            Some(((*image)?, packed(said, self.values)?))
        };
        let rows: Vec<(ImageDigest, Vec<f32>)> = images.iter().zip(said).filter_map(row).collect();
        self.states.write_under(&self.key, &rows);
    }
}

/// Nothing where a caption does not fit.
fn packed(said: &GeneratedCaption, values: usize) -> Option<Vec<f32>> {
    let mut packed = vec![said.score, said.ids.len() as f32];
    packed.extend(said.ids.iter().map(|id| *id as f32));
    let is_exact = said.ids.iter().all(|id| *id < 1 << f32::MANTISSA_DIGITS);
    (packed.len() <= values && is_exact).then(|| {
        packed.resize(values, 0.0);
        packed
    })
}

fn unpacked(values: &[f32]) -> Option<GeneratedCaption> {
    let (score, rest) = values.split_first()?;
    let (count, ids) = rest.split_first()?;
    let ids = ids.get(..*count as usize)?.iter().map(|id| *id as u32).collect();
    Some(GeneratedCaption { ids, score: *score })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_comes_back_as_it_was() {
        for (ids, score) in
            [(vec![], f32::NEG_INFINITY), (vec![30522, 0, (1 << 24) - 1], -1.234_567_8), (vec![7; 20], 0.1)]
        {
            let said = GeneratedCaption { ids, score };
            let values = packed(&said, 22).unwrap();
            assert_eq!(values.len(), 22);
            assert_eq!(unpacked(&values).unwrap(), said);
        }
        assert_eq!(packed(&GeneratedCaption { ids: vec![7; 21], score: 0.0 }, 22), None);
        assert_eq!(packed(&GeneratedCaption { ids: vec![1 << 24], score: 0.0 }, 22), None);
        assert_eq!(unpacked(&[0.0, 3.0, 1.0]), None, "fewer tokens than it says");
    }
}
