//! Figure: the score by the number of training images, and what the last of them brought.

use super::{Figure, Words, scoring, single};
use crate::analysis::Interval;
use crate::record::recipe::Kind;
use crate::report::charts::levels::Level;
use crate::report::charts::size_curves::{SizeCurve, SizeCurves};
use crate::report::data_size::{SizeLine, SizeLines, SizePoint, size_lines};
use crate::report::findings::{Findings, Study};
use crate::report::format::{ABSENT, decimals, from_to, list, signed};
use crate::report::gather::RowKind;
use crate::report::settings::name_of;
use crate::report::text_table::Table;

pub const NAME: &str = "data_size";

/// Lines that are drawn; the table has all.
const MOST_LINES: usize = 4;

pub fn figure(study: &Study, findings: &Findings) -> anyhow::Result<Option<Figure>> {
    let Some(found) = size_lines(study, findings.images) else { return Ok(None) };
    let chart = SizeCurves {
        y_title: format!("score on {} images", found.images.name()),
        curves: found.lines.iter().take(MOST_LINES).map(curve).collect(),
        small: found.small.as_ref().map(|line| SizeCurve { label: small_name(), ..curve(line) }),
        levels: levels(study, &found),
    };
    let words = Words {
        name: NAME,
        title: "Score by number of training images".to_owned(),
        caption: caption(&found),
        table: table(&found),
        footnote: scoring(study),
    };
    single(words, &chart).map(Some)
}

fn curve(line: &SizeLine) -> SizeCurve {
    let points = line.points.iter().map(|point| {
        let Interval { estimate, low, high } = point.mean;
        (point.examples, [estimate, low, high])
    });
    SizeCurve { label: name(line), points: points.collect() }
}

fn name(line: &SizeLine) -> String {
    if line.label.is_empty() { "fine-tuned".to_owned() } else { line.label.clone() }
}

/// What does not depend on the number of images, or is not what is compared: the first of each kind.
fn levels(study: &Study, found: &SizeLines) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for row in study.rows.iter().filter(|row| row.is_reference()) {
        let RowKind::Run(kind) = row.kind else { continue };
        let label = row.kind.label();
        let is_control = matches!(kind, Kind::MatchedLength | Kind::ShuffledCaptions);
        let is_line = kind == Kind::SmallDecoder && found.small.is_some();
        if is_control || is_line || levels.iter().any(|level| level.label == label) {
            continue;
        }
        if let Some(value) = found.level(study, row) {
            levels.push(Level { label: label.to_owned(), value, is_floor: kind != Kind::ZeroShot });
        }
    }
    levels
}

fn caption(found: &SizeLines) -> String {
    let best = &found.lines[0];
    let mut caption = format!(
        "Mean scores over seeds and {} {} images, with 95 % intervals, by the number of images trained on. Level lines \
         are what needs no training. {}",
        found.common,
        found.images.name(),
        gained(best)
    );
    if found.lines.len() > 1 {
        caption += &format!(" That is of {}, the best with the most images.", name(best));
    }
    if found.lines.len() > MOST_LINES {
        caption += &format!(" Drawn are {MOST_LINES} of {} lines; the table has all.", found.lines.len());
    }
    if let Some(small) = &found.small {
        caption += &beside(small, best);
    }
    if !found.bound.is_empty() {
        let names: Vec<String> = found.bound.iter().map(|path| name_of(path)).collect();
        caption += &format!(" With the number of images {} changed too.", list(&names));
    }
    if best.points.iter().any(|point| point.seeds == 1) {
        caption += " Where there is one seed, its chance is not in the interval.";
    }
    caption
}

/// The small decoder beside the best line, with the fewest images that both have and the most.
fn beside(small: &SizeLine, best: &SizeLine) -> String {
    let shared = small.points.iter().filter_map(|point| {
        let other = best.points.iter().find(|other| other.examples == point.examples)?;
        Some((point, other))
    });
    let shared: Vec<_> = shared.collect();
    let [(few, best_few), .., (many, best_many)] = shared.as_slice() else { return String::new() };
    let score = |point: &SizePoint| decimals(Some(point.mean.estimate));
    format!(
        " The small GRU decoder, trained from nothing on frozen features, has {} with {} images and {} with {}, that line {} \
         and {}.",
        score(few),
        few.examples,
        score(many),
        many.examples,
        score(best_few),
        score(best_many)
    )
}

