//! The page: a view of finished text, laid out by the templates in `assets/report/`.
//!
//! Templates hold no logic but loops and presence; every number in the view was formatted from the tables.

mod advice;
mod audit_section;
mod calls;
mod card;
mod cases_section;
pub mod compare;
mod cost_section;
mod copies_section;
mod domain_section;
mod leaderboard;
mod overfitting_section;
mod prose;
mod rating_section;
mod seeds_section;
mod setup;
mod simple;
mod verdict;
mod view;

pub use card::image_folder;
pub use verdict::{Statement, verdict};
pub use view::render;

const STYLE: &str = include_str!("../../../assets/report/style.css");
const SCRIPT: &str = concat!(
    include_str!("../../../assets/report/script.js"),
    include_str!("../../../assets/report/overlay.js")
);
