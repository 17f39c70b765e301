//! How much of what a run says it copies from its training captions: columns of `runs`.

use std::collections::BTreeMap;

use polars::prelude::Column;

use super::columns::{counts, numbers};
use super::facts::Facts;
use crate::analysis::memorisation::{Memorisation, TrainingCaptions};
use crate::report::gather::{RunData, SweepData};
use crate::report::training_texts::TrainingTexts;

/// Whose captions are compared with the training captions, as columns end.
pub const SETS: [&str; 3] = ["test", "train", "references"];

/// What a run says of test images, of training images, and what is true of the test images; in the order of [`SETS`].
pub type Copies = [Option<Memorisation>; 3];

/// The copies of every run whose training captions are known.
pub fn measure_copies(sweep: &SweepData) -> BTreeMap<&str, Copies> {
    sweep.training.iter().flat_map(|texts| of_runs(texts, &sweep.runs)).collect()
}

/// Sets of captions that several runs share, most of all the references, are measured once.
fn of_runs<'a>(texts: &TrainingTexts, runs: &'a [RunData]) -> Vec<(&'a str, Copies)> {
    let training = TrainingCaptions::new(&texts.captions.iter().map(String::as_str).collect::<Vec<_>>());
    let mut known: BTreeMap<Vec<&str>, Option<Memorisation>> = BTreeMap::new();
    let of_training = runs.iter().filter(|run| texts.runs.contains(run.id()));
    of_training
        .map(|run| {
            let copies = sets(run).map(|captions| {
                *known.entry(captions).or_insert_with_key(|captions| training.measure(captions))
            });
            (run.id(), copies)
        })
        .collect()
}

fn sets(run: &RunData) -> [Vec<&str>; 3] {
    let said = |split| run.said(split).map(|said| said.caption.as_str()).collect();
    let references = run.said("test").flat_map(|said| &said.references).map(String::as_str).collect();
    [said("test"), said("train"), references]
}

pub fn columns(facts: &[Facts]) -> Vec<Column> {
    let columns = |(set, name): (usize, &str)| {
        let number = |measure: &str, value: fn(&Memorisation) -> Option<f64>| {
            numbers(&format!("{measure}_{name}"), facts, move |facts| value(facts.copies[set].as_ref()?))
        };
        let count = |measure: &str, value: fn(&Memorisation) -> usize| {
            counts(&format!("{measure}_{name}"), facts, move |facts| facts.copies[set].as_ref().map(value))
        };
        [
            count("captions", |found| found.captions),
            count("different", |found| found.different),
            number("copied", |found| Some(found.copied)),
            number("nearly_copied", |found| Some(found.nearly_copied)),
            number("novel_4_grams", |found| found.novel_4_grams),
            number("distinct_1", |found| found.distinct_1),
            number("distinct_2", |found| found.distinct_2),
        ]
    };
    SETS.into_iter().enumerate().flat_map(columns).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::record::recipe::Kind;
    use crate::report::example_runs::{gather_example, write_example_runs};
    use crate::report::gather::RowKind;
    use crate::report::tables::{RunRow, build};

    fn read(root: &Path) -> (Vec<RunRow>, Vec<String>) {
        let data = gather_example(root);
        (build(&data).unwrap().run_rows().unwrap(), data.left_out)
    }

    #[test]
    fn runs_copy_as_much_as_their_captions_say_and_references_are_the_yardstick() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let (rows, left_out) = read(folder.path());
        assert_eq!(left_out, [""; 0]);
        let of = |kind| rows.iter().find(|row| row.kind == RowKind::Run(kind)).unwrap().copies;
        let [test, train, references] = of(Kind::FineTuned).map(Option::unwrap);
        assert_eq!([test, train, references].map(|found| found.captions), [128, 32, 128]);
        // 15 of the 36 captions that there are are trained on.
        assert!((references.copied - 15.0 / 36.0).abs() < 0.05, "{references:?}");
        assert!(train.copied > 0.9 && (0.3..0.6).contains(&test.copied), "{test:?} {train:?}");
        // A caption of another colour alone is nearly a copy.
        assert_eq!((references.nearly_copied, references.novel_4_grams.is_some()), (1.0, true));
        let [zero_shot, ..] = of(Kind::ZeroShot).map(Option::unwrap);
        assert_eq!((zero_shot.nearly_copied, zero_shot.different), (0.0, 1));
        assert_eq!(zero_shot.novel_4_grams, Some(1.0));
    }

    #[test]
    fn without_the_captions_file_nothing_is_said_of_copies_but_that() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        fs::remove_file(folder.path().join("images_train.json")).unwrap();
        let (rows, left_out) = read(folder.path());
        assert!(rows.iter().all(|row| row.copies == [None; 3]));
        assert!(left_out.len() == 1 && left_out[0].contains("images_train.json"), "{left_out:?}");
    }
}
