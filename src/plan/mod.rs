//! From a [`SweepSpec`](crate::spec::SweepSpec) to the runs it means. Pure: no files, no clock, no randomness.
//!
//! [`combinations`] puts values together, [`conditions`] keeps those of some parameters to where they vary, [`canonical`] drops settings that cannot matter, [`id`] names what is
//! left, and [`expand`] makes the plan of it: two combinations with the same id are one run. [`cost`] says what the runs will need, [`consistency`]
//! whether they generate captions as they train them; [`table`] and [`settings`] show the plan, [`difference`] two.
//! [`bayes`] finds the next points of a search.

pub mod bayes;
pub mod canonical;
mod combinations;
mod conditions;
pub mod consistency;
pub mod cost;
pub mod difference;
pub mod expand;
pub mod id;
pub mod parts;
pub mod rungs;
pub mod settings;
mod shuffled;
mod simple;
pub mod table;
pub mod work;

pub use cost::Facts;
pub use expand::{Merged, Plan, PlanError, expand};
