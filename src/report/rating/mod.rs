//! Captions judged by people: the page on which they do it, the files it gives, and what these say.
//!
//! ```text
//! system      whose captions
//! sheet       which pictures in which order, and whose caption stands where
//! page        the sheet as one file for any browser
//! file        what one person exported from it
//! ratings     all of these, joined: who thinks what of which caption
//! evaluation  means, preference, agreement, relation to the metrics
//! people      all of it for one sweep
//! ```
//!
//! Raters see neither runs nor file names. A sheet is the same for the same runs.

mod evaluation;
mod file;
mod page;
mod people;
mod ratings;
mod sheet;
mod system;
#[cfg(test)]
mod tests;

pub use evaluation::{Agreement, Evaluation, Rated, Relation, evaluate};
pub use file::{RatingFile, RatingFileError};
pub use page::render;
pub use people::{People, check_sweeps, write_page};
pub use ratings::{Opinion, Ratings};
pub use sheet::Sheet;
pub use system::{System, default_systems, systems};
