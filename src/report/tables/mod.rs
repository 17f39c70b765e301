//! The tables of a report, as Polars frames, and what they say as plain values.
//!
//! [`Tables`] holds `runs` (a row a run), `steps` (a row an evaluated epoch), `captions` (a row a recorded caption),
//! `attributes` (a row a kind of attribute) and `audit` (a row a finding). Every number of the page is read back from them ([`RunRow`], [`StepRow`]), so that page, CSV and Parquet cannot disagree.

mod attributes;
mod audit;
mod captions;
mod columns;
mod copies;
mod facts;
mod overfit;
mod ratings;
mod rows;
mod runs;
mod save;
pub mod schema;
mod seeds;
mod steps;
mod values;

use polars::prelude::{DataFrame, PolarsResult};

pub use ratings::ratings_table;
pub use rows::{Origin, RunRow, StepRow, Trained};
pub use save::{remove, save, save_frame};
pub use seeds::settings_table;
pub use values::Rows;

use crate::record::recipe::MetricName;
use crate::report::gather::SweepData;

/// A sweep's tables.
pub struct Tables {
    /// Best run first.
    pub runs: DataFrame,
    /// In the order of `runs`, epochs ascending.
    pub steps: DataFrame,
    /// In the order of `runs`, captions as in the runs' files.
    pub captions: DataFrame,
    /// In the order of `runs`.
    pub attributes: DataFrame,
    /// As the audit has them, the worst first.
    pub audit: DataFrame,
    /// The metric that orders the runs.
    pub ranked_by: MetricName,
}

impl Tables {
    /// Every table with its name, which its files have too.
    pub fn frames(&self) -> [(&'static str, &DataFrame); 5] {
        [
            ("runs", &self.runs),
            ("steps", &self.steps),
            ("captions", &self.captions),
            ("attributes", &self.attributes),
            ("audit", &self.audit),
        ]
    }
}

/// Builds all tables.
pub fn build(sweep: &SweepData) -> PolarsResult<Tables> {
    let facts = facts::gather_facts(sweep);
    let ranked_by = ranking_metric(sweep);
    let runs = runs::runs_table(&facts, ranked_by)?;
    let (steps, (captions, attributes)) = rayon::join(
        || steps::steps_table(&facts, &runs),
        || {
            rayon::join(
                || captions::captions_table(&facts, &runs),
                || attributes::attributes_table(&facts, &runs, &sweep.lexicon),
            )
        },
    );
    let (steps, captions, attributes) = (steps?, captions?, attributes?);
    let audit = audit::audit_table(sweep.audit.as_ref())?;
    Ok(Tables { runs, steps, captions, attributes, audit, ranked_by })
}

/// The metric by which all runs chose their best epoch; the score where they differ.
fn ranking_metric(sweep: &SweepData) -> MetricName {
    let fine_tuned = sweep.runs.iter().filter(|run| run.kind.is_fine_tuned());
    MetricName::common(fine_tuned.map(|run| run.record.spec.recipe.early_stopping.metric))
}
