//! Captions of other systems (another framework's, an API's, a person's), joined to a sweep as if runs had recorded
//! them: `sweep report --with NAME=FILE`.

use std::collections::BTreeMap;

use super::gather::{Diagnostics, RowKind, RunData, SweepData};
use crate::data::caption_files::{CaptionFile, CaptionFileError, Matched, Pair, match_up};
use crate::data::captions::Entry;
use crate::record::event::{Status, Summary};
use crate::record::run::{PerImage, Prediction};
use crate::record::{RunRecord, RunSpec, SweepDir};
use crate::score::ImageScores;
use crate::train::evaluate;

/// The splits that captions are compared on.
const SPLITS: [&str; 2] = ["validation", "test"];

/// What another system said.
#[derive(Debug)]
pub struct OtherSystem {
    /// What the report calls it; unlike all others.
    pub name: String,
    pub captions: CaptionFile,
}

/// Adds every system that captioned images of this sweep, scored by the sweep's own convention. What it said of other
/// images is left out and counted. Gives the names of those that joined; two captions for one image are an error.
pub fn join(
    sweep: &SweepDir,
    data: &mut SweepData,
    others: &[OtherSystem],
) -> Result<Vec<String>, CaptionFileError> {
    let Some(spec) = data.runs.first().map(|run| run.record.spec.clone()) else { return Ok(Vec::new()) };
    let references = SPLITS.map(|split| references(&data.runs, split));
    let mut joined = Vec::new();
    for other in others {
        if data.runs.iter().any(|run| run.id() == other.name) || RowKind::named(&other.name).is_some() {
            let name = &other.name;
            return Err(CaptionFileError(format!("{name}: the report has another row of this name")));
        }
        let named = |error: CaptionFileError| CaptionFileError(format!("{}: {error}", other.name));
        let of_split = |split: usize| {
            match_up(&references[split], &other.captions.of_split(SPLITS[split])).map_err(named)
        };
        let matched = [of_split(0)?, of_split(1)?];
        if matched.iter().all(|matched| matched.pairs.is_empty()) {
            data.left_out
                .push(format!("{}: none of its captions is for an image of this sweep.", other.name));
            continue;
        }
        data.left_out.extend(gaps(other, &matched));
        data.runs.push(as_run(sweep, &spec, other, &matched));
        joined.push(other.name.clone());
    }
    Ok(joined)
}

/// The references of a split, from the run that captioned most of it.
fn references(runs: &[RunData], split: &str) -> CaptionFile {
    let of_split = |run: &RunData| -> Vec<Entry> {
        run.said(split)
            .map(|row| Entry { image: row.image.clone(), captions: row.references.clone() })
            .collect()
    };
    let entries = runs.iter().map(of_split).max_by_key(Vec::len).unwrap_or_default();
    CaptionFile::from(entries)
}

/// What of its captions is not used, and which images it did not caption.
fn gaps(other: &OtherSystem, matched: &[Matched; 2]) -> Vec<String> {
    let mut said = Vec::new();
    let pairs: usize = matched.iter().map(|matched| matched.pairs.len()).sum();
    let unused = other.captions.entries.len().saturating_sub(pairs);
    if unused > 0 {
        said.push(format!("{}: {unused} of its captions are for images that no run captioned.", other.name));
    }
    for (split, matched) in SPLITS.iter().zip(matched) {
        let (pairs, all) = (matched.pairs.len(), matched.pairs.len() + matched.missing);
        if 0 < pairs && pairs < all {
            said.push(format!(
                "{}: it captioned {pairs} of {all} {split} images; its scores are of these and do not compare with those \
                 of all.",
                other.name
            ));
        }
    }
    said
}

fn as_run(sweep: &SweepDir, spec: &RunSpec, other: &OtherSystem, matched: &[Matched; 2]) -> RunData {
    let spec = RunSpec { id: other.name.clone(), point: BTreeMap::new(), ..spec.clone() };
    let mut run = RunData {
        kind: RowKind::Other,
        dir: sweep.run(&spec.id),
        record: RunRecord::planned(spec),
        predictions: Vec::new(),
        per_image: Vec::new(),
        diagnostics: Diagnostics::default(),
    };
    let mut summary = Summary::default();
    for (split, matched) in SPLITS.into_iter().zip(matched).filter(|(_, matched)| !matched.pairs.is_empty()) {
        let said: Vec<Prediction> = matched.pairs.iter().map(|pair| prediction(split, pair)).collect();
        let recipe = &run.record.spec.recipe;
        let scores = evaluate::scores(recipe, &said);
        match split {
            "test" => summary.test = Some(evaluate::summary_of(recipe, None, &scores)),
            _ => summary.initial = Some(evaluate::evaluated(recipe, None, &scores)),
        }
        run.per_image
            .extend(said.iter().zip(&scores.per_image).map(|(said, scores)| per_image(said, scores)));
        run.predictions.extend(said);
    }
    run.record.status = Some(Status::Finished);
    run.record.summary = Some(summary);
    run
}

