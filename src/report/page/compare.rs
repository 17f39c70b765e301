//! Two runs side by side: `sweep report --compare A B`.

use askama::Template;
use rayon::prelude::*;
use similar::{ChangeTag, TextDiff};

use super::card::{Card, Part, Speaker, attributes_in_words, card, image_folder};
use super::domain_section::attributes;
use crate::analysis::RESAMPLES;
use crate::analysis::randomisation::randomisation_test;
use crate::report::bleu::bleu_difference;
use crate::report::comparison::{Comparison, Images, SCORE, SEED, image_scores, paired_differences, place};
use crate::report::figures::{Figure, Figures};
use crate::report::findings::{Findings, Study};
use crate::report::format::{ABSENT, decimals, from_to, plural, signed};
use crate::report::metrics::Metric;
use crate::report::settings::{long_label, name_of, value_text, varying};
use crate::report::tables::{RunRow, StepRow};
use crate::report::text_table::Table;

/// Images shown where A is better, and where B is.
const SHOWN: usize = 9;

#[derive(Template)]
#[template(path = "compare.html")]
struct Page<'a> {
    sweep: &'a str,
    a: String,
    b: String,
    who: String,
    style: &'static str,
    script: &'static str,
    verdict: String,
    scores: Table,
    settings: Table,
    curves: Vec<Figure>,
    attributes: Table,
    changed: String,
    groups: Vec<Group>,
}

struct Group {
    title: String,
    cards: Vec<Card>,
}

/// The two rows of a comparison, in the order that they were asked for.
#[derive(Clone, Copy)]
pub struct Two<'a> {
    pub a: &'a RunRow,
    pub b: &'a RunRow,
}

/// The page as HTML.
pub fn render(study: &Study, two: Two, steps: &[StepRow]) -> anyhow::Result<String> {
    let Two { a, b } = two;
    let rows: Vec<RunRow> =
        study.rows.iter().filter(|row| row.run == a.run || row.run == b.run).cloned().collect();
    let of_two = Study::new(study.sweep, rows, study.ranked_by);
    let images = images_of(study, two);
    let figures = Figures::draw(&of_two, &Findings::of(&of_two), steps)?;
    let (verdict, scores) = scores(study, two, images);
    let (changed, groups) = captions(study, two, images);
    let page = Page {
        sweep: &study.sweep.name,
        a: a.name(),
        b: b.name(),
        who: format!("{}; {}.", who(study, a), who(study, b)),
        style: super::STYLE,
        script: super::SCRIPT,
        verdict,
        scores,
        settings: settings(two),
        curves: figures.learning_curves.into_iter().chain(figures.losses).collect(),
        attributes: attributes(study, &[a, b], images),
        changed,
        groups,
    };
    Ok(page.render()?)
}

fn who(study: &Study, row: &RunRow) -> String {
    let label = long_label(&row.settings, &study.varying);
    let settings = if label.is_empty() || row.is_reference() { String::new() } else { format!(", {label}") };
    format!("{} is run {} ({}{settings})", row.name(), row.run, row.kind.label())
}

/// Test images where both captioned any, else validation images.
fn images_of(study: &Study, two: Two) -> Images {
    let has_test = |row| study.data_of(row).is_some_and(|run| !image_scores(run, Images::Test).is_empty());
    if has_test(two.a) && has_test(two.b) { Images::Test } else { Images::Validation }
}

/// Who is better, in words and by metric.
fn scores(study: &Study, Two { a, b }: Two, images: Images) -> (String, Table) {
    let (name_a, name_b) = (a.name(), b.name());
    let mut table = Table::new(&["metric"]);
    let heads = [name_a.clone(), name_b.clone(), "difference".to_owned()];
    heads.into_iter().for_each(|head| table.add_column(head));
    table.columns.extend(Table::new(&["95 % interval", "#p"]).columns);
    let data = study.data_of(a).zip(study.data_of(b));
    let differences = data.map_or_else(Vec::new, |(a, b)| paired_differences(a, b, images));
    let comparison = Comparison::of_images(&differences);
    for metric in Metric::SCORE_LAST {
        let gain = match metric {
            Metric::Bleu4 => data.and_then(|(a, b)| bleu_difference(a, b, images)),
            _ => comparison.as_ref().and_then(|comparison| comparison.of(metric)),
        };
        let interval = gain.map(|gain| from_to(gain, signed));
        let p = place(metric).and_then(|place| {
            let of_metric: Vec<f64> = differences.iter().map(|image| image[place]).collect();
            randomisation_test(&of_metric, RESAMPLES, SEED)
        });
        table.add([
            metric.label().to_owned(),
            decimals(a.scores_on(images).of(metric)),
            decimals(b.scores_on(images).of(metric)),
            gain.map_or_else(|| ABSENT.to_owned(), |gain| signed(gain.estimate)),
            interval.unwrap_or_else(|| ABSENT.to_owned()),
            decimals(p),
        ]);
    }
    let verdict = match comparison.as_ref().and_then(|all| Some((all.images, all.of(Metric::Score)?))) {
        None => "There are no images that both captioned.".to_owned(),
        Some((common, gain)) => {
            let on =
                format!("on {} that both captioned", plural(common, &format!("{} image", images.name())));
            let by = format!("{} in score (95 % interval {})", signed(gain.estimate), from_to(gain, signed));
            match gain {
                gain if gain.low > 0.0 => format!("{name_a} is better: {by}, {on}."),
                gain if gain.high < 0.0 => format!("{name_b} is better: {name_a} has {by}, {on}."),
                _ => format!("No significant difference: {name_a} has {by}, {on}."),
            }
        }
    };
    let note = " Differences are means over the same images; p is that of the approximate randomisation of one planned \
                comparison. Whoever was picked for being the best of many leads by chance as well: the report on the \
                whole sweep corrects for that. BLEU-4 is of the whole set: its interval scores sets of the same images drawn \
                anew, and it has no p.";
    (verdict + note, table)
}

