//! Trains and evaluates one run; knows nothing of sweeps.
//!
//! [`execute`] does what a [`RunSpec`] says, from files to files, and tells what happens as [`Event`]s.
//! Reading order: [`execute`], [`fine_tune`] (the recipe), [`evaluate`], [`references`].

mod average;
mod balance;
mod before;
pub mod calibration;
pub mod caption;
pub mod checkpoint;
pub mod chosen;
mod comparison;
pub mod controls;
pub mod device;
pub mod diagnostics;
mod divergence;
pub mod early_stopping;
pub mod evaluate;
pub mod execute;
pub mod features;
mod fill;
pub mod fine_tune;
pub mod heir;
pub mod image_use;
pub mod judged;
mod keeping;
pub mod loss_scale;
pub mod material;
mod moments;
pub mod nearest;
pub mod observed;
pub mod optimizer;
pub mod origin;
pub mod pace;
mod pairs;
pub mod partial;
pub mod preflight;
pub mod provenance;
pub mod references;
mod resume;
pub mod schedule;
pub mod shared_captions;
mod shared_losses;
pub mod shared_states;
pub mod small_decoder;
mod state;
mod step;
pub mod views;
pub mod wordings;

use std::path::PathBuf;
use std::time::Duration;

use crate::record::recipe::DataFiles;
use crate::record::store::RunDir;
use crate::record::{Event, RunSpec};

pub use device::{is_accelerator, lacks_its_accelerator, open_device};
pub use execute::{execute, forget};
pub use heir::Heir;
pub use preflight::{DeviceMemory, Preflight, preflight};
pub use shared_states::CacheUse;

/// Where a run's names lead: absolute paths.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// A model folder in the Hugging Face layout.
    pub model: PathBuf,
    pub data: DataFiles,
}

/// A run and what it may use.
pub struct Session<'a> {
    pub spec: &'a RunSpec,
    pub inputs: &'a Inputs,
    pub directory: &'a RunDir,
    pub device: candle_core::Device,
    pub device_name: String,
    pub threads: usize,
    /// How much work may be lost if the run is cut off; see [`pace::Pace`].
    pub checkpoint_every: Duration,
    /// The run saves a checkpoint and ends as interrupted after this epoch, if it has more; nothing of its result depends
    /// on that.
    pub until_epoch: Option<usize>,
    /// Who goes on where this run stops.
    pub heir: Option<Heir<'a>>,
    /// The feature cache; `None` goes without.
    pub cache: Option<CacheUse<'a>>,
    /// Asked again and again; true makes the run save a checkpoint and end as interrupted.
    pub stop: &'a dyn Fn() -> bool,
}

/// Receives what a run tells; an error from it ends the run.
pub type Emit<'a> = dyn FnMut(Event) -> anyhow::Result<()> + 'a;

/// The run was asked to stop; not a failure.
#[derive(Debug, thiserror::Error)]
#[error("stopped on request")]
pub struct Stopped;

impl Session<'_> {
    /// Fails with [`Stopped`] once the run was asked to stop.
    pub fn go_on(&self) -> Result<(), Stopped> {
        if (self.stop)() { Err(Stopped) } else { Ok(()) }
    }

    /// Writes what the user may want to know into the run's log, where it has one.
    fn say(&self, text: &str) {
        if let Some(cache) = &self.cache {
            (cache.say)(text);
        }
    }
}
