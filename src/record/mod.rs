//! Plain values that the stages hand to each other, and the only code that knows the files they live in.
//!
//! [`Recipe`] -> [`RunSpec`] (planned) -> [`Event`]s (while it runs) -> [`RunRecord`] (the fold).

pub mod amount;
pub mod audit;
mod beam_stopping;
pub mod bounded;
pub mod config;
pub mod diagnostics;
pub mod disk;
pub mod event;
mod files;
pub mod folder;
mod fold;
pub mod grouping;
pub mod image_use;
pub mod invocation;
pub mod journal;
pub mod memory;
pub mod pairing;
pub mod recipe;
pub mod rounds;
pub mod run;
pub mod search;
pub mod store;
pub mod submissions;
mod training;
mod upkeep;
mod versioned;

pub use event::{Event, Line, Status};
pub use journal::Journal;
pub use recipe::Recipe;
pub use run::{RunRecord, RunSpec};
pub use store::{ReportDir, RunDir, Store, SweepDir};
