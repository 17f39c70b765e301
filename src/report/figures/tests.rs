//! Figures of the made-up sweep, whole and with less in it.

use super::Figures;
use crate::report::example_runs::{gather_example, write_example_runs};
use crate::report::findings::{Findings, Study};
use crate::report::format::{percent, signed};
use crate::report::settings::{LAYERS, RATE, SEED};
use crate::report::tables::{RunRow, StepRow, build};
use crate::report::text_table::Table;

/// The figures of the example's rows after a change to them, and the rows.
fn figures(change: impl Fn(&mut Vec<RunRow>, &mut Vec<StepRow>)) -> (Figures, Vec<RunRow>, Vec<StepRow>) {
    let folder = tempfile::tempdir().unwrap();
    write_example_runs(folder.path()).unwrap();
    let data = gather_example(folder.path());
    let tables = build(&data).unwrap();
    let (mut rows, mut steps) = (tables.run_rows().unwrap(), tables.step_rows().unwrap());
    change(&mut rows, &mut steps);
    let study = Study::new(&data, rows.clone(), tables.ranked_by);
    (Figures::draw(&study, &Findings::of(&study), &steps).unwrap(), rows, steps)
}

fn only_varies(rows: &mut [RunRow], path: &str) {
    rows.iter_mut().for_each(|row| row.settings.retain(|of_row, _| of_row == path));
}

fn column(table: &Table, name: &str) -> Vec<String> {
    let place = table.columns.iter().position(|column| column.text == name).unwrap();
    table.rows.iter().map(|row| row.cells[place].text.clone()).collect()
}

#[test]
fn importance_has_a_bar_for_every_setting_with_its_numbers_in_the_table() {
    let (figures, ..) = figures(|_, _| ());
    let figure = figures.importance.unwrap().unwrap();
    let settings = column(&figure.table, "setting");
    assert_eq!(
        settings,
        ["learning rate", "unfrozen vision layers", "vision rate multiplier", "weight decay"]
    );
    let shares = column(&figure.table, "share");
    for (share, p) in shares.iter().zip(column(&figure.table, "p")) {
        let note = format!(">{share}, p {}<", p.replace('<', "&lt;"));
        assert!(figure.drawings[0].contains(&note), "{note} is not drawn");
    }
    // As NumPy's least squares have them, with the F distribution.
    assert_eq!(shares, ["38 %", "11 %", "3 %", "1 %"]);
    assert_eq!(column(&figure.table, "p"), ["< 0.001", "0.008", "0.058", "0.154"]);
}

#[test]
fn importance_says_why_it_is_not_there_and_what_it_does_not_draw() {
    let few = figures(|rows, _| rows.iter_mut().skip(7).for_each(|row| row.rank = None)).0;
    let reason = few.importance.unwrap().err().unwrap();
    assert_eq!(
        reason,
        "How important each setting is cannot be told: 7 runs have a validation score, and it takes at least 8."
    );
    let seeds = figures(|rows, _| only_varies(rows, SEED)).0;
    assert!(seeds.importance.is_none() && seeds.parallel.is_none() && seeds.gaps.is_none());
    // A setting that says the same as another.
    let twins = figures(|rows, _| {
        for row in rows.iter_mut() {
            if let Some(layers) = row.settings.get(LAYERS).cloned() {
                row.settings.insert("training.batch_size".to_owned(), layers);
            }
        }
    });
    let figure = twins.0.importance.unwrap().unwrap();
    assert!(
        figure.caption.contains("Not drawn: unfrozen vision layers and batch size, because other settings"),
        "{}",
        figure.caption
    );
    assert!(!figure.drawings[0].contains("batch size"));
    assert_eq!(column(&figure.table, "remark")[3..], ["changes with other settings"; 2]);
}

#[test]
fn every_ranked_run_has_a_line_and_a_row_with_its_settings_and_score() {
    let (figures, rows, _) = figures(|_, _| ());
    let figure = figures.parallel.unwrap();
    let ranked: Vec<&RunRow> = rows.iter().filter(|row| row.rank.is_some()).collect();
    assert_eq!(column(&figure.table, "run"), ranked.iter().map(|row| row.name()).collect::<Vec<_>>());
    let multipliers = column(&figure.table, "vision rate multiplier");
    let layers = column(&figure.table, "unfrozen vision layers");
    assert!(
        multipliers.iter().zip(&layers).all(|(multiplier, layers)| (multiplier == "–") == (layers == "0"))
    );
    assert!(figure.drawings[0].contains(">–<") && figure.caption.contains("At – a setting does not act."));
    let one = super::tests::figures(|rows, _| only_varies(rows, RATE)).0;
    assert!(one.parallel.is_none() && one.importance.is_some());
}

#[test]
fn the_gap_of_each_value_is_that_of_the_best_run_that_has_it() {
    let (figures, rows, _) = figures(|_, _| ());
    let folder = tempfile::tempdir().unwrap();
    write_example_runs(folder.path()).unwrap();
    let data = gather_example(folder.path());
    let gaps = figures.gaps.unwrap();
    let of_layers =
        column(&gaps.table, "setting").iter().filter(|name| *name == "unfrozen vision layers").count();
    assert_eq!((of_layers, &column(&gaps.table, "value")[..3]), (3, &["0", "2", "6"].map(str::to_owned)[..]));
    for (place, name) in column(&gaps.table, "best run").iter().enumerate() {
        let row = rows.iter().find(|row| row.name() == *name).unwrap();
        let curve = &data.runs.iter().find(|run| run.id() == row.run).unwrap().record.curve;
        let kept = curve.iter().find(|evaluated| Some(evaluated.epoch) == row.best_epoch).unwrap();
        let gap = kept.val_nll.unwrap() - kept.train_nll.unwrap();
        assert_eq!(column(&gaps.table, "gap")[place], signed(gap));
        assert_eq!(column(&gaps.table, "rise")[place], percent(row.val_loss_rise));
        assert_eq!(column(&gaps.table, "overfits")[place] == "yes", row.overfit);
    }
    assert_eq!(column(&gaps.table, "best run")[2], "#1");
    assert!(gaps.caption.contains("The gap differs most by "), "{}", gaps.caption);
}

#[test]
fn runs_without_a_training_nll_have_no_gap_but_a_rise() {
    let (figures, ..) = figures(|rows, _| rows.iter_mut().for_each(|row| row.gaps = Default::default()));
    let gaps = figures.gaps.unwrap();
    assert!(column(&gaps.table, "gap").iter().all(|gap| gap == "–"));
    assert!(column(&gaps.table, "rise").iter().all(|rise| rise.ends_with('%')));
    assert!(gaps.caption.contains("did not record") && !gaps.caption.contains("differs most"));
}

#[test]
fn the_expected_best_of_all_runs_is_the_best() {
    let (figures, rows, _) = figures(|_, _| ());
    let figure = figures.expected_best.unwrap();
    let expected = column(&figure.table, "expected best score");
    assert_eq!(expected.len(), rows.iter().filter(|row| row.rank.is_some()).count());
    let best = rows[0].validation.of(crate::report::metrics::Metric::Score).unwrap();
    assert_eq!(expected.last().unwrap(), &format!("{best:.3}"));
    let few = super::tests::figures(|rows, _| rows.iter_mut().skip(3).for_each(|row| row.rank = None)).0;
    assert!(few.expected_best.is_none() && few.parallel.is_some());
}
