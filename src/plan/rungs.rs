//! What points are compared by on the way, where `early_terminate` stops some of them.

use crate::record::RunSpec;
use crate::record::recipe::{Kind, MetricName};
use crate::spec::{EarlyTerminate, SweepSpec};

/// The metrics that points are compared by, up to some epoch and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    early: MetricName,
    until: usize,
    late: MetricName,
}

impl Compared {
    /// By the metric that the rule names; else by the loss on validation captions in the first half of the epochs, and by the
    /// sweep's metric in the second.
    ///
    /// After an epoch the loss tells good points from bad ones where what they say does not yet; late it no longer tells which
    /// say the best. `run/rungs_replay.rs` measures what either costs alone. Where losses are means over different words, they
    /// do not compare: there it is the sweep's metric throughout.
    pub fn of(rule: &EarlyTerminate, spec: &SweepSpec, runs: &[RunSpec]) -> Self {
        match rule.metric {
            Some(metric) => Self::by(metric),
            None if losses_compare(runs) => Self::by_loss_first(longest(runs), spec.metric),
            None => Self::by(spec.metric),
        }
    }

    /// By one metric throughout.
    pub fn by(metric: MetricName) -> Self {
        Self { early: metric, until: 0, late: metric }
    }

    /// By the loss in the first half of so many epochs.
    pub fn by_loss_first(epochs: usize, late: MetricName) -> Self {
        Self { early: MetricName::ValNll, until: epochs / 2, late }
    }

    /// The metric after an epoch.
    pub fn after(self, epoch: usize) -> MetricName {
        if epoch <= self.until { self.early } else { self.late }
    }

    /// ``by `val_nll`, from epoch 8 on by `score` ``, where points are compared after these epochs.
    pub fn in_words(self, rungs: &[usize]) -> String {
        let mut metrics = rungs.iter().map(|epoch| (*epoch, self.after(*epoch)));
        let Some((_, first)) = metrics.next() else { return format!("by `{}`", self.late.name()) };
        match metrics.find(|(_, metric)| *metric != first) {
            Some((epoch, late)) => {
                format!("by `{}`, from epoch {epoch} on by `{}`", first.name(), late.name())
            }
            None => format!("by `{}`", first.name()),
        }
    }
}

/// The epochs of the longest run that is fine-tuned.
pub fn longest(runs: &[RunSpec]) -> usize {
    let trained = runs.iter().filter(|run| run.recipe.kind == Kind::FineTuned);
    trained.map(|run| run.recipe.training.epochs).max().unwrap_or_default()
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

    /// What the points of a sweep with these lines are compared by, where it names a metric of its own.
    fn compared(lines: &str) -> Compared {
        let model = if lines.contains("model:") { "data: lab\n" } else { "model: lab\n" };
        let text = format!("{model}metric: {{name: meteor}}\n{lines}");
        let spec = parse(&text, "study.yaml", &[]).unwrap();
        Compared::of(&spec.early_terminate.unwrap(), &spec, &expand(&spec).unwrap().runs)
    }

    #[test]
    fn points_are_compared_by_the_loss_at_first_and_then_by_the_sweeps_metric_unless_another_is_named() {
        let axes = "parameters: {epochs: [4, 9], label_smoothing: [0, 0.1]}";
        let with = |rule: &str| compared(&format!("early_terminate: {rule}\n{axes}"));
        let metrics = [1, 4, 5, 8].map(|epoch| with("{type: hyperband}").after(epoch));
        assert_eq!(metrics, [MetricName::ValNll, MetricName::ValNll, MetricName::Meteor, MetricName::Meteor]);
        assert_eq!(with("{type: hyperband, metric: cider_d}"), Compared::by(MetricName::CiderD));
    }

    #[test]
    fn where_losses_are_of_different_words_the_sweeps_metric_compares() {
        let rule = "early_terminate: {type: median}";
        for axis in
            ["model: [lab, elsewhere]", "prompt: ['', 'a picture of ']", "training.max_length: [30, 60]"]
        {
            let found = compared(&format!("{rule}\nparameters: {{{axis}}}"));
            assert_eq!(found, Compared::by(MetricName::Meteor), "{axis}");
            let named = rule.replace("median", "median, metric: val_nll");
            let found = compared(&format!("{named}\nparameters: {{{axis}}}"));
            assert_eq!(found, Compared::by(MetricName::ValNll), "{axis}");
        }
    }

    #[test]
    fn words_say_which_metric_decides_when() {
        let both = Compared::by_loss_first(9, MetricName::Score);
        assert_eq!(both.in_words(&[1, 2, 4, 8]), "by `val_nll`, from epoch 8 on by `score`");
        assert_eq!(both.in_words(&[1, 3]), "by `val_nll`");
        assert_eq!(both.in_words(&[5, 7]), "by `score`");
        assert_eq!(Compared::by(MetricName::Meteor).in_words(&[1, 8]), "by `meteor`");
    }
}
