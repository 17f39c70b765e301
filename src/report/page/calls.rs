//! How the sweep was run: the commands, and whether they meant the same sweep file and program.

use std::collections::BTreeSet;

use crate::record::invocation::Invocation;
use crate::report::findings::Study;
use crate::report::format::{ABSENT, plural, short_digest};
use crate::report::text_table::{Cell, Row, Table};

/// Later calls than this many are shown; of more, the first ones are only counted.
const SHOWN: usize = 30;

/// A row a call of `sweep run`, the first one first.
pub fn calls(study: &Study) -> Table {
    let mut table =
        Table::new(&["when", "command", "program", "sweep file", "system", "device", "#jobs", "#threads"]);
    let calls = &study.sweep.invocations;
    for call in calls.iter().skip(calls.len().saturating_sub(SHOWN)) {
        let number =
            |value: Option<usize>| value.map_or_else(|| ABSENT.to_owned(), |value| value.to_string());
        let cells = vec![
            Cell::plain(call.at.clone()),
            Cell::marked(call.command.clone(), "id"),
            Cell::plain(format!("sweep {}", call.program)),
            Cell::marked(short_digest(&call.spec_digest), "id"),
            Cell::plain(format!("{} {}", call.system, call.architecture)),
            Cell::plain(call.device.clone()),
            Cell::plain(number(call.jobs)),
            Cell::plain(number(call.threads)),
        ];
        table.rows.push(Row { class: "", cells });
    }
    table
}

/// Whether all calls meant the same; empty where none was recorded.
pub fn calls_in_words(study: &Study) -> String {
    let calls = &study.sweep.invocations;
    let Some(first) = calls.first() else { return String::new() };
    let digest = short_digest(&first.spec_digest);
    if calls.len() == 1 {
        return format!("The sweep was run by one command. The sweep file's SHA-256 begins with {digest}.");
    }
    let count = plural(calls.len(), "command");
    let hidden = calls.len().saturating_sub(SHOWN);
    let rest = if hidden > 0 { format!(" The first {hidden} are not shown.") } else { String::new() };
    let program = match distinct(calls, |call| &call.program) {
        1 => "the same version of this program".to_owned(),
        versions => format!("{versions} different versions of this program"),
    };
    let file = match distinct(calls, |call| &call.spec_digest) {
        1 => format!("all with the same sweep file (its SHA-256 begins with {digest})."),
        files => format!(
            "with {files} different sweep files: runs may have settings that the latest one does not name."
        ),
    };
    format!("The sweep was run by {count} and {program}, {file}{rest}")
}

fn distinct(calls: &[Invocation], value: impl Fn(&Invocation) -> &String) -> usize {
    calls.iter().map(value).collect::<BTreeSet<_>>().len()
}
