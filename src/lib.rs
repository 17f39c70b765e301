//! Plans, runs and reports experiment sweeps that fine-tune BLIP image captioners.
//!
//! planner ([`spec`], [`plan`]) -> executor ([`run`], [`train`]) -> reporter ([`analysis`], [`report`]), joined
//! by the plain values and files of [`record`]. Modules are listed in reading order; each uses only those below
//! it, which a test keeps true.

pub mod cli;
pub mod report;
pub mod analysis;
pub mod cluster;
pub mod run;
pub mod lab;
pub mod hub;
pub mod train;
pub mod model;
pub mod data;
pub mod score;
pub mod plan;
pub mod spec;
pub mod record;
pub mod random;
pub mod normal;
