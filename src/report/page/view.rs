//! All that the template shows.

use askama::Template;

use super::audit_section::{AuditSection, audit_section};
use super::calls::{calls, calls_in_words};
use super::cases_section::{CasesSection, cases_section};
use super::copies_section::{CopiesSection, copies_section};
use super::cost_section::{CostSection, cost_section};
use super::domain_section::{DomainSection, domain_section};
use super::leaderboard::leaderboard;
use super::overfitting_section::{OverfittingSection, overfitting_section};
use super::rating_section::{RatingSection, rating_section};
use super::seeds_section::{SeedsSection, seeds_section};
use super::setup;
use super::verdict::{Statement, verdict};
use crate::record::recipe::Kind;
use crate::report::figures::Figures;
use crate::report::findings::{Findings, Study};
use crate::report::format::plural;
use crate::report::gather::RowKind;
use crate::report::metrics::metric_name;
use crate::report::rating::People;
use crate::report::tables::schema::{ATTRIBUTES, AUDIT, CAPTIONS, Meaning, RUNS, STEPS};
use crate::report::text_table::Table;
use crate::score::meteor_variant;

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    sweep: &'a str,
    summary: String,
    version: &'static str,
    style: &'static str,
    script: &'static str,
    /// What orders the runs.
    ranked_by: &'static str,
    /// The rules of scoring, by name.
    conventions: String,
    meteor_variant: &'static str,
    verdict: Vec<Statement>,
    contradictions: Vec<String>,
    audit: Option<AuditSection>,
    overfitting: Option<OverfittingSection>,
    copies: Option<CopiesSection>,
    domain: Option<DomainSection>,
    people: Option<RatingSection>,
    leaderboard: Table,
    has_small_decoder: bool,
    seeds: Option<SeedsSection>,
    figures: &'a Figures,
    cases: Option<CasesSection>,
    cost: Option<CostSection>,
    trained: Table,
    common_settings: Table,
    origins: Table,
    calls: Table,
    calls_in_words: String,
    incomplete: Table,
    left_out: Vec<&'a String>,
    /// What the columns of each table mean.
    tables: [(&'static str, &'static [Meaning]); 5],
}

/// The page as HTML.
pub fn render(
    study: &Study,
    findings: &Findings,
    figures: &Figures,
    people: &People,
) -> anyhow::Result<String> {
    let page = Page {
        sweep: &study.sweep.name,
        summary: summary(study),
        version: env!("CARGO_PKG_VERSION"),
        style: super::STYLE,
        script: super::SCRIPT,
        ranked_by: metric_name(study.ranked_by),
        conventions: study.conventions(),
        meteor_variant: meteor_variant(),
        verdict: verdict(study, findings),
        contradictions: setup::contradictions(study),
        audit: audit_section(study, findings),
        overfitting: overfitting_section(study, findings),
        copies: copies_section(study, findings),
        domain: domain_section(study, findings),
        people: people.evaluation.as_ref().map(rating_section),
        leaderboard: leaderboard(study),
        has_small_decoder: study.rows.iter().any(|row| row.kind == RowKind::Run(Kind::SmallDecoder)),
        seeds: findings.seeds.as_ref().map(|seeds| seeds_section(study, seeds)),
        figures,
        cases: cases_section(study, findings),
        cost: cost_section(study, findings),
        trained: setup::trained(study),
        common_settings: setup::common_settings(study),
        origins: setup::origins(study),
        calls: calls(study),
        calls_in_words: calls_in_words(study),
        incomplete: setup::incomplete(study),
        left_out: study.sweep.left_out.iter().chain(&people.left_out).collect(),
        tables: [
            ("runs", RUNS),
            ("steps", STEPS),
            ("captions", CAPTIONS),
            ("attributes", ATTRIBUTES),
            ("audit", AUDIT),
        ],
    };
    Ok(page.render()?)
}

fn summary(study: &Study) -> String {
    let fine_tuned = study.fine_tuned().count();
    let references = study.rows.len() - fine_tuned;
    // One that was stopped in favour of better ones is complete, but listed with its reason.
    let complete = study.rows.iter().filter(|row| row.is_complete() && row.status != "pruned").count();
    format!(
        "{} and {}; {complete} of {} came to a regular end.",
        plural(fine_tuned, "fine-tuned run"),
        plural(references, "reference run"),
        study.rows.len()
    )
}
