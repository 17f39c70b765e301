//! `events.jsonl`: the log a run writes and everything else reads.
//!
//! [`Journal`] appends, [`read`] reads. A line counts once its newline is on disk: a writer that is killed
//! in the middle of a line leaves a tail that readers pass over and the next [`Journal::open`] cuts off.
//! A line looks like `{"v":1,"at":"2026-01-09T12:00:00.000Z","attempt":1,"event":"step",...}`, with the
//! event's own fields behind. Numbers that are not finite are written as `null`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::event::{Ended, Event, Line, VERSION};
use super::files::{
    MAX_ROW_BYTES, StoreError, open_for_appending, read_last_row, read_rows_with, write_atomic,
};

/// The log of a run at work, open for appending. A run has one writer at a time.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    attempt: u64,
    /// What is on the disk is not what was written: nothing more is appended through this value.
    is_given_up: bool,
}

impl Journal {
    /// Opens the log, creating it where there is none, and cuts off what a killed writer left of its last
    /// line. `attempt` counts the starts of the run from 1 and goes into every line.
    pub fn open(path: &Path, attempt: u64) -> Result<Self, StoreError> {
        Ok(Self { file: open_for_appending(path)?, path: path.to_owned(), attempt, is_given_up: false })
    }

    /// Appends an event with the present time, in one write, and returns the line as written.
    ///
    /// Lines that later decisions lean on (start, checkpoint, end) are on the disk when this returns. A line that could
    /// not be written is not in the log. One that did not reach the disk is taken back, and the log given up: the
    /// operating system tells of such a loss once, and would call the next attempt a success.
    pub fn append(&mut self, event: Event) -> Result<Line, StoreError> {
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let line = Line { at, attempt: self.attempt, event };
        self.write(&line).map_err(|source| StoreError::io(&self.path, "write", source))?;
        Ok(line)
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        if self.is_given_up {
            return Err(io::Error::other("given up after an earlier line could not be kept"));
        }
        let mut text = encode(line)?;
        text.push('\n');
        let length = self.file.metadata()?.len();
        let written = self.file.write_all(text.as_bytes());
        let synced = match (&written, &line.event) {
            (Err(_), _) | (_, Event::Step(_) | Event::Evaluated(_)) => Ok(()),
            (_, Event::Started(_) | Event::Checkpointed(_) | Event::Ended(_)) => self.file.sync_data(),
        };
        if written.is_err() || synced.is_err() {
            // A full disk may have taken half of the line; the next one must not be glued to it.
            let is_cut = self.file.set_len(length).is_ok();
            self.is_given_up = synced.is_err() || !is_cut;
        }
        written.and(synced)
    }
}

/// Reads a log: its lines in order, and what was wrong with those left out, by byte offset.
///
/// A log that does not exist has no lines. A last line without a newline is passed over in silence: its
/// writer is at work or was killed.
pub fn read(path: &Path) -> Result<(Vec<Line>, Vec<String>), StoreError> {
    read_rows_with(path, decode)
}

/// Begins the log of the run `to_run` with all that another run's says, as if it had done that itself.
pub fn hand_on(from: &Path, to: &Path, to_run: &str) -> Result<(), StoreError> {
    let (mut lines, _) = read(from)?;
    let mut text = String::new();
    for line in &mut lines {
        if let Event::Started(started) = &mut line.event {
            started.run = to_run.to_owned();
        }
        text.push_str(&encode(line).map_err(|source| StoreError::io(to, "write", source))?);
        text.push('\n');
    }
    write_atomic(to, text.as_bytes())
}

/// How a run ended, if the last complete line of its log says so. Reads only the end of the log, so that many
/// runs can be looked through quickly.
pub fn read_end(path: &Path) -> Result<Option<Ended>, StoreError> {
    match read_last(path)? {
        Some(Line { event: Event::Ended(ended), .. }) => Ok(Some(*ended)),
        _ => Ok(None),
    }
}

