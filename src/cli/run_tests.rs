//! How `sweep run` closes.

use super::*;
use crate::record::Status;
use crate::run::dispatch::tests::planned;

fn record(id: &str, status: Option<Status>, attempts: u64) -> RunRecord {
    RunRecord { status, attempts, ..RunRecord::planned(planned(id)) }
}

#[test]
fn runs_at_work_elsewhere_are_unfinished_and_counted_by_themselves() {
    let records = vec![
        record("done", Some(Status::Finished), 1),
        record("cut", None, 1),
        record("theirs", None, 1),
        record("theirs_too", Some(Status::Failed), 1),
    ];
    let outcome = |elsewhere: &[&str], records: &[RunRecord]| Outcome {
        records: records.to_vec(),
        elsewhere: elsewhere.iter().map(|id| (*id).to_owned()).collect(),
        failures: Vec::new(),
        halt: None,
    };
    let args = Args::typed(["sweep", "run", "x.yaml"].map(str::to_owned).to_vec()).unwrap();
    let (code, words) = verdict(&outcome(&["theirs", "theirs_too"], &records), &args);
    assert_eq!(code, exit::INTERRUPTED);
    insta::assert_snapshot!(words, @"
    some runs are unfinished: 1 of 4 runs are done, 2 at work elsewhere, 1 interrupted
    go on with: sweep run x.yaml
    hint: `sweep status runs` shows how far those at work elsewhere are
    ");
    let (code, words) = verdict(&outcome(&[], &records[..1]), &args);
    assert_eq!((code, words.as_str()), (exit::ALL_IS_WELL, "next: sweep report runs"));
}
