//! The page: a view of finished text, laid out by the templates in `assets/report/`.
//!
//! Templates hold no logic but loops and presence; every number in the view was formatted from the tables.

mod audit_section;
mod card;
mod cases_section;
mod domain_section;
mod leaderboard;
mod rating_section;
mod setup;
mod verdict;
mod view;

pub use card::image_folder;
pub use leaderboard::name as run_name;
pub use verdict::{Statement, verdict};
pub use view::render;