fn prediction(split: &str, pair: &Pair) -> Prediction {
    Prediction {
        image: pair.image.clone(),
        split: split.to_owned(),
        caption: pair.caption.clone(),
        references: pair.references.clone(),
        token_ids: Vec::new(),
        score: None,
    }
}

fn per_image(said: &Prediction, scores: &ImageScores) -> PerImage {
    PerImage {
        epoch: 0,
        image: said.image.clone(),
        split: said.split.clone(),
        loss: None,
        meteor: Some(scores.meteor),
        rouge_l: Some(scores.rouge_l),
        cider_d: Some(scores.cider_d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::record::Store;
    use crate::report::example_runs::{gather_example, write_example_runs};

    use crate::report::tables::{RunRow, build};

    /// The example's sweep, with what `say` says of the first `count` test images joined to it.
    fn joined(count: usize, say: impl Fn(&Prediction) -> Entry) -> (SweepData, Result<Vec<String>, String>) {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let sweep = Store::new(&folder.path().join("runs")).sweep("unfreeze");
        let mut data = gather_example(folder.path());
        let of_test = data.runs[0].predictions.iter().filter(|row| row.split == "test");
        let entries: Vec<Entry> = of_test.take(count).map(say).collect();
        let other = OtherSystem { name: "GPT".to_owned(), captions: entries.into() };
        let names = join(&sweep, &mut data, &[other]).map_err(|error| error.to_string());
        (data, names)
    }

    fn reference(row: &Prediction) -> Entry {
        Entry { image: format!("photos/{}", row.image), captions: row.references.clone() }
    }

    fn row_of(data: &SweepData) -> RunRow {
        let rows = build(data).unwrap().run_rows().unwrap();
        rows.into_iter().find(|row| row.kind == RowKind::Other).unwrap()
    }

    #[test]
    fn captions_of_others_are_a_row_that_has_no_rank_and_no_settings() {
        let (data, names) = joined(usize::MAX, reference);
        assert_eq!((names.unwrap(), &data.left_out[..]), (vec!["GPT".to_owned()], &[][..]));
        let row = row_of(&data);
        assert_eq!((row.name(), row.rank, row.settings.len()), ("GPT".to_owned(), None, 0));
        assert_eq!(row.test.of(crate::report::metrics::Metric::RougeL), Some(1.0), "it says the references");
        assert_eq!(row.validation.of(crate::report::metrics::Metric::RougeL), None);
        let run = data.runs.last().unwrap();
        assert_eq!((run.predictions.len(), run.per_image.len()), (128, 128));
        assert_eq!(run.predictions[0].image, data.runs[0].predictions[0].image, "named as the runs name it");
    }

    #[test]
    fn what_was_not_captioned_and_what_is_not_known_is_said() {
        let stranger = |row: &Prediction| {
            let is_tenth = row.image.contains("0.");
            if is_tenth {
                Entry { image: format!("no {}", row.image), ..reference(row) }
            } else {
                reference(row)
            }
        };
        let (data, _) = joined(20, stranger);
        let said = data.left_out.join("\n");
        assert!(said.contains("GPT: 2 of its captions are for images that no run captioned."), "{said}");
        assert!(said.contains("GPT: it captioned 18 of 128 test images;"), "{said}");
    }

    #[test]
    fn nothing_joins_where_no_image_is_known_and_two_captions_for_one_image_are_refused() {
        let (data, names) = joined(5, |row| Entry { image: format!("x{}", row.image), ..reference(row) });
        assert_eq!(names, Ok(vec![]));
        assert_eq!(data.left_out, ["GPT: none of its captions is for an image of this sweep."]);
        let (_, names) = joined(2, |row| Entry { image: "a".to_owned(), ..reference(row) });
        assert_eq!(names, Ok(vec![]), "both are strangers");
        let first = joined(1, reference).0.runs[0].predictions[0].image.clone();
        let (_, names) = joined(2, |row| Entry { image: first.clone(), ..reference(row) });
        assert_eq!(names.unwrap_err(), format!("GPT: predictions: {first:?} occurs twice"));
    }
}
