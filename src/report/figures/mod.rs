//! Figures: which numbers each chart shows, what its caption says, and the table that holds the same numbers.
//!
//! A [`Figure`] is finished text and pictures; the page only places it.

mod attribution;
mod axis_effects;
mod calibration;
mod data_size;
mod expected_best;
mod gaps;
mod heat_map;
mod importance;
mod learning_curves;
mod losses;
mod metrics;
mod parallel;
mod search;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use askama::Template;

pub use gaps::Gaps;

use super::charts::footed::Footed;
use super::charts::panels::Panels;
use super::charts::{Chart, png, svg};
use super::findings::{Findings, Study};
use super::tables::StepRow;
use super::text_table::Table;
use crate::score::meteor_variant;

/// A chart with its words and numbers.
#[derive(Template)]
#[template(path = "figure.html")]
pub struct Figure {
    /// Name of the PNG file without ending, and anchor in the page.
    pub name: &'static str,
    pub title: String,
    /// What to see.
    pub caption: String,
    /// One or several drawings, which the page arranges.
    pub drawings: Vec<String>,
    pub png: Vec<u8>,
    pub table: Table,
}

/// The figures of a report; absent where there is nothing to draw.
#[derive(Default)]
pub struct Figures {
    pub learning_curves: Option<Figure>,
    pub losses: Option<Figure>,
    pub calibration: Option<Figure>,
    /// Or why there is none, in a sentence.
    pub importance: Option<Result<Figure, String>>,
    pub axis_effects: Option<Figure>,
    pub heat_map: Option<Figure>,
    pub parallel: Option<Figure>,
    /// A table alone.
    pub gaps: Option<Gaps>,
    pub expected_best: Option<Figure>,
    pub metrics: Option<Figure>,
    pub data_size: Option<Figure>,
    pub search: Option<Figure>,
    pub attribution: Option<Figure>,
}

impl Figures {
    /// All figures that there may be.
    pub const NAMES: [&str; 12] = [
        metrics::NAME,
        learning_curves::NAME,
        losses::NAME,
        calibration::NAME,
        importance::NAME,
        axis_effects::NAME,
        heat_map::NAME,
        parallel::NAME,
        expected_best::NAME,
        search::NAME,
        data_size::NAME,
        attribution::NAME,
    ];

    /// All of them.
    pub fn draw(study: &Study, findings: &Findings, steps: &[StepRow]) -> anyhow::Result<Self> {
        Self::of_settings(study)?.with_runs(study, findings, steps)
    }

    /// Those that show what settings do, which need no findings.
    pub fn of_settings(study: &Study) -> anyhow::Result<Self> {
        let ((parallel, (importance, gaps)), ((expected_best, search), (axis_effects, heat_map))) =
            rayon::join(
                || {
                    rayon::join(
                        || parallel::figure(study),
                        || rayon::join(|| importance::figure(study), || gaps::gaps(study)),
                    )
                },
                || {
                    rayon::join(
                        || (expected_best::figure(study), search::figure(study)),
                        || rayon::join(|| axis_effects::figure(study), || heat_map::figure(study)),
                    )
                },
            );
        Ok(Self {
            parallel: parallel?,
            importance: importance?,
            gaps,
            expected_best: expected_best?,
            search: search?,
            axis_effects: axis_effects?,
            heat_map: heat_map?,
            ..Self::default()
        })
    }

