//! `invocations.jsonl`: how `sweep run` was called on a sweep, a line a call, so that it can be done again.
//!
//! Lines are only ever added. Nothing in them comes from the environment or names the machine: both may be private.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{StoreError, append_rows};
use super::store::SweepDir;
use super::versioned;

/// The version of the format, written into every line as `v`.
const VERSION: u64 = 1;

/// A longer file is not one that this program wrote: it has room for tens of thousands of calls.
const MAX_BYTES: u64 = 16 << 20;

/// A call of `sweep run`. Fields that a reader does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    pub v: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// Version of this program.
    pub program: String,
    /// What was typed, quoted as a shell needs it.
    pub command: String,
    /// As it was asked for: `auto`, `cpu`, ... What each run used is in its own log.
    pub device: String,
    /// Threads of each run, and runs at a time, as chosen; absent where nothing was left to run and none were named.
    pub threads: Option<usize>,
    pub jobs: Option<usize>,
    /// `linux`, `macos`, ...
    pub system: String,
    /// `x86_64`, `aarch64`, ...
    pub architecture: String,
    /// SHA-256 of the sweep file, and behind it of those that it builds on.
    pub spec_digest: String,
}

impl Invocation {
    /// A call of this program, now.
    pub fn now(command: String, device: String, sweep_file: &[u8]) -> Self {
        Self {
            v: VERSION,
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            command,
            device,
            threads: None,
            jobs: None,
            system: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            spec_digest: format!("{:x}", Sha256::digest(sweep_file)),
        }
    }
}

impl SweepDir {
    /// Adds a call in one write, behind the last complete line.
    pub fn append_invocation(&self, invocation: &Invocation) -> Result<(), StoreError> {
        append_rows(&self.invocations_path(), std::slice::from_ref(invocation))
    }

    /// The calls in their order, and what was wrong with lines left out. No file means none: earlier versions of this
    /// program wrote no such file.
    pub fn read_invocations(&self) -> (Vec<Invocation>, Vec<String>) {
        versioned::read(&self.invocations_path(), VERSION, MAX_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn sweep(folder: &tempfile::TempDir) -> SweepDir {
        SweepDir { path: folder.path().to_owned() }
    }

    fn invocation(command: &str) -> Invocation {
        Invocation { jobs: Some(2), ..Invocation::now(command.to_owned(), "cpu".to_owned(), b"name: x\n") }
    }

    #[test]
    fn calls_read_back_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(sweep(&folder).read_invocations(), (vec![], vec![]));
        let calls = [invocation("sweep run a.yaml"), invocation("sweep run 'b c.yaml'")];
        calls.iter().for_each(|call| sweep(&folder).append_invocation(call).unwrap());
        assert_eq!(sweep(&folder).read_invocations(), (calls.to_vec(), vec![]));
        // `printf 'name: x\n' | sha256sum`
        assert_eq!(calls[0].spec_digest, "a2a79ea37edb1963efaae29281523ab441a8a99df048d204f22f3f413e325afc");
        assert!(humantime::parse_rfc3339(&calls[0].at).is_ok());
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_the_next_call_is_not_glued_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (invocation("one"), invocation("two"));
        sweep(&folder).append_invocation(&first).unwrap();
        let path = sweep(&folder).invocations_path();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
        assert_eq!(sweep(&folder).read_invocations(), (vec![first.clone()], vec![]));
        sweep(&folder).append_invocation(&second).unwrap();
        assert_eq!(sweep(&folder).read_invocations(), (vec![first, second], vec![]));
    }

    #[test]
    fn unknown_fields_are_ignored_and_what_cannot_be_read_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let call = invocation("one");
        let line = serde_json::to_string(&call).unwrap();
        let more = line.replacen('{', "{\"more\":[1],", 1);
        let later = line.replacen("\"v\":1", "\"v\":2", 1);
        fs::write(sweep(&folder).invocations_path(), format!("nonsense\n{more}\n{later}\n")).unwrap();
        let (calls, problems) = sweep(&folder).read_invocations();
        assert_eq!(calls, [call]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[1].contains("has version 2 of the format"), "{problems:?}");
    }

    #[test]
    fn a_file_beyond_all_measure_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(sweep(&folder).invocations_path()).unwrap();
        file.set_len(MAX_BYTES + 1).unwrap();
        let (calls, problems) = sweep(&folder).read_invocations();
        assert_eq!((calls, problems), (vec![], vec![format!("longer than {MAX_BYTES} bytes")]));
    }
}
