//! `rounds.jsonl`: which points a sweep stopped in favour of better ones, a line a comparison, so that a sweep that is
//! resumed or extended does not decide anew what it has decided.
//!
//! Lines are only ever added. A run that is stopped also has its end and the reason in its own log, once that is written.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::files::{StoreError, append_rows};
use super::store::SweepDir;
use super::versioned;

/// The version of the format, written into every line as `v`.
const VERSION: u64 = 1;

/// A longer file is not one that this program wrote.
const MAX_BYTES: u64 = 64 << 20;

/// The runs that were compared after an epoch. Fields that a reader does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub v: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// The epoch after which they were compared.
    pub epoch: usize,
    /// Ids of the runs that go on.
    pub goes_on: Vec<String>,
    pub stops: Vec<Stop>,
}

/// A run that is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub run: String,
    pub reason: String,
}

impl Round {
    /// A comparison of now.
    pub fn now(epoch: usize, goes_on: Vec<String>, stops: Vec<Stop>) -> Self {
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        Self { v: VERSION, at, epoch, goes_on, stops }
    }
}

impl SweepDir {
    /// Adds a comparison in one write, behind the last complete line.
    pub fn append_round(&self, round: &Round) -> Result<(), StoreError> {
        append_rows(&self.rounds_path(), std::slice::from_ref(round))
    }

    /// The comparisons in their order, and what was wrong with lines left out. No file means none.
    pub fn read_rounds(&self) -> (Vec<Round>, Vec<String>) {
        versioned::read(&self.rounds_path(), VERSION, MAX_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn round(epoch: usize) -> Round {
        let stop = Stop { run: "r2".to_owned(), reason: "worse".to_owned() };
        Round::now(epoch, vec!["r1".to_owned()], vec![stop])
    }

    #[test]
    fn comparisons_read_back_in_their_order_and_a_torn_last_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir { path: folder.path().to_owned() };
        assert_eq!(sweep.read_rounds(), (vec![], vec![]));
        let rounds = [round(1), round(3)];
        rounds.iter().for_each(|round| sweep.append_round(round).unwrap());
        assert_eq!(sweep.read_rounds(), (rounds.to_vec(), vec![]));
        let whole = fs::read_to_string(sweep.rounds_path()).unwrap();
        fs::write(sweep.rounds_path(), &whole[..whole.len() - 9]).unwrap();
        assert_eq!(sweep.read_rounds().0, rounds[..1]);
        sweep.append_round(&rounds[1]).unwrap();
        assert_eq!(sweep.read_rounds(), (rounds.to_vec(), vec![]));
    }

    #[test]
    fn later_versions_and_files_beyond_all_measure_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir { path: folder.path().to_owned() };
        let later = serde_json::to_string(&round(1)).unwrap().replace("\"v\":1", "\"v\":2");
        fs::write(sweep.rounds_path(), format!("{later}\n")).unwrap();
        let (rounds, problems) = sweep.read_rounds();
        assert!(rounds.is_empty() && problems[0].contains("has version 2 of the format"), "{problems:?}");
        fs::File::create(sweep.rounds_path()).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(sweep.read_rounds(), (vec![], vec![format!("longer than {MAX_BYTES} bytes")]));
    }
}
