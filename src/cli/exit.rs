//! How the program ends: exit codes, and errors as the user reads them.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use thiserror::Error;

use super::output;
use crate::cluster::ClusterError;
use crate::data::DataError;
use crate::data::caption_files::CaptionFileError;
use crate::data::captions::CaptionsError;
use crate::data::convert::ConvertError;
use crate::data::processor_config::ProcessorError;
use crate::data::tokenizer::TokenizerError;
use crate::hub::HubError;
use crate::lab::study::StudyError;
use crate::model::WeightsError;
use crate::model::config::ConfigError;
use crate::plan::PlanError;
use crate::record::store::StoreError;
use crate::report::{NoSuchRuns, RatingFileError};
use crate::run::execute::ExecuteError;
use crate::run::inputs::InputsError;
use crate::run::preflight::PreflightError;
use crate::run::resolve::ResolveError;
use crate::spec::SpecError;

/// Everything was done.
pub const ALL_IS_WELL: u8 = 0;
/// An error that nobody foresaw.
pub const UNEXPECTED: u8 = 1;
/// The command line or a file that it names is wrong. clap exits with the same code.
pub const BAD_INPUT: u8 = 2;
/// The sweep is done, but some runs failed.
pub const SOME_RUNS_FAILED: u8 = 3;
/// Stopped by the user or the clock, with work left: 128 and the number of SIGINT, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// A wrong command line that clap cannot recognise, or a file that is wrong as a whole.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// Characters of a line of a message; nobody reads more.
const LONGEST_LINE: usize = 1500;

/// Shows an error on standard error and returns the exit code for it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    output::tell(&describe(error));
    ExitCode::from(if is_bad_input(error) { BAD_INPUT } else { UNEXPECTED })
}

/// `error: ` and the message, what caused it, and last the hints of all of them.
fn describe(error: &anyhow::Error) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for (depth, cause) in error.chain().enumerate() {
        let message = cause.to_string();
        // Some errors say their cause themselves.
        if depth > 0 && lines.iter().any(|line| line.contains(message.trim_end())) {
            continue;
        }
        let prefix = if depth == 0 { "error: " } else { "  because: " };
        for (number, line) in message.lines().enumerate() {
            if line.starts_with("hint: ") {
                if !hints.iter().any(|hint| hint == line) {
                    hints.push(line.to_owned());
                }
            } else {
                let prefix = if number == 0 { prefix } else { "" };
                lines.push(format!("{prefix}{}", presentable(line)));
            }
        }
    }
    lines.append(&mut hints);
    lines.join("\n")
}

/// A line as a terminal can show it. Messages quote what files say, and a file may say a megabyte, or what would steer
/// the terminal.
fn presentable(line: &str) -> String {
    let escaped =
        |c: char| if c.is_control() && c != '\t' { c.escape_default().collect() } else { String::from(c) };
    let mut text: String = line.chars().take(LONGEST_LINE).map(escaped).collect();
    if line.chars().nth(LONGEST_LINE).is_some() {
        text.push_str(&format!("... ({} characters)", line.chars().count()));
    }
    text
}

/// Whether the user's command line or files are at fault.
fn is_bad_input(error: &anyhow::Error) -> bool {
    // A context is not part of the chain under its own type, so it is asked for first.
    error.is::<BadInput>() || error.chain().any(is_about_input)
}

fn is_about_input(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<BadInput>()
        || cause.is::<SpecError>()
        || cause.is::<ClusterError>()
        || cause.is::<PlanError>()
        || cause.is::<InputsError>()
        || cause.is::<ResolveError>()
        || cause.is::<DataError>()
        || cause.is::<CaptionFileError>()
        || cause.is::<NoSuchRuns>()
        || cause.is::<CaptionsError>()
        || cause.downcast_ref().is_some_and(is_bad_conversion)
        || cause.is::<TokenizerError>()
        || cause.is::<ProcessorError>()
        || cause.is::<ConfigError>()
        || cause.is::<WeightsError>()
        || cause.is::<ExecuteError>()
        || cause.is::<RatingFileError>()
        || cause.downcast_ref().is_some_and(is_about_place)
        || cause.downcast_ref::<HubError>().is_some_and(HubError::is_about_input)
        || cause.downcast_ref().is_some_and(is_bad_store)
        || matches!(cause.downcast_ref(), Some(StudyError::Occupied { .. }))
        || cause.downcast_ref::<PreflightError>().is_some_and(|error| error.is_bad_input)
}

fn is_bad_store(error: &StoreError) -> bool {
    match error {
        StoreError::Io { cause, .. } => is_about_place(cause),
        StoreError::Broken { .. } | StoreError::NoFolder { .. } => true,
    }
}

fn is_bad_conversion(error: &ConvertError) -> bool {
    match error {
        ConvertError::Captions(_) | ConvertError::Parquet(_) | ConvertError::Refused(_) => true,
        ConvertError::Store(error) => is_bad_store(error),
        ConvertError::Json(_) => false,
    }
}

/// Whether the system finds the place that was named to be at fault, and not itself.
fn is_about_place(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory | PermissionDenied | ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_come_last_and_causes_once() {
        let inner = BadInput("a.json: no such file\nhint: write it".to_owned());
        let error = anyhow::Error::new(inner).context("cannot score\nhint: see --help");
        assert_eq!(
            describe(&error),
            "error: cannot score\n  because: a.json: no such file\nhint: see --help\nhint: write it"
        );
        let error = anyhow::anyhow!("disk full").context("a.json: cannot write: disk full");
        assert_eq!(describe(&error), "error: a.json: cannot write: disk full");
    }

    #[test]
    fn what_files_say_neither_floods_nor_steers_the_terminal() {
        let error = anyhow::anyhow!("a.json: \u{1b}[2J{}", "x".repeat(1_000_000));
        let text = describe(&error);
        assert!(
            text.starts_with("error: a.json: \\u{1b}[2Jxx") && text.ends_with("xx... (1000012 characters)")
        );
        assert!(text.len() < 1600);
    }

    #[test]
    fn bad_input_is_told_from_the_unexpected_at_any_depth() {
        let bad = || anyhow::Error::new(BadInput("x".to_owned()));
        assert!(is_bad_input(&bad()));
        assert!(is_bad_input(&bad().context("y").context("z")));
        assert!(is_bad_input(&anyhow::anyhow!("x").context(BadInput("y".to_owned()))));
        assert!(!is_bad_input(&anyhow::anyhow!("x").context("y")));
        let system = |kind: io::ErrorKind| anyhow::Error::new(io::Error::from(kind)).context("x");
        assert!(is_bad_input(&system(io::ErrorKind::PermissionDenied)));
        assert!(!is_bad_input(&system(io::ErrorKind::StorageFull)));
    }
}
