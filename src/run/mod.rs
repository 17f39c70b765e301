//! The executor: runs what is missing of a plan, each run in a process of its own.
//!
//! [`execute::execute`] reads like the story: see what is missing, check the
//! inputs, download models, try one step, freeze the plan, share the machine out, dispatch. [`policy`] says which runs are
//! tried again and when a sweep gives up. The parent never trains. A run's process ([`worker`]) appends to its own journal and
//! says the same lines on its standard output; the parent only listens, and what it knows of a run after all is what
//! the journal says. The seam between the two is [`launcher::Launcher`].

pub mod cache;
pub mod devices;
pub mod dispatch;
pub mod download;
mod earlier;
mod ending;
pub mod execute;
mod heirs;
mod inbox;
pub mod inputs;
pub mod label;
pub mod launcher;
pub mod leaderboard;
pub mod lease;
mod log;
pub mod outcome;
pub mod part;
pub mod policy;
pub mod preflight;
pub mod prepare;
pub mod process;
pub mod progress;
pub mod prune;
pub mod resolve;
pub mod resources;
mod room;
pub mod rounds;
pub mod rungs;
pub mod search;
pub mod share;
pub mod signals;
pub mod survey;
mod told;
pub mod worker;

pub use execute::{Options, execute};
pub use outcome::Outcome;
pub use policy::Policy;
