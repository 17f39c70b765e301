//! The sweep file: YAML in, [`SweepSpec`] out, or every problem in it with line and column.
//!
//! [`yaml`] turns text into a tree whose nodes know their places, [`draft`] reads the tree and the command
//! line's overrides key by key, [`sweep`] puts the parts together on top of a [`preset`]. What settings
//! there are, and which values they take, is one table in [`setting`].

pub mod architecture;
mod data;
mod draft;
mod limits;
mod overrides;
mod position;
pub mod preset;
pub mod problem;
pub mod setting;
pub mod sweep;
mod yaml;

#[cfg(test)]
mod tests;

pub use architecture::Architecture;
pub use preset::Preset;
pub use problem::SpecError;
pub use setting::Setting;
pub use sweep::{Axis, Method, OnFailure, References, SweepSpec, load, parse, parse_bytes, read};
