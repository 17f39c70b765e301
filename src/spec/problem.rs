//! What is wrong with a sweep file, said so that the reader can mend it: place, key, value, what is valid.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// A file with more problems than this says how many there are, not what each is.
const MAX_SHOWN: usize = 30;

/// Where a key or value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the sweep file, both from 1 and the column in characters. Zeros where the place is not known.
    File { line: usize, column: usize },
    /// The same of a file that the sweep file builds on.
    Base { file: Arc<str>, line: usize, column: usize },
    /// In an override of the command line, given as typed.
    Override(String),
}

impl Place {
    /// The file as a whole, or a place in it that is not known.
    pub const FILE: Self = Self::File { line: 0, column: 0 };

    /// What problems are sorted by: places in the file, in those that it builds on, then the command line's overrides as
    /// they came.
    pub(super) fn rank(&self) -> (usize, Arc<str>, usize, usize) {
        match self {
            Self::File { line, column } => (0, Arc::default(), *line, *column),
            Self::Base { file, line, column } => (1, file.clone(), *line, *column),
            Self::Override(_) => (2, Arc::default(), 0, 0),
        }
    }

    /// A place of a file as one that the sweep file builds on.
    pub(super) fn within(&self, file: &Path) -> Self {
        match self {
            Self::File { line, column } => {
                Self::Base { file: file.display().to_string().into(), line: *line, column: *column }
            }
            other => other.clone(),
        }
    }
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    pub message: String,
    /// The remedy, where it does not follow from the message.
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Why there is no [`SweepSpec`](super::SweepSpec).
#[derive(Debug, Error)]
pub enum SpecError {
    #[error("{}: cannot read the sweep file: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}", Listing { file, problems })]
    Invalid {
        /// The file as the user named it.
        file: String,
        /// At least one, in order of place.
        problems: Vec<Problem>,
    },
}

struct Listing<'a> {
    file: &'a str,
    problems: &'a [Problem],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(MAX_SHOWN).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match &problem.place {
                Place::File { line: 0, .. } => write!(f, "{}", self.file)?,
                Place::File { line, column } => write!(f, "{}:{line}:{column}", self.file)?,
                Place::Base { file, line: 0, .. } => write!(f, "{file}")?,
                Place::Base { file, line, column } => write!(f, "{file}:{line}:{column}")?,
                Place::Override(text) => write!(f, "override `{text}`")?,
            }
            write!(f, ": {}", problem.message)?;
            if let Some(hint) = &problem.hint {
                write!(f, "\nhint: {hint}")?;
            }
        }
        match self.problems.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n... and {more} more problems"),
        }
    }
}

/// `; did you mean `x`?` for the candidate that is likely meant, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    // No candidate is longer by far, and comparing takes time with the length: a file may be one word.
    const LONGEST: usize = 100;
    if word.len() > LONGEST {
        return String::new();
    }
    let word = word.to_lowercase();
    let length = word.chars().count();
    // A third of the word may be wrong: enough for slips, too little for unrelated names.
    let tolerance = (length / 3).max(1);
    let is_near = |candidate: &&str| candidate.chars().count().abs_diff(length) <= tolerance;
    let distance = |candidate| (strsim::damerau_levenshtein(&word, candidate), candidate);
    match candidates.into_iter().filter(is_near).map(distance).min() {
        Some((distance, candidate)) if distance <= tolerance => format!("; did you mean `{candidate}`?"),
        _ => String::new(),
    }
}

/// "`a`", "`a` or `b`", "`a`, `b` or `c`".
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A text as it appears in a message: in back quotes, on one line, not too long.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_unrelated_words_are_not() {
        let keys = ["learning_rate", "weight_decay", "seeds"];
        assert_eq!(did_you_mean("learning_rat", keys), "; did you mean `learning_rate`?");
        assert_eq!(did_you_mean("Seed", keys), "; did you mean `seeds`?");
        assert_eq!(did_you_mean("optimizer", keys), "");
        assert_eq!(did_you_mean("", keys), "");
        let start = std::time::Instant::now();
        assert_eq!(did_you_mean(&"learning_rate".repeat(80_000), keys.repeat(20)), "");
        assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
    }

    #[test]
    fn a_listing_is_cut_short() {
        let problems = vec![Problem::new(&Place::FILE, "wrong"); MAX_SHOWN + 5];
        let text = SpecError::Invalid { file: "x.yaml".into(), problems }.to_string();
        assert_eq!(text.lines().count(), MAX_SHOWN + 1);
        assert!(text.ends_with("\n... and 5 more problems"));
    }

    #[test]
    fn quoted_text_stays_on_one_line_and_short() {
        assert_eq!(quoted("a\nb"), r"`a\nb`");
        assert_eq!(quoted(&"x".repeat(100)), format!("`{}...`", "x".repeat(60)));
    }
}
