//! What points are compared by on the way, where `early_terminate` stops some of them.

use crate::record::RunSpec;
use crate::record::recipe::{Kind, MetricName};
use crate::spec::{EarlyTerminate, SweepSpec};

/// The metric that the rule names; else the loss on validation captions, which after an epoch tells good points from bad ones
/// where what they say does not yet (`run/rungs_replay.rs` measures by how much). Where losses are means over different words,
/// they do not compare: there it is the sweep's metric.
pub fn compared_by(rule: &EarlyTerminate, spec: &SweepSpec, runs: &[RunSpec]) -> MetricName {
    let of_losses = if losses_compare(runs) { MetricName::ValNll } else { spec.metric };
    rule.metric.unwrap_or(of_losses)
}

/// Whether losses of all runs are means over the same words: another model cuts them into other pieces, a prompt is not
/// counted, and beyond the length limit nothing is.
fn losses_compare(runs: &[RunSpec]) -> bool {
    let trained = runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned).map(|run| &run.recipe);
    let mut words = trained.map(|recipe| {
        let training = &recipe.training;
        (&recipe.model, &training.prompt, training.max_length)
    });
    let first = words.next();
    words.all(|other| Some(other) == first)
}

#[cfg(test)]
mod tests {
    use super::super::expand;
    use super::*;
    use crate::spec::parse;

    /// What the points of a sweep with these lines are compared by.
    fn metric(lines: &str) -> MetricName {
        let spec =
            parse(&format!("model: lab\nmetric: {{name: meteor}}\n{lines}"), "study.yaml", &[]).unwrap();
        compared_by(&spec.early_terminate.unwrap(), &spec, &expand(&spec).unwrap().runs)
    }

    #[test]
    fn points_are_compared_by_the_loss_unless_another_metric_is_named() {
        let rates = "parameters: {learning_rate: [1.0e-4, 1.0e-3], label_smoothing: [0, 0.1]}";
        let with = |rule: &str| metric(&format!("early_terminate: {rule}\n{rates}"));
        assert_eq!(with("{type: hyperband}"), MetricName::ValNll);
        assert_eq!(with("{type: hyperband, metric: score}"), MetricName::Score);
    }

    #[test]
    fn where_losses_are_of_different_words_the_sweeps_metric_compares() {
        let rule = "early_terminate: {type: median}";
        for axis in
            ["model: [lab, elsewhere]", "prompt: ['', 'a picture of ']", "training.max_length: [30, 60]"]
        {
            assert_eq!(metric(&format!("{rule}\nparameters: {{{axis}}}")), MetricName::Meteor, "{axis}");
            let named = rule.replace("median", "median, metric: val_nll");
            assert_eq!(metric(&format!("{named}\nparameters: {{{axis}}}")), MetricName::ValNll, "{axis}");
        }
    }
}
