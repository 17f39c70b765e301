//! The end of a run's log: what it said last.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Lines that are shown.
const SHOWN: usize = 5;
/// Place and message of a panic.
const SHOWN_OF_PANIC: usize = 2;
/// Lines that are looked through for what tells most.
const READ: usize = 100;
/// A log is read from its end, so that its length does not matter.
const MOST_BYTES: u64 = 16 * 1024;

/// The lines that tell most: of a panic its message, not the end of its backtrace; else the last ones. None where there
/// is no log.
pub fn telling_lines(path: &Path) -> Vec<String> {
    let mut lines = last_lines(path, READ);
    let panic = lines.iter().rposition(|line| line.contains(" panicked at "));
    let start = panic.unwrap_or(lines.len().saturating_sub(SHOWN));
    let mut telling = lines.split_off(start);
    telling.truncate(if panic.is_some() { SHOWN_OF_PANIC } else { SHOWN });
    telling
}

/// The last `count` lines that are not blank.
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(MOST_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let start = lines.len().saturating_sub(count);
    lines.into_iter().skip(start).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_long_log_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        assert!(last_lines(&path, 2).is_empty());
        let text: String = (0..10_000).map(|number| format!("line {number}\n\n")).collect();
        std::fs::write(&path, text).unwrap();
        assert_eq!(last_lines(&path, 2), ["line 9998", "line 9999"]);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(last_lines(&path, 2), ["one"]);
    }

    #[test]
    fn of_a_panic_its_message_is_shown_and_not_the_end_of_its_backtrace() {
        let folder = tempfile::tempdir().unwrap();
        let log = |text: &str| {
            let path = folder.path().join("log.txt");
            std::fs::write(&path, text).unwrap();
            telling_lines(&path)
        };
        assert_eq!(log("a\nb\nc\nd\ne\nf"), ["b", "c", "d", "e", "f"]);
        let panic = ["thread 'main' panicked at x.rs:1:1:", "no"];
        assert_eq!(log(&format!("a\n{}\n 0: f\n 1: g", panic.join("\n"))), panic);
    }
}
