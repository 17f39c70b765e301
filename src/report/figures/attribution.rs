//! Figure: the gain over zero-shot, one change at a time.

use super::{Figure, Words, scoring, single};
use crate::report::attribution::{Step, attribution};
use crate::report::charts::waterfall::{Bar, Waterfall};
use crate::report::findings::{Findings, Study};
use crate::report::format::{ABSENT, decimals, from_to, share, signed};
use crate::report::text_table::Table;

pub const NAME: &str = "attribution";

pub fn figure(study: &Study, findings: &Findings) -> anyhow::Result<Option<Figure>> {
    let steps = attribution(study, findings);
    if steps.is_empty() {
        return Ok(None);
    }
    let bar = |(index, step): (usize, &Step)| {
        let before = index.checked_sub(1).and_then(|before| steps.get(before)).map(|before| before.score);
        let interval = step.gain.zip(before).map(|(gain, before)| (before + gain.low, before + gain.high));
        Bar { label: step.name.clone(), score: step.score, interval }
    };
    let chart = Waterfall {
        y_title: format!("{} score", findings.images.name()),
        bars: steps.iter().enumerate().map(bar).collect(),
    };
    let words = Words {
        name: NAME,
        title: "Where the gain comes from".to_owned(),
        caption: caption(&steps),
        table: table(&steps),
        footnote: scoring(study),
    };
    single(words, &chart).map(Some)
}

/// What training gains in all, and how much of it needs no picture.
fn caption(steps: &[Step]) -> String {
    let mut caption = "One change at a time, each at its own best settings: a bar begins where the one before it ended. \
                       Filled bars rise, outlined ones fall; whiskers are 95 % intervals of the change over the same \
                       images."
        .to_owned();
    let named = |name: &str| steps.iter().find(|step| step.name == name).map(|step| step.score);
    let (start, last) = (named("zero-shot"), steps.last().map(|step| step.score));
    let Some((start, last)) = start.zip(last).filter(|(start, last)| last > start) else { return caption };
    let gained = |score: f64| share(Some((score - start) / (last - start)));
    match named("shuffled captions") {
        Some(score) => caption.push_str(&format!(
            " Of the whole gain over zero-shot {} needs no picture at all: captions of other pictures reach it.",
            gained(score)
        )),
        None => caption.push_str(
            " How much of it needs no picture at all is known from a run on shuffled captions: references: \
             {shuffled_captions: true}.",
        ),
    }
    caption
}

fn table(steps: &[Step]) -> Table {
    let mut table = Table::new(&["step", "#score", "#change", "95 % interval", "what changes"]);
    let mut before: Option<f64> = None;
    for step in steps {
        let interval = step.gain.map(|gain| from_to(gain, signed));
        table.add([
            step.name.clone(),
            decimals(Some(step.score)),
            before.map_or_else(|| ABSENT.to_owned(), |before| signed(step.score - before)),
            interval.unwrap_or_else(|| ABSENT.to_owned()),
            step.what.to_owned(),
        ]);
        before = Some(step.score);
    }
    table
}