    /// With those that show runs.
    pub fn with_runs(self, study: &Study, findings: &Findings, steps: &[StepRow]) -> anyhow::Result<Self> {
        let ((learning_curves, losses), (calibration, (metrics, (attribution, data_size)))) = rayon::join(
            || {
                rayon::join(
                    || learning_curves::figure(study, findings, steps),
                    || losses::figure(study, steps),
                )
            },
            || {
                rayon::join(
                    || calibration::figure(study, steps),
                    || {
                        rayon::join(
                            || metrics::figure(study, findings),
                            || (attribution::figure(study, findings), data_size::figure(study, findings)),
                        )
                    },
                )
            },
        );
        Ok(Self {
            learning_curves: learning_curves?,
            losses: losses?,
            calibration: calibration?,
            metrics: metrics?,
            attribution: attribution?,
            data_size: data_size?,
            ..self
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Figure> {
        let learning = [&self.metrics, &self.learning_curves, &self.losses, &self.calibration];
        let effects = [&self.axis_effects, &self.heat_map, &self.parallel];
        let of_search = [&self.expected_best, &self.search, &self.data_size];
        let importance = self.importance.iter().flatten();
        let behind = effects.into_iter().chain(of_search).chain([&self.attribution]).flatten();
        learning.into_iter().flatten().chain(importance).chain(behind)
    }

    /// Something says what settings do.
    pub fn has_effects(&self) -> bool {
        let of_settings = [&self.axis_effects, &self.heat_map, &self.parallel, &self.data_size];
        let of_search = [&self.expected_best, &self.search];
        let mut figures = of_settings.into_iter().chain(of_search);
        self.importance.is_some() || self.gaps.is_some() || figures.any(Option::is_some)
    }
}

/// Marks of runs in a chart; more cover each other.
const MAX_DRAWN: usize = 300;

/// Runs that a table beside a chart has columns for; the files hold all.
const MAX_COLUMNS: usize = 50;

/// What a caption says of a table that leaves runs out.
fn table_in_words(runs: usize) -> String {
    if runs > MAX_COLUMNS {
        format!(" The table has the first {MAX_COLUMNS} of {runs} runs; steps.csv has all.")
    } else {
        String::new()
    }
}

/// The evaluated epochs by run: many runs have many.
struct Epochs<'a>(HashMap<&'a str, Vec<&'a StepRow>>);

impl<'a> Epochs<'a> {
    fn new(steps: &'a [StepRow]) -> Self {
        let mut of_runs: HashMap<&str, Vec<&StepRow>> = HashMap::new();
        for step in steps {
            of_runs.entry(step.run.as_str()).or_default().push(step);
        }
        Self(of_runs)
    }

    fn of(&self, run: &str) -> &[&'a StepRow] {
        self.0.get(run).map_or(&[], Vec::as_slice)
    }
}

/// The words of a figure, before it is drawn.
struct Words {
    name: &'static str,
    title: String,
    caption: String,
    table: Table,
    /// Below the PNG file, which is seen without the page: how its scores were made, where it shows any.
    footnote: Option<String>,
}

impl Words {
    /// The figure with its picture for the file.
    fn into_figure(self, drawings: Vec<String>, picture: &impl Chart) -> anyhow::Result<Figure> {
        let png = match &self.footnote {
            Some(words) => png::render(&Footed { chart: picture, words })?,
            None => png::render(picture)?,
        };
        Ok(Figure {
            name: self.name,
            title: self.title,
            caption: self.caption,
            drawings,
            png,
            table: self.table,
        })
    }
}

/// The footnote of a figure that shows scores.
fn scoring(study: &Study) -> Option<String> {
    Some(format!("scores: convention {}; METEOR: {}", study.conventions(), meteor_variant()))
}

fn single(words: Words, chart: &impl Chart) -> anyhow::Result<Figure> {
    let drawings = vec![svg::render(chart, &words.title)?];
    words.into_figure(drawings, &Panels { panels: std::slice::from_ref(chart), columns: 1 })
}

/// Panels side by side; `titles` describe each of them.
fn panelled<C: Chart>(
    words: Words,
    panels: &[C],
    titles: &[String],
    columns: usize,
) -> anyhow::Result<Figure> {
    let drawings = panels
        .iter()
        .zip(titles)
        .map(|(panel, title)| svg::render(panel, title))
        .collect::<Result<_, _>>()?;
    words.into_figure(drawings, &Panels { panels, columns })
}

/// The text cut to a number of characters, so that no label leaves its panel.
fn fitted(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
