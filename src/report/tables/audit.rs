//! The `audit` table: a row a finding, the worst first, as the audit has them.

use polars::prelude::{DataFrame, PolarsResult};

use super::columns::{numbers, texts};
use crate::record::audit::{Audit, Finding, Unit};

/// The table; without rows where no audit was made.
pub fn audit_table(audit: Option<&Audit>) -> PolarsResult<DataFrame> {
    let findings: &[Finding] = audit.map_or(&[], |audit| &audit.findings);
    let columns = vec![
        texts("kind", findings, |finding| Some(finding.kind.name().to_owned())),
        texts("severity", findings, |finding| Some(finding.severity.name().to_owned())),
        numbers("number", findings, |finding| Some(finding.number)),
        texts("unit", findings, |finding| Some(unit_name(finding.unit).to_owned())),
        texts("meaning", findings, |finding| Some(finding.meaning.clone())),
        texts("setting", findings, |finding| Some(finding.remedy.as_ref()?.setting.clone())),
        texts("value", findings, |finding| Some(finding.remedy.as_ref()?.value.to_string())),
        texts("runs", findings, |finding| Some(finding.runs.join(" "))),
    ];
    DataFrame::new(findings.len(), columns)
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Share => "share",
        Unit::Count => "count",
        Unit::Points => "points",
    }
}
