//! `search.jsonl`: which points a search has chosen, a line a round, so that a sweep that is resumed does not decide anew
//! what it has decided, even where a run of before has come to another end since.
//!
//! Lines are only ever added. Without the file the rounds are made again from the runs' logs, which say the same.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{StoreError, append_rows};
use super::store::SweepDir;
use super::versioned;

/// The version of the format, written into every line as `v`.
const VERSION: u64 = 1;

/// A longer file is not one that this program wrote.
const MAX_BYTES: u64 = 64 << 20;

/// The points of a round. Fields that a reader does not know are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    pub v: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// What is searched and how, as a digest: rounds of another search count for nothing.
    pub search: String,
    /// Points that there were before.
    pub after: usize,
    /// Points that the search is to have in all.
    pub of: usize,
    /// Each a value for every setting that is searched over, by dotted path.
    pub points: Vec<BTreeMap<String, Value>>,
}

impl Chosen {
    /// A round of now.
    pub fn now(search: &str, (after, of): (usize, usize), points: Vec<BTreeMap<String, Value>>) -> Self {
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        Self { v: VERSION, at, search: search.to_owned(), after, of, points }
    }
}

impl SweepDir {
    /// Adds a round in one write, behind the last complete line.
    pub fn append_chosen(&self, chosen: &Chosen) -> Result<(), StoreError> {
        append_rows(&self.search_path(), std::slice::from_ref(chosen))
    }

    /// The rounds in their order, and what was wrong with lines left out. No file means none.
    pub fn read_chosen(&self) -> (Vec<Chosen>, Vec<String>) {
        versioned::read(&self.search_path(), VERSION, MAX_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn rounds_read_back_in_their_order_and_what_is_no_round_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir { path: folder.path().to_owned() };
        assert_eq!(sweep.read_chosen(), (vec![], vec![]));
        let point = BTreeMap::from([("training.learning_rate".to_owned(), Value::from(1e-3))]);
        let rounds =
            [Chosen::now("s", (0, 9), vec![point.clone(); 3]), Chosen::now("s", (3, 9), vec![point])];
        rounds.iter().for_each(|round| sweep.append_chosen(round).unwrap());
        assert_eq!(sweep.read_chosen(), (rounds.to_vec(), vec![]));
        let whole = fs::read_to_string(sweep.search_path()).unwrap();
        fs::write(sweep.search_path(), &whole[..whole.len() - 9]).unwrap();
        assert_eq!(sweep.read_chosen().0, rounds[..1]);
        fs::write(sweep.search_path(), whole.replacen("\"v\":1", "\"v\":2", 1)).unwrap();
        let (read, problems) = sweep.read_chosen();
        assert_eq!((read, problems.len()), (rounds[1..].to_vec(), 1));
        fs::File::create(sweep.search_path()).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(sweep.read_chosen(), (vec![], vec![format!("longer than {MAX_BYTES} bytes")]));
    }
}
