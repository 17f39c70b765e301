//! Fills the feature cache with the states that a pass over images will want, together with other processes that want
//! the same.

use std::collections::{BTreeSet, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::Tensor;

use super::Session;
use super::features::{ENCODE_BATCH, Features};
use super::shared_states::SharedStates;
use crate::data::feature_cache::{Claim, ImageDigest, shard_images};
use crate::model::Blip;

/// How often it is looked whether another process is done with what it has claimed.
const POLL: Duration = Duration::from_millis(20);
/// Who has claimed images for longer than this is not waited for: it may hang. They are encoded twice then.
const PATIENCE: Duration = Duration::from_secs(300);

/// An image by its index among the examples.
type Wanted = (usize, ImageDigest);

impl Features<'_> {
    /// Sees to it that the states of these examples are in the feature cache, where there is one and it takes them.
    /// `model` has the pretrained weights below the boundary.
    ///
    /// # Errors
    /// Those of encoding, and [`super::Stopped`].
    pub fn prepare(&mut self, session: &Session, model: &Blip, indices: &[usize]) -> Result<()> {
        let Some(shared) = self.pretrained.states.clone() else { return Ok(()) };
        let began = Instant::now();
        let before = self.encoded;
        let filled = self.fill(session, &shared, model, indices);
        shared.tell(session);
        if self.encoded > before {
            let (count, layer) = (self.encoded - before, self.boundary);
            let seconds = began.elapsed().as_secs_f64();
            session.say(&format!("encoded {count} images up to vision layer {layer} in {seconds:.1} s"));
        }
        filled
    }

    fn fill(
        &mut self,
        session: &Session,
        shared: &SharedStates,
        model: &Blip,
        indices: &[usize],
    ) -> Result<()> {
        let mut seen = HashSet::new();
        let images = indices.iter().copied().zip(self.images(indices));
        let wanted: Vec<Wanted> = images
            .filter_map(|(index, image)| {
                image.filter(|image| seen.insert(*image)).map(|image| (index, image))
            })
            .collect();
        if self.missing(shared, &wanted).is_empty() {
            return Ok(());
        }
        let config = &self.pretrained.config;
        let state_bytes = config.image_tokens() * config.vision.hidden_size * size_of::<f32>();
        let mut busy = Vec::new();
        for chunk in wanted.chunks(shard_images(state_bytes, ENCODE_BATCH)) {
            session.go_on()?;
            if !self.fill_chunk(shared, model, chunk, false)? {
                busy.push(chunk);
            }
        }
        for chunk in busy {
            let began = Instant::now();
            loop {
                session.go_on()?;
                if self.fill_chunk(shared, model, chunk, began.elapsed() > PATIENCE)? {
                    break;
                }
                thread::sleep(POLL);
            }
        }
        Ok(())
    }

    fn missing(&self, shared: &SharedStates, wanted: &[Wanted]) -> Vec<Wanted> {
        let images: Vec<ImageDigest> = wanted.iter().map(|(_, image)| *image).collect();
        let missing: BTreeSet<ImageDigest> = shared.missing(self.boundary, &images).into_iter().collect();
        let is_missing = |(_, image): &&Wanted| missing.contains(image);
        wanted.iter().filter(is_missing).copied().collect()
    }

    /// Encodes what is missing of a chunk. False where another process is at it, unless `must`.
    fn fill_chunk(
        &mut self,
        shared: &SharedStates,
        model: &Blip,
        chunk: &[Wanted],
        must: bool,
    ) -> Result<bool> {
        if !shared.is_open() || self.missing(shared, chunk).is_empty() {
            return Ok(true);
        }
        let images: Vec<ImageDigest> = chunk.iter().map(|(_, image)| *image).collect();
        let claim = shared.claim(self.boundary, &images);
        if matches!(claim, Claim::Busy) && !must {
            return Ok(false);
        }
        // Whoever had claimed the chunk until now has filled it.
        let missing = self.missing(shared, chunk);
        if !missing.is_empty() {
            self.encode_chunk(shared, model, &missing)?;
        }
        Ok(true)
    }

    /// Encodes images from the highest level that all of them have a state at, and keeps their states at each level that
    /// is passed and that some run wants.
    fn encode_chunk(&mut self, shared: &SharedStates, model: &Blip, missing: &[Wanted]) -> Result<()> {
        let images: Vec<ImageDigest> = missing.iter().map(|(_, image)| *image).collect();
        let start = shared.highest_below(self.boundary, &images);
        let levels: Vec<usize> = shared
            .levels(self.boundary)
            .into_iter()
            .filter(|level| start.is_none_or(|s| s < *level))
            .collect();
        let mut rows: Vec<Vec<(ImageDigest, Vec<f32>)>> = vec![Vec::new(); levels.len()];
        for batch in missing.chunks(ENCODE_BATCH) {
            let began = Instant::now();
            let from_level = match start {
                Some(level) => self.read_level(shared, level, batch)?.map(|state| (state, level)),
                None => None,
            };
            let (mut state, mut at) = match from_level {
                Some(from_level) => from_level,
                None => {
                    let indices: Vec<usize> = batch.iter().map(|(index, _)| *index).collect();
                    (model.vision_model.encode(&self.pixels(&indices)?, 0)?.detach(), 0)
                }
            };
            for (level, rows) in levels.iter().zip(&mut rows) {
                state = model.vision_model.advance(&state, at, *level)?.detach();
                at = *level;
                for (row, (_, image)) in batch.iter().enumerate() {
                    rows.push((*image, state.get(row)?.flatten_all()?.to_vec1::<f32>()?));
                }
            }
            self.encoded += batch.len();
            shared.add_time(began.elapsed());
        }
        for (level, rows) in levels.iter().zip(&rows) {
            if !shared.write(*level, rows) && *level == self.boundary {
                self.keep_rows(missing, rows)?;
            }
        }
        Ok(())
    }

    /// The states of images at a lower level; `None` where one of them was damaged or went meanwhile.
    fn read_level(&self, shared: &SharedStates, level: usize, batch: &[Wanted]) -> Result<Option<Tensor>> {
        let config = &self.pretrained.config;
        let shape = [config.image_tokens(), config.vision.hidden_size];
        let states = batch.iter().map(|(_, image)| shared.read(level, image)).collect::<Option<Vec<_>>>();
        states.map(|states| self.batch(states.concat(), batch.len(), &shape)).transpose()
    }

    /// Keeps in memory what the cache did not take.
    fn keep_rows(&mut self, missing: &[Wanted], rows: &[(ImageDigest, Vec<f32>)]) -> Result<()> {
        let shape = (self.pretrained.config.image_tokens(), self.pretrained.config.vision.hidden_size);
        for (index, image) in missing {
            if let Some((_, values)) = rows.iter().find(|(other, _)| other == image) {
                let state = Tensor::from_vec(values.clone(), shape, &self.device)?;
                self.keep(*index, &state);
            }
        }
        Ok(())
    }
}
