//! What to try next: rules over the findings, in words.

use crate::report::findings::{Edge, Findings, Study};
use crate::report::format::{list, plural, significant};
use crate::report::metrics::Metric;
use crate::report::settings::{LAYERS, RATE, name_of};

/// Advice beyond this is not read.
const MAX_ADVICE: usize = 3;

/// What to try next, the most pressing first; nothing where there is nothing to say.
pub fn advice(study: &Study, findings: &Findings) -> Option<String> {
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
        findings.edges.iter().find(|edge| ![RATE, LAYERS].contains(&edge.path.as_str())).map(edge_in_words),
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
    if edge.path == LAYERS {
        return format!(
            "The best number of {}, {value}, is the {end} that was tried: go {direction} it where the model has more.",
            name_of(LAYERS)
        );
    }
    format!("The best {}, {value}, is the {end} that was tried: go {direction} it.", name_of(&edge.path))
}
