//! What a report says, as one JSON document for programs: `sweep report --format json`.
//!
//! The document has `v` ([`VERSION`]) and `reports`, one a sweep. `runs` and `audit` are the rows of these tables, with
//! the tables' column names; all numbers are theirs.

use serde::Serialize;

use super::findings::Findings;
use super::page::Statement;
use super::rating::Evaluation;
use super::tables::{Rows, Tables};
use crate::record::ReportDir;

/// Rises whenever a reader of the old form could be misled.
pub const VERSION: u64 = 1;

/// The whole document.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    pub v: u64,
    /// Version of this program.
    pub program: &'static str,
    pub reports: Vec<&'a SweepReport>,
}

/// A report on one sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepReport {
    pub sweep: String,
    /// The metric that orders the runs: its column in `runs`.
    pub ranked_by: &'static str,
    /// The statements of the page's first section, in their order.
    pub verdict: Vec<Said>,
    /// Why the captions are no better, by name, the worst cause first.
    pub causes: Vec<&'static str>,
    /// The rows of the `runs` table, best first.
    pub runs: Rows,
    /// The rows of the `audit` table, the worst finding first.
    pub audit: Rows,
    /// The rows of the `settings` table, the best first, where any settings have several seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Rows>,
    /// What people say of the captions, where they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<Evaluation>,
    /// What was left out and why, a sentence each.
    pub left_out: Vec<String>,
    /// Paths of what was written, as the output folder was named.
    pub files: Vec<String>,
}

/// A statement of the verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Said {
    pub topic: &'static str,
    pub text: String,
    /// Lines for the sweep file; absent where there is nothing to paste.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub paste: String,
}

impl SweepReport {
    pub fn new(
        tables: &Tables,
        findings: &Findings,
        statements: Vec<Statement>,
        dir: &ReportDir,
        charts: &[&'static str],
    ) -> Self {
        let said = |said: Statement| Said { topic: said.topic, text: said.text, paste: said.paste };
        let pages = std::iter::once(dir.index());
        let tables_of = tables.frames().into_iter().flat_map(|(name, _)| [dir.csv(name), dir.parquet(name)]);
        let files = pages.chain(tables_of).chain(charts.iter().map(|name| dir.chart(name)));
        Self {
            sweep: String::new(),
            ranked_by: tables.ranked_by.name(),
            verdict: statements.into_iter().map(said).collect(),
            causes: findings.diagnosis.iter().map(|diagnosis| diagnosis.cause.name()).collect(),
            runs: Rows(tables.runs.clone()),
            audit: Rows(tables.audit.clone()),
            settings: None,
            people: None,
            left_out: Vec::new(),
            files: files.map(|path| path.display().to_string()).collect(),
        }
    }
}
