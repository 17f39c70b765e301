//! Captions of evaluations that are not over, so that a run which is cut off need not say them again.
//!
//! Captioning takes most of an evaluation's time, and each caption depends on nothing but the model and its image. What
//! was said so far is kept beside the checkpoint, as often as that would be saved, and belongs to it: captions are taken
//! up again only on the very checkpoint that they were said with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Session;
use super::origin::Origin;
use super::pace::Pace;
use crate::model::GeneratedCaption;
use crate::record::store::{remove_file, write_atomic};

/// The captions said so far.
pub struct Partial {
    path: PathBuf,
    origin: Origin,
    /// Optimizer steps of the checkpoint that they belong to; `None` while the model is ahead of it.
    step: Option<usize>,
    rows: BTreeMap<Key, GeneratedCaption>,
    pace: Pace,
}

/// A model's epoch, a split, and the index of an example in it.
type Key = (usize, String, usize);

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    origin: Origin,
    step: usize,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    epoch: usize,
    split: String,
    index: usize,
    ids: Vec<u32>,
    /// Absent for minus infinity, which JSON has no word for.
    score: Option<f64>,
}

impl Row {
    fn packed(((epoch, split, index), said): (&Key, &GeneratedCaption)) -> Self {
        let score = Some(f64::from(said.score)).filter(|score| score.is_finite());
        Self { epoch: *epoch, split: split.clone(), index: *index, ids: said.ids.clone(), score }
    }

    fn unpacked(self) -> (Key, GeneratedCaption) {
        let score = self.score.map_or(f32::NEG_INFINITY, |score| score as f32);
        ((self.epoch, self.split, self.index), GeneratedCaption { ids: self.ids, score })
    }
}

impl Partial {
    /// Nothing yet.
    pub fn new(session: &Session, origin: &Origin) -> Self {
        Self {
            path: session.directory.partial_captions(),
            origin: origin.clone(),
            step: None,
            rows: BTreeMap::new(),
            pace: Pace::new(session.checkpoint_every),
        }
    }

    /// Takes up what was said on the checkpoint of `step`; nothing where the file is of another one or cannot be
    /// understood: then it is said again.
    pub fn take_up(&mut self, step: usize) -> Result<()> {
        let kept = read(&self.path)?.filter(|kept| kept.origin == self.origin && kept.step == step);
        self.step = Some(step);
        self.rows = kept.map_or_else(Vec::new, |kept| kept.rows).into_iter().map(Row::unpacked).collect();
        Ok(())
    }

    /// What the model of `epoch` said of an image.
    pub fn said(&self, epoch: usize, split: &str, index: usize) -> Option<&GeneratedCaption> {
        self.rows.get(&(epoch, split.to_owned(), index))
    }

    /// Takes captions in, and keeps all of them if it is time to.
    pub fn add(
        &mut self,
        epoch: usize,
        split: &str,
        said: impl Iterator<Item = (usize, GeneratedCaption)>,
    ) -> Result<()> {
        self.rows.extend(said.map(|(index, caption)| ((epoch, split.to_owned(), index), caption)));
        if self.pace.is_due() { self.keep() } else { Ok(()) }
    }

    /// Puts what was said on the disk, if there is a checkpoint that it belongs to.
    pub fn keep(&mut self) -> Result<()> {
        let Some(step) = self.step.filter(|_| !self.rows.is_empty()) else { return Ok(()) };
        let rows = self.rows.iter().map(Row::packed).collect();
        let kept = Kept { origin: self.origin.clone(), step, rows };
        write_atomic(&self.path, &serde_json::to_vec(&kept)?)?;
        self.pace.restart();
        Ok(())
    }

    /// An evaluation begins; `step` is that of the checkpoint if the model is the checkpoint's.
    pub fn begin(&mut self, step: Option<usize>) {
        self.step = step;
        self.pace.restart();
    }

    /// The evaluation is over, and what it came to is kept elsewhere.
    pub fn clear(&mut self) -> Result<()> {
        self.rows.clear();
        Ok(remove_file(&self.path)?)
    }
}

fn read(path: &Path) -> Result<Option<Kept>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => {
            let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
            Ok(serde_json::from_slice(&bytes).ok())
        }
    }
}