/// The last complete line of a log, if it says anything.
pub fn read_last(path: &Path) -> Result<Option<Line>, StoreError> {
    Ok(read_last_row(path)?.and_then(|text| decode(&text).ok()))
}

/// The first line of a log, if it says anything.
pub fn read_first(path: &Path) -> Option<Line> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?.take(MAX_ROW_BYTES as u64);
    BufReader::new(file).read_until(b'\n', &mut text).ok()?;
    decode(std::str::from_utf8(&text).ok()?).ok()
}

/// A line as JSON text, without the newline.
///
/// The event's own serialization begins with its name, so the envelope is put in front of it: fields keep
/// the order in which [`Event`] declares them whatever map type JSON values use.
pub fn encode(line: &Line) -> io::Result<String> {
    let event = serde_json::to_string(&line.event)?;
    let at = serde_json::to_string(&line.at)?;
    let fields = event.strip_prefix('{').unwrap_or(&event);
    Ok(format!(r#"{{"v":{VERSION},"at":{at},"attempt":{},{fields}"#, line.attempt))
}

/// The line that a JSON text says, or what is wrong with it. Fields that this version does not know are
/// ignored; events and versions it does not know are refused by name.
pub fn decode(text: &str) -> Result<Line, String> {
    // Nearly all lines are well: what is wrong with one is looked for by slower ways.
    sound(text).map_or_else(|| from_fields(text), Ok)
}

/// What every line begins with.
#[derive(Deserialize)]
struct Envelope<'a> {
    v: u64,
    at: String,
    attempt: u64,
    #[serde(borrow)]
    event: Cow<'a, str>,
}

/// The line of a text in which nothing is wrong, without a tree of values in between.
fn sound(text: &str) -> Option<Line> {
    let Envelope { v, at, attempt, event } = serde_json::from_str(text).ok()?;
    let event = match (v, &*event) {
        (VERSION, "started") => Event::Started(serde_json::from_str(text).ok()?),
        (VERSION, "step") => Event::Step(serde_json::from_str(text).ok()?),
        (VERSION, "evaluated") => Event::Evaluated(serde_json::from_str(text).ok()?),
        (VERSION, "checkpointed") => Event::Checkpointed(serde_json::from_str(text).ok()?),
        (VERSION, "ended") => Event::Ended(serde_json::from_str(text).ok()?),
        _ => return None,
    };
    Some(Line { at, attempt, event })
}

fn from_fields(text: &str) -> Result<Line, String> {
    let mut fields: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
    let version = take_number(&mut fields, "v")?;
    if version != VERSION {
        return Err(format!(
            "has version {version} of the event format; this program reads version {VERSION}"
        ));
    }
    let at = take_text(&mut fields, "at")?;
    let attempt = take_number(&mut fields, "attempt")?;
    let name = take_text(&mut fields, "event")?;
    let fields = Value::Object(fields);
    let event = match name.as_str() {
        "started" => serde_json::from_value(fields).map(Event::Started),
        "step" => serde_json::from_value(fields).map(Event::Step),
        "evaluated" => serde_json::from_value(fields).map(Event::Evaluated),
        "checkpointed" => serde_json::from_value(fields).map(Event::Checkpointed),
        "ended" => serde_json::from_value(fields).map(Event::Ended),
        _ => return Err(format!("unknown event `{name}`")),
    };
    let event = event.map_err(|error| format!("event `{name}`: {error}"))?;
    Ok(Line { at, attempt, event })
}

fn take_number(fields: &mut Map<String, Value>, key: &str) -> Result<u64, String> {
    let value = fields.remove(key).ok_or_else(|| format!("has no `{key}`"))?;
    value.as_u64().ok_or_else(|| format!("`{key}` is {value}, not a whole number"))
}

fn take_text(fields: &mut Map<String, Value>, key: &str) -> Result<String, String> {
    match fields.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(value) => Err(format!("`{key}` is {value}, not a string")),
        None => Err(format!("has no `{key}`")),
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