/// What the last step in numbers of images brought, and no more than that says.
fn gained(line: &SizeLine) -> String {
    let [.., before, last] = line.points.as_slice() else { return String::new() };
    let Some(gain) = last.minus(before) else { return String::new() };
    let doublings = (last.examples as f64 / before.examples as f64).log2();
    let mut text = format!(
        "From {} to {} images the score changed by {} (95 % interval {})",
        before.examples,
        last.examples,
        signed(gain.estimate),
        from_to(gain, signed)
    );
    if (doublings - 1.0).abs() > 0.05 {
        text += &format!(", {} a doubling", signed(gain.estimate / doublings));
    }
    text += if gain.low > 0.0 {
        ": these images were worth having, and more may be. Such curves flatten, so that another doubling need not bring as much."
    } else if gain.high < 0.0 {
        ": more images made it worse, which is another matter than their number."
    } else {
        ": that is within the noise, and not evidence that more images would help."
    };
    if let [.., first, _, _] = line.points.as_slice()
        && let Some(earlier) = before.minus(first)
    {
        text += &format!(
            " The step before, from {} to {}, brought {} ({}).",
            first.examples,
            before.examples,
            signed(earlier.estimate),
            from_to(earlier, signed)
        );
    }
    text
}

fn table(found: &SizeLines) -> Table {
    let mut table = Table::new(&["settings", "#training images", "#seeds"]);
    for name in ["score", "95 % interval", "change from the number before", "95 % interval of the change"] {
        table.add_column(name.to_owned());
    }
    for (name, line) in names_and_lines(found) {
        let before = std::iter::once(None).chain(line.points.iter().map(Some));
        for (point, before) in line.points.iter().zip(before) {
            let change = before.and_then(|before| point.minus(before));
            table.add([
                name.clone(),
                point.examples.to_string(),
                point.seeds.to_string(),
                decimals(Some(point.mean.estimate)),
                from_to(point.mean, |value| decimals(Some(value))),
                change.map_or_else(|| ABSENT.to_owned(), |change| signed(change.estimate)),
                change.map_or_else(|| ABSENT.to_owned(), |change| from_to(change, signed)),
            ]);
        }
    }
    table
}

/// All lines with what they are called, that of the small decoder last.
fn names_and_lines(found: &SizeLines) -> impl Iterator<Item = (String, &SizeLine)> {
    let small = found.small.iter().map(|line| (small_name(), line));
    found.lines.iter().map(|line| (name(line), line)).chain(small)
}

