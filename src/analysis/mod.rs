//! Statistics of a sweep: pure functions from plain numbers to plain numbers.
//!
//! Nothing here knows files, tables or words, and all randomness is counter-based, so that the same numbers
//! give the same result everywhere.

pub mod agreement;
pub mod attributes;
pub mod audit;
pub mod bootstrap;
pub mod cases;
pub mod check;
pub mod correlation;
pub mod detectable;
pub mod diagnosis;
pub mod distributions;
pub mod expected_best;
pub mod failures;
pub mod generalisation_gap;
pub mod importance;
pub mod lexicon;
pub mod memorisation;
pub mod overfit_onset;
pub mod overfitting;
pub mod pairing;
pub mod picture_use;
pub mod proportions;
pub mod proposal;
pub mod randomisation;
#[cfg(test)]
mod reference_test;
pub mod replication;
pub mod resampled_bleu;
pub mod selection;
pub mod text_domain;
pub mod winner;

pub use bootstrap::{Interval, RESAMPLES, mean_intervals};
pub use cases::{Case, CaseRule, choose_cases};
pub use overfitting::{LossPoint, OVERFIT_RISE, Overfitting, overfitting};
