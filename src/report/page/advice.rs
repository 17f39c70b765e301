//! What to try next: rules over the findings, in words.

use crate::report::findings::{Edge, Findings, Study};
use crate::report::format::{list, plural, significant};
use crate::report::metrics::Metric;
use crate::report::settings::{LAYERS, RATE, name_of};

/// Advice beyond this is not read.
const MAX_ADVICE: usize = 3;

/// What to try next, the most pressing first; nothing where there is nothing to say.
pub fn advice(study: &Study, findings: &Findings) -> Option<String> {
    let others = || findings.edges.iter().filter(|edge| ![RATE, LAYERS].contains(&edge.path.as_str()));
    let candidates = [
        diverged(findings),
        findings.best_below_start.then(|| {
            "Training does not pay yet: look at the captions among the cases and the settings that limit them before \
             tuning rates."
                .to_owned()
        }),
        weak_against_floors(findings),
        findings.best_epoch_is_last.then(|| {
            "The best run was still improving when its epochs ran out: give it more (`training.epochs`).".to_owned()
        }),
        edge(findings, RATE),
        edge(findings, LAYERS),
        memorising(study, findings),
        (!findings.has_replications && lead_is_open(findings)).then(|| {
            "Repeat the leading settings with several seeds (`seeds: [0, 1, 2]`) before choosing among them.".to_owned()
        }),
        others().find(|edge| edge.bound.is_empty()).or_else(|| others().next()).map(edge_in_words),
    ];
    let advice: Vec<String> = candidates.into_iter().flatten().take(MAX_ADVICE).collect();
    (!advice.is_empty()).then(|| advice.join(" "))
}

fn diverged(findings: &Findings) -> Option<String> {
    let diverged = findings.broken.iter().filter(|row| row.status == "diverged").count();
    (diverged > 0).then(|| {
        format!(
            "Leave out the settings that diverged ({}), or lower their learning rate.",
            plural(diverged, "run")
        )
    })
}

fn weak_against_floors(findings: &Findings) -> Option<String> {
    // Where a cause is known, that is what to mend; what has not learnt enough has not shown what it can.
    if !findings.diagnosis.is_empty() || findings.best_epoch_is_last {
        return None;
    }
    let open: Vec<String> = findings
        .over_floors
        .iter()
        .filter(|gain| gain.metric != Metric::Score && gain.gain.low <= 0.0)
        .map(|gain| gain.metric.label().to_owned())
        .collect();
    (!open.is_empty()).then(|| {
        format!(
            "By {} the captions are no better than ones that are not made for their image: more training pictures or \
             more unfrozen vision layers matter more than finer rates.",
            list(&open)
        )
    })
}

fn memorising(study: &Study, findings: &Findings) -> Option<String> {
    let trained = study.fine_tuned().filter(|row| row.val_loss_rise.is_some()).count();
    (findings.overfit.len() * 3 > trained).then(|| {
        "So many runs overfit that patience can be shorter, and more training captions, a lower rate or stronger \
         weight decay are worth a try."
            .to_owned()
    })
}

/// Whether the images do not tell the best run from the next.
pub fn lead_is_open(findings: &Findings) -> bool {
    let gain = findings.runner_up.as_ref().and_then(|(_, comparison)| comparison.as_ref()?.of(Metric::Score));
    gain.is_some_and(|gain| !gain.excludes_zero())
}

fn edge(findings: &Findings, path: &str) -> Option<String> {
    findings
        .edges
        .iter()
        .find(|edge| edge.path == path)
        .filter(|edge| edge.value != 0.0 || edge.is_highest)
        .map(edge_in_words)
}

fn edge_in_words(edge: &Edge) -> String {
    let (end, direction) = if edge.is_highest { ("highest", "beyond") } else { ("lowest", "below") };
    let value = significant(edge.value);
    if !edge.bound.is_empty() {
        let bound: Vec<String> = edge.bound.iter().map(|path| name_of(path)).collect();
        return format!(
            "The best {}, {value}, is the {end} that was tried, but it changed only together with {}: vary it by itself \
             before going {direction} it.",
            name_of(&edge.path),
            list(&bound)
        );
    }
    if edge.path == LAYERS {
        return format!(
            "The best number of {}, {value}, is the {end} that was tried: go {direction} it where the model has more.",
            name_of(LAYERS)
        );
    }
    format!("The best {}, {value}, is the {end} that was tried: go {direction} it.", name_of(&edge.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example_runs::{gather_example, write_example_runs};
    use crate::report::tables::build;
    use serde_json::Value;

    /// A setting, and its value in the run of a rank.
    type Varied = (&'static str, fn(usize) -> u64);

    /// The made-up sweep as if its runs, best first, had varied nothing but these settings, and what is advised then.
    fn advised(settings: &[Varied]) -> String {
        let folder = tempfile::tempdir().unwrap();
        write_example_runs(folder.path()).unwrap();
        let data = gather_example(folder.path());
        let tables = build(&data).unwrap();
        let mut rows = tables.run_rows().unwrap();
        for row in &mut rows {
            row.settings = settings
                .iter()
                .map(|(path, value)| ((*path).to_owned(), Value::from(value(row.rank.unwrap_or(1)))))
                .collect();
        }
        let study = Study::new(&data, rows, tables.ranked_by);
        let mut findings = Findings::of(&study);
        // What is more pressing is another test's.
        findings.broken.clear();
        findings.overfit.clear();
        (findings.best_epoch_is_last, findings.has_replications) = (false, true);
        advice(&study, &findings).unwrap_or_default()
    }

    #[test]
    fn where_a_setting_changed_only_together_with_others_that_is_said_and_one_that_did_not_comes_first() {
        const EPOCHS: Varied = ("training.epochs", |rank| 4 << (rank - 1).min(2));
        const EXAMPLES: Varied = ("training.train_examples", |rank| 100 << (rank - 1).min(2));
        const BATCH: Varied = ("training.batch_size", |rank| 8 >> (rank % 3));
        const LAST_BATCH: Varied = ("training.batch_size", |rank| 8 << ((rank - 1) % 3));
        assert!(
            advised(&[EPOCHS]).ends_with("The best epochs, 4, is the lowest that was tried: go below it.")
        );
        let words = advised(&[EPOCHS, EXAMPLES]);
        let wanted = "The best epochs, 4, is the lowest that was tried, but it changed only together with train examples: \
                      vary it by itself before going below it.";
        assert!(words.ends_with(wanted), "{words}");
        // In the middle of what was tried there is nothing to say, and what is at its end by itself counts first.
        assert!(advised(&[EPOCHS, EXAMPLES, BATCH]).ends_with(wanted), "{words}");
        let words = advised(&[EPOCHS, EXAMPLES, LAST_BATCH]);
        assert!(
            words.ends_with("The best batch size, 8, is the lowest that was tried: go below it."),
            "{words}"
        );
    }
}
