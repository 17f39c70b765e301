//! Figure: the best fine-tuned run against zero-shot and the floors, on every metric.

use super::{Figure, Words, fitted, panelled, scoring};
use crate::analysis::Interval;
use crate::record::recipe::Kind;
use crate::report::bleu::bleu_interval;
use crate::report::charts::metric_bars::{Bar, MetricPanel, System};
use crate::report::comparison::{Images, mean_scores, place};
use crate::report::findings::{Findings, Study};
use crate::report::format::{decimals, from_to};
use crate::report::gather::RowKind;
use crate::report::metrics::Metric;
use crate::report::tables::RunRow;
use crate::report::text_table::Table;

pub const NAME: &str = "metrics";

const PANEL_COLUMNS: usize = 2;
/// Room beside the bars.
const LABEL_CHARACTERS: usize = 18;

/// A run with its means over images.
struct Compared<'a> {
    row: &'a RunRow,
    label: String,
    system: System,
    means: Option<[Interval; 4]>,
    bleu_4: Option<Interval>,
}

pub fn figure(study: &Study, findings: &Findings) -> anyhow::Result<Option<Figure>> {
    let Some(best) = findings.best else { return Ok(None) };
    let others = findings.others.iter().map(|(other, _)| *other);
    let floors = findings.floors.iter().copied();
    let small = findings.small_decoder.iter().map(|(row, _)| *row);
    let rows = findings.zero_shot.into_iter().chain(floors).chain(small).chain(others).chain([best]);
    let compared: Vec<Compared> = rows.map(|row| compared(study, findings, row)).collect();
    let panels: Vec<MetricPanel> = Metric::SCORE_LAST
        .into_iter()
        .map(|metric| panel(metric, &compared, findings.images))
        .filter(|panel| panel.bars.len() > 1)
        .collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let titles: Vec<String> =
        panels.iter().map(|panel| format!("{}, {}", panel.title, panel.subtitle)).collect();
    let words = Words {
        name: NAME,
        title: "Zero-shot, floors and the best fine-tuned run".to_owned(),
        caption: caption(findings),
        table: table(&compared, findings.images),
        footnote: scoring(study),
    };
    panelled(words, &panels, &titles, PANEL_COLUMNS).map(Some)
}

fn compared<'a>(study: &Study, findings: &Findings, row: &'a RunRow) -> Compared<'a> {
    let (label, system) = match row.kind {
        RowKind::Run(Kind::FineTuned) => (format!("best run #{}", row.rank.unwrap_or(1)), System::FineTuned),
        RowKind::Run(Kind::ZeroShot | Kind::MatchedLength) => (row.name(), System::ZeroShot),
        RowKind::Run(
            Kind::ConstantCaption | Kind::NearestImage | Kind::SmallDecoder | Kind::ShuffledCaptions,
        ) => (row.name(), System::Floor),
        RowKind::Other => (fitted(&row.name(), LABEL_CHARACTERS), System::Other),
    };
    let (run, images) = (study.data_of(row), findings.images);
    let means = run.and_then(|run| mean_scores(run, images));
    let bleu_4 = run.and_then(|run| bleu_interval(run, images, row.scores_on(images).of(Metric::Bleu4)?));
    Compared { row, label, system, means, bleu_4 }
}

fn panel(metric: Metric, compared: &[Compared], images: Images) -> MetricPanel {
    let bar = |compared: &Compared| {
        let value = compared.row.scores_on(images).of(metric)?;
        let interval = interval_of(compared, metric).map(|interval| (interval.low, interval.high));
        Some(Bar { label: compared.label.clone(), system: compared.system, value, interval })
    };
    let subtitle = match metric {
        Metric::CiderD => "from 0 to 10".to_owned(),
        Metric::Bleu4 => "from 0 to 1, of the whole set".to_owned(),
        Metric::Score => "mean of METEOR, ROUGE-L and CIDEr-D".to_owned(),
        Metric::Meteor | Metric::RougeL => "from 0 to 1".to_owned(),
    };
    let bars = compared.iter().filter_map(bar).collect();
    let title = if metric == Metric::Score { "Score" } else { metric.label() };
    MetricPanel { title: title.to_owned(), subtitle, bars }
}

fn interval_of(compared: &Compared, metric: Metric) -> Option<Interval> {
    if metric == Metric::Bleu4 {
        return compared.bleu_4;
    }
    compared.means?.get(place(metric)?).copied()
}

fn caption(findings: &Findings) -> String {
    let images = findings.images.name();
    let small = match findings.small_decoder {
        Some(_) => " The small GRU decoder is trained, from nothing and on frozen features.",
        None => "",
    };
    format!(
        "Scores on the {images} images. Whiskers are 95 % intervals of the mean over images; BLEU-4 is no mean, so its images are \
         drawn anew and the whole set is scored again. A floor needs no \
         understanding of the picture: a constant caption says the same of all, the nearest image lends the caption of \
         the training image that looks most alike.{small} What a run adds is the distance to the higher of them; whether it is \
         real is judged on paired differences, in the verdict, not by whether whiskers overlap."
    )
}

fn table(compared: &[Compared], images: Images) -> Table {
    let mut table = Table::new(&["metric"]);
    for compared in compared {
        table.add_column(compared.label.clone());
    }
    for metric in Metric::SCORE_LAST {
        let value = |compared: &Compared| {
            let value = decimals(compared.row.scores_on(images).of(metric));
            match interval_of(compared, metric) {
                Some(interval) => {
                    format!("{value} ({})", from_to(interval, |end| decimals(Some(end))))
                }
                None => value,
            }
        };
        table.add(std::iter::once(metric.label().to_owned()).chain(compared.iter().map(value)));
    }
    table
}
