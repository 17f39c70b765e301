//! Reports: from the files of a sweep to a page, pictures and tables that answer its question.
//!
//! ```text
//! gather    files -> SweepData
//! others    captions of other systems -> SweepData, as if runs had recorded them
//! tables    SweepData -> Polars frames -> plain rows; CSV and Parquet
//! findings  rows and per-image scores -> what won, by how much, what overfits
//! seeds     rows and per-image scores -> settings in the mean over their seeds
//! figures   rows -> charts with captions and tables; drawn by charts/ as SVG and PNG
//! page      all of it in words -> HTML
//! rating    captions judged by people: a page to do it on, and what its files say
//! document  the same for programs -> JSON
//! ```
//!
//! [`write`] is the way in. Reports need neither model nor GPU, work on unfinished and broken runs, say what
//! they left out, and are the same bytes for the same runs.

mod attribution;
mod bleu;
pub mod charts;
mod comparison;
mod contest;
mod data_size;
mod cost;
mod diagnosis;
mod document;
#[cfg(test)]
mod example_fates;
#[cfg(test)]
mod example_pictures;
#[cfg(test)]
mod example_runs;
mod figures;
mod findings;
mod format;
mod gather;
pub mod metrics;
mod others;
mod page;
mod rating;
mod seeds;
mod settings;
mod side_by_side;
mod tables;
mod text_table;
mod thumbnail;
mod training_texts;
mod write;

pub use document::{Document, SweepReport, VERSION};
pub use others::OtherSystem;
pub use rating::{RatingFile, RatingFileError};
pub use write::{NoSuchRuns, Options, Written, write};