fn settings(Two { a, b }: Two) -> Table {
    let mut table = Table::new(&["setting", "path"]);
    table.add_column(a.name());
    table.add_column(b.name());
    let mut paths = varying(&[&a.settings, &b.settings]);
    // What acts in one of them alone differs, too.
    let alone = |path: &&String| a.settings.contains_key(*path) != b.settings.contains_key(*path);
    let both_ways = a.settings.keys().chain(b.settings.keys());
    let mut alone: Vec<String> = both_ways.filter(alone).cloned().collect();
    alone.sort();
    paths.extend(alone);
    for path in paths {
        let value = |row: &RunRow| row.settings.get(&path).map_or_else(|| ABSENT.to_owned(), value_text);
        table.add([name_of(&path), path.clone(), value(a), value(b)]);
    }
    table
}

/// How many captions differ, and the images where that matters most.
fn captions(study: &Study, Two { a, b }: Two, images: Images) -> (String, Vec<Group>) {
    let Some((run_a, run_b)) = study.data_of(a).zip(study.data_of(b)) else {
        return (String::new(), Vec::new());
    };
    let (say_a, say_b) = (Speaker::new(a.name(), run_a, images), Speaker::new(b.name(), run_b, images));
    let mut changed: Vec<(&str, f64)> = Vec::new();
    let mut common = 0;
    for (image, said) in &say_a.captions {
        let Some(other) = say_b.captions.get(image) else { continue };
        common += 1;
        if said.caption != other.caption {
            let score = |speaker: &Speaker| Some(speaker.scores.get(image)?[SCORE]);
            changed.push((image, score(&say_a).zip(score(&say_b)).map_or(0.0, |(a, b)| a - b)));
        }
    }
    let better = |is_a: bool| {
        let mut of: Vec<(&str, f64)> = changed
            .iter()
            .copied()
            .filter(|(_, gain)| if is_a { *gain > 0.0 } else { *gain < 0.0 })
            .collect();
        of.sort_by(|x, y| y.1.abs().total_cmp(&x.1.abs()).then(x.0.cmp(y.0)));
        of
    };
    let (for_a, for_b) = (better(true), better(false));
    let words = format!(
        "Of {} that both captioned, {} differ: {} scores higher on {}, {} on {}. Words that the other does not say are \
         marked.",
        plural(common, &format!("{} image", images.name())),
        changed.len(),
        a.name(),
        for_a.len(),
        b.name(),
        for_b.len()
    );
    let folder = image_folder(run_a, images).or_else(|| image_folder(run_b, images));
    let show = |(image, gain): &(&str, f64)| {
        let mut card = card(signed(*gain), image, &[&say_a, &say_b], folder.as_deref());
        for said in &mut card.captions {
            let text: String = said.parts.iter().map(|part| part.text.as_str()).collect();
            said.notes = attributes_in_words(&study.sweep.lexicon.compare(&text, &card.references));
        }
        mark_changes(&mut card);
        card
    };
    let group = |name: String, of: &[(&str, f64)]| Group {
        title: format!("{name} is better"),
        cards: of.get(..SHOWN).unwrap_or(of).par_iter().map(show).collect(),
    };
    let groups = [group(a.name(), &for_a), group(b.name(), &for_b)];
    (words, groups.into_iter().filter(|group| !group.cards.is_empty()).collect())
}

/// Marks in two captions the words that the other one does not have in this place.
fn mark_changes(card: &mut Card) {
    let [a, b] = card.captions.as_mut_slice() else { return };
    let text = |parts: &[Part]| parts.iter().map(|part| part.text.as_str()).collect::<String>();
    let (before, after) = (text(&a.parts), text(&b.parts));
    let diff = TextDiff::from_words(&before, &after);
    (a.parts, b.parts) = (Vec::new(), Vec::new());
    for change in diff.iter_all_changes() {
        let is_marked = change.tag() != ChangeTag::Equal && !change.value().trim().is_empty();
        let part = Part { text: change.value().to_owned(), is_marked };
        match change.tag() {
            ChangeTag::Delete => a.parts.push(part),
            ChangeTag::Insert => b.parts.push(part),
            ChangeTag::Equal => {
                a.parts.push(part.clone());
                b.parts.push(part);
            }
        }
    }
}
