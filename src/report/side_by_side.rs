//! Which two runs `sweep report --compare A B` means, and the page on them.

use std::path::PathBuf;

use super::findings::Study;
use super::page::compare::{Two, render};
use super::tables::StepRow;
use crate::record::ReportDir;
use crate::record::store::write_atomic;

/// Names that are shown where one is wrong; the rest is counted.
const SHOWN: usize = 8;

/// Writes the page on two runs, if the sweep has both; else says which names there are.
pub fn write_comparison(
    study: &Study,
    [a, b]: &[String; 2],
    steps: &[StepRow],
    dir: &ReportDir,
) -> anyhow::Result<Result<PathBuf, String>> {
    let (a, b) = match (study.find(a), study.find(b)) {
        (None, _) => return Ok(Err(unknown(study, a))),
        (_, None) => return Ok(Err(unknown(study, b))),
        (Some(a), Some(b)) if a.run == b.run => {
            return Ok(Err(format!("both names mean run {}", a.run)));
        }
        (Some(a), Some(b)) => (a, b),
    };
    let path = dir.comparison(&file_name(&a.run), &file_name(&b.run));
    write_atomic(&path, render(study, Two { a, b }, steps)?.as_bytes())?;
    Ok(Ok(path))
}

fn unknown(study: &Study, name: &str) -> String {
    let names: Vec<String> = study
        .rows
        .iter()
        .map(|row| match row.rank {
            Some(rank) => format!("{rank} ({})", row.run),
            None if row.is_reference() => row.name().replace(' ', "-"),
            None => row.run.clone(),
        })
        .collect();
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = names.get(..SHOWN).unwrap_or(&names).join(", ");
    format!("no run, or more than one, is called {name:?}\nhint: there are {shown}{rest}")
}

/// The name of a row as a part of a file's name.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::report::example_runs::write_example_runs;
    use crate::report::write::{Options, write};

    fn compared(folder: &Path, a: &str, b: &str) -> Result<String, String> {
        let pair = Some([a.to_owned(), b.to_owned()]);
        let written =
            write(&folder.join("runs"), &folder.join("reports"), &Options { pair, ..Options::default() });
        let written = written.map_err(|error| error.to_string())?.remove(0);
        Ok(fs::read_to_string(written.comparison.unwrap().unwrap()).unwrap())
    }

    #[test]
    fn two_runs_are_set_side_by_side_by_any_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let page = compared(folder.path(), "1", "zero-shot").unwrap();
        for part in ["<h1>#1 against zero-shot</h1>", "#1 is better: +", "training.learning_rate", "<mark>"] {
            assert!(page.contains(part), "{part}");
        }
        let bleu = page.split("BLEU-4</th>").nth(1).unwrap().split("</tr>").next().unwrap();
        assert!(bleu.contains("<td>+0.") && bleu.contains(" to +0."), "{bleu}");
        let page = compared(folder.path(), "#2", "#1").unwrap();
        assert!(page.contains("<h1>#2 against #1</h1>") && page.contains("id=\"losses\""));
        let sweep = crate::record::Store::new(&folder.path().join("runs")).sweep("unfreeze");
        let id = sweep.read_plan().unwrap()[0].id.clone();
        assert!(compared(folder.path(), &id, &id).unwrap_err().contains("both names mean run"));
        let wrong = compared(folder.path(), "1", "99").unwrap_err();
        assert!(
            wrong.starts_with("--compare: no run, or more than one, is called \"99\"\nhint: there are 1 (")
        );
    }
}
