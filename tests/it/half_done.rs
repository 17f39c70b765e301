//! A report can be made of every state that a sweep's folder passes through, and of many that it should not be in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sweep::record::event::{Ended, Event, Summary};
use sweep::record::{Journal, Status, journal};
use sweep::report::{self, Written};

use crate::toy::{self, records};
use crate::workdir::Workdir;

/// A finished toy sweep, whose logs are put back to what they were at any event.
struct Finished {
    workdir: Workdir,
    /// Every line of every log with the run's id, in the order in which they were written.
    lines: Vec<(String, String)>,
}

impl Finished {
    fn new() -> Self {
        let workdir = toy::prepared();
        let shown = workdir.sweep(&toy::command(2));
        assert!(shown.starts_with("exit 0\n"), "{shown}");
        let mut finished = Self { workdir, lines: Vec::new() };
        let mut lines = Vec::new();
        for record in records(&finished.runs(), toy::NAME) {
            let text = fs::read_to_string(finished.log(&record.spec.id)).unwrap();
            let of_run = text.lines().map(|line| (record.spec.id.clone(), line.to_owned()));
            lines.extend(of_run);
        }
        // A run's own lines stay in their order where they are of the same millisecond.
        lines.sort_by_key(|(_, line)| journal::decode(line).unwrap().at);
        finished.lines = lines;
        finished
    }

    fn runs(&self) -> PathBuf {
        self.workdir.path().join("runs")
    }

    fn sweep(&self) -> PathBuf {
        self.runs().join(toy::NAME)
    }

    fn log(&self, id: &str) -> PathBuf {
        self.sweep().join(id).join("events.jsonl")
    }

    fn ids(&self) -> Vec<String> {
        records(&self.runs(), toy::NAME).into_iter().map(|record| record.spec.id).collect()
    }

    /// The logs as they were after so many events, with what a writer had half done of the next.
    fn at(&self, events: usize) {
        let mut logs: BTreeMap<&str, String> = BTreeMap::new();
        for (id, line) in &self.lines[..events] {
            *logs.entry(id).or_default() += &format!("{line}\n");
        }
        if let Some((id, line)) = self.lines.get(events) {
            *logs.entry(id).or_default() += &line[..line.len() / 2];
        }
        for id in self.ids() {
            match logs.get(id.as_str()) {
                Some(text) => fs::write(self.log(&id), text).unwrap(),
                None => drop(fs::remove_file(self.log(&id))),
            }
        }
    }

    fn report(&self) -> (Written, PathBuf) {
        let out = self.workdir.path().join("reports");
        let mut written = report::write(&self.runs(), &out, &report::Options::default()).unwrap();
        assert_eq!(written.len(), 1);
        (written.remove(0), out.join(toy::NAME))
    }
}

/// Runs of a report by what its table says of how they ended.
fn statuses(folder: &Path) -> BTreeMap<String, usize> {
    let table = fs::read_to_string(folder.join("runs.csv")).unwrap();
    let known = ["finished", "failed", "unfinished", "not_started"];
    let status = |row: &str| known.into_iter().find(|status| row.split(',').any(|cell| cell == *status));
    let mut counts = BTreeMap::new();
    for row in table.lines().skip(1).filter_map(status) {
        *counts.entry(row.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn a_report_is_made_of_the_sweep_as_it_was_at_every_event_and_says_how_each_run_stood() {
    let finished = Finished::new();
    let ids = finished.ids();
    for events in 0..=finished.lines.len() {
        finished.at(events);
        let seen = &finished.lines[..events];
        let (written, folder) = finished.report();
        assert_eq!(written.runs, ids.len());
        let of = |status: &str| statuses(&folder).get(status).copied().unwrap_or(0);
        let ended = seen.iter().filter(|(_, line)| line.contains("\"event\":\"ended\"")).count();
        let begun = ids.iter().filter(|id| seen.iter().any(|(seen, _)| seen == *id)).count();
        assert_eq!(
            (of("finished"), of("unfinished"), of("not_started")),
            (ended, begun - ended, ids.len() - begun),
            "after {events} events"
        );
        assert_eq!(written.left_out, [""; 0], "after {events} events");
        // The same with the others failed.
        if events % 5 == 0 {
            for record in records(&finished.runs(), toy::NAME).iter().filter(|run| run.status.is_none()) {
                let reason = Some("the disk was on fire".to_owned());
                let ended = Ended { status: Status::Failed, reason, summary: Summary::default() };
                let mut journal =
                    Journal::open(&finished.log(&record.spec.id), record.attempts.max(1)).unwrap();
                journal.append(Event::Ended(Box::new(ended))).unwrap();
            }
            let (written, folder) = finished.report();
            assert_eq!(statuses(&folder).get("failed").copied().unwrap_or(0), ids.len() - ended);
            assert_eq!(written.left_out, [""; 0], "after {events} events");
            let page = fs::read_to_string(written.page).unwrap();
            assert_eq!(page.contains("the disk was on fire"), ended < ids.len(), "after {events} events");
        }
    }
}

#[test]
fn a_report_is_made_whatever_file_is_gone_or_cut_off_and_says_what_that_leaves_out() {
    let finished = Finished::new();
    let run =
        records(&finished.runs(), toy::NAME).into_iter().find(|run| run.spec.recipe.kind.trains()).unwrap();
    let id = run.spec.id;
    let folder = finished.sweep().join(&id);
    let away = finished.workdir.path().join("away");
    // What the report says where the file is gone, and where its second half is.
    let table = [
        ("events.jsonl", None, None),
        ("predictions.jsonl", Some("predictions.jsonl"), None),
        ("per_image.jsonl", Some("per_image.jsonl"), None),
        ("config.yaml", None, None),
        ("log.txt", None, None),
        ("best", None, None),
        ("diagnostics", None, None),
        ("diagnostics/cka.json", None, Some("cka.json")),
        ("diagnostics/image_use.json", None, Some("image_use.json")),
        ("../audit.json", None, Some("audit.json")),
        ("../invocations.jsonl", None, None),
        ("../plan.jsonl", Some("none"), Some("The plan cannot be used")),
    ];
    for (name, when_gone, when_cut) in table {
        let path = folder.join(name);
        assert!(path.exists(), "{name}");
        let says = |left_out: &[String], wanted: Option<&str>, state: &str| match wanted {
            Some(words) => {
                assert!(
                    left_out.iter().any(|sentence| sentence.contains(words)),
                    "{name} {state}: {left_out:?}"
                );
            }
            None => assert_eq!(left_out, [""; 0], "{name} {state}"),
        };
        if path.is_file() {
            let whole = fs::read(&path).unwrap();
            fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            says(&finished.report().0.left_out, when_cut, "cut off");
            fs::write(&path, &whole).unwrap();
        }
        // A folder without a plan is no sweep.
        if when_gone != Some("none") {
            fs::rename(&path, &away).unwrap();
            says(&finished.report().0.left_out, when_gone, "gone");
            fs::rename(&away, &path).unwrap();
        }
    }
    fs::rename(&folder, &away).unwrap();
    let (written, out) = finished.report();
    assert_eq!((written.runs, written.left_out.len()), (finished.ids().len(), 0));
    assert_eq!(statuses(&out)["not_started"], 1);
}
