//! Scores of captions against references: METEOR, ROUGE-L, CIDEr-D and BLEU. Pure functions of strings.
//!
//! [`score`] is the way in. Two conventions are offered, for published numbers differ by their preparation
//! of text as much as by their models; each is checked against the Python packages it is named after.

mod bleu;
mod cider;
mod corpus;
mod lcs;
mod medoid;
mod meteor;
mod ngrams;
mod porter;
#[cfg(test)]
mod reference_test;
mod rouge;
mod scores;
mod tokenize;
pub mod wordnet;

pub use bleu::BleuCounts;
pub use medoid::medoid;
pub use meteor::meteor_variant;
pub use scores::{ImageScores, Item, Scores, VERSION, bleu_counts, mean_score, score};
pub use tokenize::alphanumeric_words;

pub(crate) use corpus::WordId;
pub(crate) use lcs::Pattern;
