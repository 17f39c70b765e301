//! How far a download is.

use std::time::{Duration, Instant};

use super::words;
use crate::hub::Download;

/// Smaller files are not worth a word.
const LARGE_BYTES: u64 = 20_000_000;
/// Within a long download a line comes this often.
const QUIET: Duration = Duration::from_secs(30);

/// The file that is being downloaded.
#[derive(Debug)]
pub struct Transfer {
    pub name: String,
    pub bytes: u64,
    pub done: u64,
    spoke: Instant,
    is_waiting: bool,
}

impl Transfer {
    pub fn new() -> Self {
        Self { name: String::new(), bytes: 0, done: 0, spoke: Instant::now(), is_waiting: false }
    }

    /// Takes note, and returns a line where something is worth one.
    pub fn hear(&mut self, download: &Download) -> Option<String> {
        let was_waiting = std::mem::replace(&mut self.is_waiting, *download == Download::Waiting);
        match download {
            Download::File { name, bytes } => {
                let is_new = self.name != *name;
                (self.name, self.bytes, self.done) = (name.clone(), *bytes, 0);
                (is_new && *bytes >= LARGE_BYTES).then(|| {
                    self.spoke = Instant::now();
                    format!("downloading {name}, {}", words::size(*bytes))
                })
            }
            Download::Bytes(bytes) => {
                self.done += bytes;
                (self.spoke.elapsed() >= QUIET).then(|| {
                    self.spoke = Instant::now();
                    let percent = self.done * 100 / self.bytes.max(1);
                    format!("{}: {percent} % of {}", self.name, words::size(self.bytes))
                })
            }
            Download::Waiting => (!was_waiting)
                .then(|| "another process is downloading the same file; waiting for it".to_owned()),
            Download::Retrying(reason) => Some(format!("{reason}; trying again")),
        }
    }
}

impl Default for Transfer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_waiting_and_failures_are_worth_a_line() {
        let mut transfer = Transfer::new();
        let file = |name: &str, bytes| Download::File { name: name.to_owned(), bytes };
        assert_eq!(transfer.hear(&file("config.json", 4_563)), None);
        let line = transfer.hear(&file("model.safetensors", 990_000_000)).unwrap();
        assert_eq!(line, "downloading model.safetensors, 990 MB");
        assert_eq!(transfer.hear(&file("model.safetensors", 990_000_000)), None);
        assert_eq!(transfer.hear(&Download::Bytes(1_000)), None);
        assert_eq!(transfer.done, 1_000);
        assert!(transfer.hear(&Download::Waiting).is_some());
        assert_eq!(transfer.hear(&Download::Waiting), None);
        let line = transfer.hear(&Download::Retrying("vocab.txt: connection reset".to_owned())).unwrap();
        assert_eq!(line, "vocab.txt: connection reset; trying again");
    }
}
