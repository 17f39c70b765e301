//! Everything that is wrong with a data set, in one error.
//!
//! A user with forty missing pictures should learn of all forty at once, before anything is trained.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Entries shown of each kind; the rest is counted.
const SHOWN: usize = 50;
/// Characters shown of each line of an entry: a name in a file may have a million.
const LONGEST: usize = 500;

/// What kind of fault an entry has. The order is the order of display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The captions file cannot be read.
    Captions,
    /// The images folder is not there.
    ImagesFolder,
    /// A split has no examples.
    EmptySplit,
    /// A file name occurs twice in a captions file.
    DuplicateEntry,
    /// An entry has no caption, or one without any text.
    EmptyCaption,
    /// The name of an image leads out of the folder of images.
    StrayImage,
    /// The image of an entry is not there.
    MissingImage,
    /// The image of an entry cannot be used.
    BrokenImage,
}

impl ProblemKind {
    fn heading(self) -> &'static str {
        match self {
            Self::Captions => "unreadable captions",
            Self::ImagesFolder => "missing images folder",
            Self::EmptySplit => "empty split",
            Self::DuplicateEntry => "file name that occurs twice",
            Self::EmptyCaption => "empty caption",
            Self::StrayImage => "image outside of the images folder",
            Self::MissingImage => "missing image",
            Self::BrokenImage => "broken image",
        }
    }
}

/// All faults found, grouped by kind; shown as a list.
#[derive(Debug, Default)]
pub struct Problems(BTreeMap<ProblemKind, Vec<String>>);

impl Problems {
    /// Adds a fault. `entry` names the file and, where there is more to say, the reason.
    pub fn add(&mut self, kind: ProblemKind, entry: String) {
        self.0.entry(kind).or_default().push(entry);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of faults of all kinds.
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The entries of one kind, in the order in which they were found.
    pub fn of_kind(&self, kind: ProblemKind) -> &[String] {
        self.0.get(&kind).map_or(&[], Vec::as_slice)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let count = self.count();
        write!(f, "{count} problem{} with the data", if count == 1 { "" } else { "s" })?;
        for (kind, entries) in &self.0 {
            write!(f, "\n  {} ({}):", kind.heading(), entries.len())?;
            for entry in entries.iter().take(SHOWN) {
                for line in entry.lines() {
                    write!(f, "\n    {}", shortened(line))?;
                }
            }
            if entries.len() > SHOWN {
                write!(f, "\n    and {} more", entries.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

/// The line, or its beginning where it is longer than anyone reads.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}... ({} characters)", &line[..end], line.chars().count()),
        None => line.to_owned(),
    }
}

/// A path in a message: line breaks and what would steer a terminal are written as escapes.
pub fn shown_path(path: &Path) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    path.to_string_lossy().chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_the_list_are_escaped_and_cut() {
        assert_eq!(shown_path(Path::new("é/a\n\u{1b}[2J.png")), "é/a\\n\\u{1b}[2J.png");
        let mut problems = Problems::default();
        problems.add(ProblemKind::Captions, "x".repeat(LONGEST + 1));
        let text = problems.to_string();
        assert!(text.ends_with(&format!("\n    {}... (501 characters)", "x".repeat(LONGEST))), "{text}");
    }

    #[test]
    fn problems_are_grouped_by_kind_and_long_lists_are_counted() {
        let mut problems = Problems::default();
        for index in 0..SHOWN + 3 {
            problems.add(ProblemKind::MissingImage, format!("{index}.png"));
        }
        problems.add(ProblemKind::EmptyCaption, "x.png".to_owned());
        let text = problems.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "54 problems with the data");
        assert_eq!(lines[1], "  empty caption (1):");
        assert_eq!(lines[2], "    x.png");
        assert_eq!(lines[3], "  missing image (53):");
        assert_eq!(lines[4], "    0.png");
        assert_eq!(lines[53], "    49.png");
        assert_eq!(lines[54], "    and 3 more");
        assert_eq!(lines.len(), 55);
    }
}