fn small_name() -> String {
    RowKind::Run(Kind::SmallDecoder).label().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_runs::{gather_example, write_example_runs};
    use crate::report::settings::{LAYERS, RATE, TRAIN_EXAMPLES};
    use crate::report::tables::{RunRow, build};
    use serde_json::Value;

    /// The made-up sweep as if something else than its first axis had been the number of training images.
    fn drawn(change: impl Fn(&mut RunRow)) -> Option<Figure> {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let data = gather_example(folder.path());
        let tables = build(&data).unwrap();
        let mut rows = tables.run_rows().unwrap();
        rows.iter_mut().for_each(change);
        let study = Study::new(&data, rows, tables.ranked_by);
        figure(&study, &Findings::of(&study)).unwrap()
    }

    /// Layers stand for numbers of images: 2 of them for 128, and so on.
    fn by_layers(row: &mut RunRow) {
        let layers = row.settings.remove(LAYERS).and_then(|value| value.as_u64()).unwrap_or(0) as usize;
        let examples = 64 << layers.min(6);
        row.settings.insert(TRAIN_EXAMPLES.to_owned(), Value::from(examples));
        if let Some(origin) = &mut row.origin {
            origin.train_examples = examples;
        }
    }

    fn cells(figure: &Figure, column: usize) -> Vec<String> {
        figure.table.rows.iter().map(|row| row.cells[column].text.clone()).collect()
    }

    #[test]
    fn without_several_numbers_of_images_there_is_no_figure() {
        assert!(drawn(|_| ()).is_none());
    }

    #[test]
    fn a_line_has_a_point_for_each_number_of_images_and_the_caption_says_what_the_last_brought() {
        let figure = drawn(|row| {
            by_layers(row);
            row.settings.retain(|path, _| path == TRAIN_EXAMPLES || path == "seed");
            if row.kind == RowKind::Run(Kind::NearestImage) {
                row.kind = RowKind::Run(Kind::MatchedLength);
            }
        })
        .unwrap();
        let sizes = cells(&figure, 1);
        assert!(sizes.len() >= 3 && sizes.windows(2).all(|pair| pair[0].len() <= pair[1].len()), "{sizes:?}");
        // Those of the made-up sweep that differ in nothing else any more have one seed: they are one run, written twice.
        assert!(cells(&figure, 2).iter().all(|seeds| seeds == "1"), "{:?}", cells(&figure, 2));
        let changes = cells(&figure, 5);
        assert_eq!(changes[0], ABSENT);
        let last = changes.last().unwrap();
        assert!(
            figure.caption.contains(&format!("the score changed by {last} (95 % interval")),
            "{}",
            figure.caption
        );
        assert!(figure.caption.contains("The step before, from"), "{}", figure.caption);
        assert!(
            figure.drawings[0].contains(">constant caption<") && figure.drawings[0].contains(">zero-shot<")
        );
        assert!(!figure.drawings[0].contains(">matched length<"));
    }

    #[test]
    fn a_small_decoder_has_a_line_of_its_own_where_it_learnt_from_as_many() {
        let with = |second: Kind| {
            drawn(|row| {
                by_layers(row);
                row.settings.retain(|path, _| path == TRAIN_EXAMPLES || path == "seed");
                // Floors that are taken for small decoders, one of many images and one of few.
                let (kind, examples) = match row.kind {
                    RowKind::Run(Kind::NearestImage) => (Kind::SmallDecoder, 4096),
                    RowKind::Run(Kind::ConstantCaption) => (second, 64),
                    _ => return,
                };
                row.kind = RowKind::Run(kind);
                row.origin.as_mut().unwrap().train_examples = examples;
            })
            .unwrap()
        };
        let figure = with(Kind::SmallDecoder);
        let small: Vec<String> = cells(&figure, 0).into_iter().filter(|name| *name == small_name()).collect();
        assert_eq!(small.len(), 2);
        assert_eq!(figure.drawings[0].matches(">small GRU decoder<").count(), 1, "no level besides");
        assert_eq!(cells(&figure, 1).last().unwrap(), "4096", "behind the lines of fine-tuned runs");
        assert!(
            figure.caption.contains("The small GRU decoder, trained from nothing on frozen features, has "),
            "{}",
            figure.caption
        );
        let alone = with(Kind::ConstantCaption);
        assert!(
            !cells(&alone, 0).contains(&small_name()) && !alone.caption.contains("GRU"),
            "{}",
            alone.caption
        );
        assert!(alone.drawings[0].contains(">small GRU decoder<"), "as a level");
    }

    #[test]
    fn settings_that_vary_beside_it_have_lines_and_those_that_go_with_it_are_said() {
        let figure = drawn(|row| {
            by_layers(row);
            let examples = row.settings[TRAIN_EXAMPLES].clone();
            row.settings.retain(|path, _| [TRAIN_EXAMPLES, RATE, "seed"].contains(&path.as_str()));
            row.settings.insert("training.epochs".to_owned(), examples);
        })
        .unwrap();
        let mut names = cells(&figure, 0);
        let ends: Vec<f64> = (0..names.len())
            .filter(|row| names.get(row + 1) != names.get(*row))
            .map(|row| cells(&figure, 3)[row].parse().unwrap())
            .collect();
        assert!(ends.iter().all(|end| *end <= ends[0]), "the best comes first: {ends:?}");
        names.dedup();
        assert!(names.len() > 1 && names.iter().all(|name| name.parse::<f64>().is_ok()), "{names:?}");
        assert!(
            figure.caption.contains("With the number of images epochs changed too."),
            "{}",
            figure.caption
        );
        assert!(figure.caption.contains(&format!("That is of {}", names[0])), "{}", figure.caption);
    }
}
