//! What was trained, with which settings, from what and by what: enough to do it again, or to see that it
//! was not what one thought.

use std::collections::BTreeSet;

use crate::report::findings::Study;
use crate::report::format::{ABSENT, count, plural, short_digest};
use crate::report::settings::{LAYERS, Settings, common, value_text};
use crate::report::tables::{Origin, RunRow, Trained};
use crate::report::text_table::{Cell, Row, Table};

/// Parameters by part, and whether frozen weights stayed as they were.
pub fn trained(study: &Study) -> Table {
    let mut table = Table::new(&[
        "run",
        "#layers",
        "#vision layers",
        "#other vision",
        "#text decoder",
        "#trained",
        "#frozen",
        "#tensors",
        "frozen weights",
    ]);
    for row in study.fine_tuned() {
        let Some(trained) = &row.trained else { continue };
        let part = |parameters: usize| Cell::plain(count(parameters as u64));
        let layers = row.settings.get(LAYERS).map_or_else(|| ABSENT.to_owned(), value_text);
        let cells = vec![
            Cell::plain(row.name_or_id()),
            Cell::plain(layers),
            part(trained.vision_layers),
            part(trained.vision_other),
            part(trained.text),
            part(trained.total),
            part(trained.frozen),
            Cell::plain(trained.tensors.to_string()),
            frozen(trained),
        ];
        table.rows.push(Row { class: "", cells });
    }
    table
}

fn frozen(trained: &Trained) -> Cell {
    let before = short_digest(&trained.digest_before);
    match &trained.digest_after {
        Some(after) if *after == trained.digest_before => Cell::plain(format!("unchanged, {before}")),
        Some(after) => Cell::marked(format!("CHANGED from {before} to {}", short_digest(after)), "overfit"),
        None => Cell::plain(format!("{before} before; the run has not ended")),
    }
}

/// Contradictions that are told one by one.
const MOST: usize = 10;

/// Runs whose record contradicts their settings.
pub fn contradictions(study: &Study) -> Vec<String> {
    let contradiction = |row: &RunRow| {
        let layers = row.settings.get(LAYERS)?.as_u64()?;
        let trained = row.trained.as_ref()?;
        let trains_vision = trained.vision_layers > 0;
        ((layers > 0) != trains_vision).then(|| {
            format!(
                "Run {} is set to unfreeze {} but trains {} parameters of them.",
                row.name_or_id(),
                plural(layers as usize, "vision layer"),
                count(trained.vision_layers as u64)
            )
        })
    };
    let mut all: Vec<String> = study.fine_tuned().filter_map(contradiction).collect();
    if all.len() > MOST {
        let more = format!("The same is true of {} more runs.", all.len() - MOST);
        all.truncate(MOST);
        all.push(more);
    }
    all
}

/// Settings that all fine-tuned runs share.
pub fn common_settings(study: &Study) -> Table {
    let settings: Vec<&Settings> = study.fine_tuned().map(|row| &row.settings).collect();
    let mut table = Table::new(&["setting", "value"]);
    for (path, value) in common(&settings) {
        table.add([path, value_text(&value)]);
    }
    table
}

/// Program, device, weights and data; a row for each combination that the runs met.
pub fn origins(study: &Study) -> Table {
    let origins: BTreeSet<&Origin> = study.rows.iter().filter_map(|row| row.origin.as_ref()).collect();
    let mut table = Table::new(&[
        "program",
        "device",
        "#threads",
        "model weights",
        "data",
        "#training",
        "#validation",
        "#test",
        "#runs",
    ]);
    for origin in origins {
        let runs = study.rows.iter().filter(|row| row.origin.as_ref() == Some(origin)).count();
        table.add([
            format!("sweep {}", origin.program),
            origin.device.clone(),
            origin.threads.to_string(),
            short_digest(&origin.model_digest),
            short_digest(&origin.data_digest),
            origin.train_examples.to_string(),
            origin.validation_examples.to_string(),
            origin.test_examples.to_string(),
            runs.to_string(),
        ]);
    }
    table
}

/// Runs that did not come to their own end, with the reason: those that the sweep stopped in favour of better ones too.
pub fn incomplete(study: &Study) -> Table {
    let mut table = Table::new(&["run", "id", "status", "#epochs", "reason"]);
    for row in study.rows.iter().filter(|row| !row.is_complete() || row.status == "pruned") {
        let epochs = row.epochs.map_or_else(|| ABSENT.to_owned(), |epochs| epochs.to_string());
        let reason = row.reason.clone().unwrap_or_else(|| unsaid_reason(row).to_owned());
        table.add([row.name(), row.run.clone(), row.status.replace('_', " "), epochs, reason]);
    }
    table
}

fn unsaid_reason(row: &RunRow) -> &'static str {
    match row.status.as_str() {
        "not_started" => "`sweep run` would start it",
        "unfinished" => "its log has no end: it was cut off, or is still running",
        _ => "",
    }
}
