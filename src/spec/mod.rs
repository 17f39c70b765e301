//! The sweep file: YAML in, [`SweepSpec`] out, or every problem in it with line and column.
//!
//! [`yaml`] turns text into a tree whose nodes know their places, [`draft`] reads the tree and the command
//! line's overrides key by key, [`sweep`] puts the parts together on top of a [`preset`]. What settings
//! there are, which values they take and what they mean, is one [`table`]; [`search`] draws values at random, [`bayes`] says what a search learns
//! over.

pub mod architecture;
pub mod bayes;
mod condition;
mod constraints;
mod data;
mod distribution;
mod draft;
pub mod early_terminate;
mod extends;
pub mod failures;
pub mod launcher;
mod limits;
mod overrides;
mod parameter;
mod position;
pub mod preset;
pub mod problem;
pub mod schema;
mod search;
pub mod setting;
pub mod sweep;
mod table;
pub mod variables;
mod yaml;

#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod tests;

pub use architecture::Architecture;
pub use bayes::Bayes;
pub use condition::Condition;
pub use constraints::Pattern;
pub use early_terminate::EarlyTerminate;
pub use failures::OnFailure;
pub use launcher::Launcher;
pub use preset::Preset;
pub use problem::SpecError;
pub use setting::Setting;
pub use sweep::{Axis, Method, References, SweepSpec, load, parse, parse_bytes, read};
